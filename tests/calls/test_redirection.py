"""`session.connection.redirect`, from what exchanges send."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.calls.fake_sip import FakeIncoming
from vxml_server.calls.call import connection_of
from vxml_server.calls.redirection import redirections
from vxml_server.interpreter import Redirection
from vxml_server.sip import Headers

HERE = "sip:1000@192.0.2.1"


def test_a_call_that_came_straight_has_none() -> None:
    assert redirections(Headers(), HERE) is None
    assert connection_of(FakeIncoming()).as_json()["redirect"] is None


def test_history_info_gives_the_number_called_first_in_front() -> None:
    value = (
        '"Bob" <sip:bob@a.test?Reason=SIP%3Bcause%3D486%3Btext%3D%22Busy%22>;index=1,'
        "<sip:carol@a.test?Reason=SIP%3Bcause%3D408&Privacy=history>;index=1.1,"
        f"<{HERE}>;index=1.2"
    )
    assert redirections(Headers({"History-Info": value}), HERE) == (
        Redirection("sip:bob@a.test", False, None, "user busy"),
        Redirection("sip:carol@a.test", True, None, "no reply"),
    )


def test_diversion_has_the_latest_in_front() -> None:
    headers = Headers(
        {
            "Diversion": '<sip:carol@a.test>;reason=no-answer;privacy="full";screen=yes,'
            " Bob <sip:bob@a.test>;reason=unconditional"
        }
    )
    assert redirections(headers, HERE) == (
        Redirection("sip:bob@a.test", False, None, "unconditional"),
        Redirection("sip:carol@a.test", True, "yes", "no reply"),
    )


def test_the_document_sees_them() -> None:
    call = FakeIncoming(headers={"Diversion": "<sip:bob@a.test>;reason=user-busy"})
    assert connection_of(call).as_json()["redirect"] == [
        {"uri": "sip:bob@a.test", "pi": False, "si": None, "reason": "user busy"}
    ]


def test_a_history_of_nothing_but_here_is_none() -> None:
    assert redirections(Headers({"History-Info": f"<{HERE}>;index=1"}), HERE) is None


@pytest.mark.parametrize("name", ["History-Info", "Diversion"])
@given(value=st.text(alphabet='<>";,=?%ab1 \\', max_size=60))
def test_whatever_comes_is_read_without_a_mistake(name: str, value: str) -> None:
    for found in redirections(Headers({name: value}), HERE) or ():
        assert isinstance(found.uri, str)
