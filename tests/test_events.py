from __future__ import annotations

import pytest

from vxml_server.events import VoiceXmlEvent, matches


@pytest.mark.parametrize(
    ("pattern", "name", "caught"),
    [
        ("error", "error.badfetch", True),
        ("error.badfetch", "error.badfetch.http.404", True),
        ("error.badfetch", "error.badfetch", True),
        ("error.badfetch.", "error.badfetch.http", True),
        ("error.badfetch", "error.badfetchx", False),
        ("error.badfetch.http", "error.badfetch", False),
        ("noinput", "nomatch", False),
        ("", "anything", True),
        (".", "anything", True),
        ("com.example.", "com.example", True),
        ("com.example.", "com.examples", False),
    ],
)
def test_a_handler_catches_by_the_beginning_of_the_name(
    pattern: str, name: str, caught: bool
) -> None:
    assert matches(pattern, name) is caught


def test_an_event_says_where_and_why() -> None:
    event = VoiceXmlEvent("error.badfetch", "not found", uri="http://a.test/b.vxml", line=7)
    assert str(event) == "http://a.test/b.vxml:7: error.badfetch: not found"
    assert str(VoiceXmlEvent("noinput")) == "noinput"


def test_a_place_is_filled_in_where_none_was_known() -> None:
    event = VoiceXmlEvent("error.semantic", "x").at("http://a.test/", 3)
    assert (event.name, event.message, event.uri, event.line) == (
        "error.semantic",
        "x",
        "http://a.test/",
        3,
    )
    assert event.at("http://b.test/", 9).line == 3
