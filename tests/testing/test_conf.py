"""`conf:` elements become VoiceXML and cues for the caller."""

from __future__ import annotations

import pytest
from lxml import etree

from vxml_server.interpreter.script import Deed, HangUp, Hypothesis, Keys, Say, Silence, Speak
from vxml_server.testing.caller import MUMBLE, reaction
from vxml_server.testing.conf import FAIL_LABEL, PASS_LABEL, cues, transform

VXML = "{http://www.w3.org/2001/vxml}"


def transformed(content: str) -> etree._Element:
    """The `<form>` of a document with this content."""
    source = (
        '<vxml version="2.0" xmlns="http://www.w3.org/2001/vxml" '
        'xmlns:conf="http://www.w3.org/2002/vxml-conformance">\n'
        f"<form>{content}</form></vxml>"
    )
    return etree.fromstring(transform(source.encode()))[0]


def text(element: etree._Element) -> str:
    return etree.tostring(element, encoding="unicode", method="text", with_tail=False)


@pytest.mark.parametrize(
    "source",
    [
        b'<vxml version="2.0"><form/></vxml>',
        b"\xef\xbb\xbf<vxml  version='2.0' ><form/></vxml>\r\n",
        b'<vxml xmlns:conf="http://www.w3.org/2002/vxml-conformance"><form>',
        b"",
    ],
)
def test_what_has_no_such_elements_or_is_not_well_formed_stays_as_it_is(source: bytes) -> None:
    assert transform(source) == source


def test_a_pass_is_logged_and_ends_the_call() -> None:
    block = transformed("<block>a<conf:pass/>b</block>")[0]
    assert [child.tag for child in block] == [f"{VXML}log", f"{VXML}exit"]
    assert block[0].get("label") == PASS_LABEL
    assert (block.text, block[1].tail) == ("a", "b")


def test_a_failure_is_logged_with_its_reason_and_expression() -> None:
    log = transformed('<block><conf:fail reason="why" expr="_event"/></block>')[0][0]
    assert (log.get("label"), log.text, log[0].get("expr")) == (FAIL_LABEL, "why", "_event")


def test_a_comment_is_a_log_with_its_values() -> None:
    log = transformed('<block><conf:comment>x is <value expr="x"/></conf:comment></block>')[0][0]
    assert (log.tag, log.text, log[0].get("expr")) == (f"{VXML}log", "x is ", "x")


def test_lines_keep_their_numbers() -> None:
    form = transformed("\n<block>\n<conf:pass/>\n</block>\n<block>\n<conf:pass/>\n</block>\n")
    assert [block.sourceline for block in form] == [3, 6]


def test_a_cue_in_an_item_is_heard_at_every_visit() -> None:
    field = transformed('<field><conf:speech value="alpha"/></field>')[0]
    assert [prompt.get("count") for prompt in field] == ["1", "2", "3"]
    assert {text(prompt) for prompt in field} == {"[caller: say Chicago]"}


def test_a_cue_in_a_handler_is_one_prompt() -> None:
    handler = transformed('<noinput><conf:dtmf value="5"/></noinput>')[0]
    assert [text(prompt) for prompt in handler] == ["[caller: press 5]"]


def test_a_grammar_has_the_words_of_its_token_and_its_interpretation() -> None:
    grammar = transformed('<conf:grammar utterance="bravo" interp="b"/>')[0]
    rule = grammar[0]
    assert (rule.text, rule[0].text) == ("San Francisco", 'out="b";')


def test_a_grammar_of_keys_gives_a_structure() -> None:
    grammar = transformed(
        '<conf:grammar utterance="alpha"><conf:key name="a"><conf:key name="b" value="1"/>'
        '</conf:key><conf:key name="c" value="2"/></conf:grammar>'
    )[0]
    assert grammar[0][0].text == 'out={"a": {"b": "1"}, "c": "2"};'


def test_a_phrase_is_its_words() -> None:
    choice = transformed('<menu><choice>say <conf:phrase utterance="delta"/>!</choice></menu>')[0]
    assert text(choice) == "say London!"


def test_an_element_that_nobody_knows_is_left_out() -> None:
    block = transformed("<block>a<conf:dance/>b</block>")[0]
    assert (len(block), block.text) == (0, "ab")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("[caller: say Chicago]", [("say", "Chicago")]),
        ("[caller: mumble]", [("mumble", "")]),
        ("one [caller: press 12#] two [caller: hangup]", [("press", "12#"), ("hangup", "")]),
        ("Say 'New York' again.", [("say", "New York")]),
        ("Press '5'. Say nothing.", [("press", "5"), ("silence", "")]),
        ("Please hang up now.", [("hangup", "")]),
        ("Nothing to do here.", []),
    ],
)
def test_what_a_prompt_tells_the_caller(said: str, expected: list[tuple[str, str]]) -> None:
    assert list(cues(said)) == expected


@pytest.mark.parametrize(
    ("kind", "argument", "deed"),
    [
        ("say", "London", Say((Hypothesis("London"),))),
        ("mumble", "", Say((Hypothesis(MUMBLE),))),
        ("press", "1 2 #", Keys("12#")),
        ("hangup", "", HangUp()),
        ("silence", "5", Silence()),
        ("recite", "nonspeech", Speak(6.0)),
        ("recite", "alpha", Speak(2.0)),
    ],
)
def test_what_the_caller_does(kind: str, argument: str, deed: Deed) -> None:
    assert reaction(kind, argument) == deed
