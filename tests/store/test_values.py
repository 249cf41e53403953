from __future__ import annotations

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from vxml_server.store.tables import calls
from vxml_server.store.values import fit, storable_json, storable_text

anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary()),
    lambda below: st.one_of(st.lists(below), st.dictionaries(st.text(), below)),
)


@given(anything)
def test_whatever_it_was_it_is_json_that_every_database_takes(value: object) -> None:
    text = json.dumps(storable_json(value), allow_nan=False, ensure_ascii=False)
    assert "\\u0000" not in text
    text.encode()


def test_what_json_can_hold_stays_as_it_is() -> None:
    value = {"a": [1, 2.5, True, None, "é"], "b": {"c": ()}}
    assert storable_json(value) == {"a": [1, 2.5, True, None, "é"], "b": {"c": []}}


def test_what_json_cannot_hold_is_replaced() -> None:
    assert storable_json([math.nan, math.inf, b"x", {1: 2}]) == [None, None, "b'x'", {"1": 2}]


def test_a_structure_without_a_bottom_is_cut() -> None:
    endless: list[object] = []
    endless.append(endless)
    assert storable_json(endless) is not None


def test_text_is_cut_to_its_column_and_made_storable() -> None:
    fitted = fit(calls, {"codec": "x" * 99, "to_uri": "a\0b\ud800", "packets_lost": 3})
    assert fitted == {"codec": "x" * 32, "to_uri": "a\ufffdb?", "packets_lost": 3}


@given(st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"])))
def test_plain_text_is_not_changed(text: str) -> None:
    assert storable_text(text) == text
