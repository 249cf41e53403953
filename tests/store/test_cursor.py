from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vxml_server.store import BadCursor, Cursor


@given(
    st.datetimes(timezones=st.just(UTC)),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
)
def test_a_cursor_comes_back_as_it_was_and_fits_into_a_uri(at: datetime, id_: str) -> None:
    cursor = Cursor(at, id_)
    text = cursor.encode()
    assert Cursor.decode(text) == cursor
    assert all(c.isalnum() or c in "-_" for c in text)


@given(st.text())
def test_no_text_gives_anything_but_a_cursor_or_its_error(text: str) -> None:
    try:
        Cursor.decode(text)
    except BadCursor:
        return
    assert text


@pytest.mark.parametrize("text", ["", "x", "MjAyNi0wMS0wMQ", "MjAyNi0wMS0wMSBhYmM", "é"])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(BadCursor):
        Cursor.decode(text)
