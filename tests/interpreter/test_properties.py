"""Properties and times: sections 6.3 and 6.5 of VoiceXML 2.0."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.interpreter.harness import Page, call, thrown, vxml, yes
from vxml_server.events import VoiceXmlEvent
from vxml_server.interpreter.document import Element
from vxml_server.interpreter.platform import InputProperties
from vxml_server.interpreter.properties import DEFAULTS, Properties, fetch_request
from vxml_server.interpreter.times import seconds


def element(name: str, **properties: str) -> Element:
    children = tuple(
        Element("property", {"name": key, "value": value}, (), 1, "", "")
        for key, value in properties.items()
    )
    return Element(name, {}, children, 1, "", "")


# Times -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5s", 5.0), ("250ms", 0.25), ("1.5s", 1.5), (".5s", 0.5), ("3.s", 3.0), ("+2s", 2.0),
        (" 2s ", 2.0), ("0s", 0.0), ("0", 0.0), ("99", 99.0), ("100", 0.1), ("5000", 5.0),
    ],
)  # fmt: skip
def test_a_time_is_read(text: str, expected: float) -> None:
    assert seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    "text", ["", "s", "-1s", "1 minute", "1m", "5 s5", "1e3s", "inf", "nan", "٣s", "9" * 400 + "s"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        seconds(text)


# Inheritance -------------------------------------------------------------------------------------


def test_the_nearest_element_decides_and_in_it_the_last_property() -> None:
    def declared(*values: str) -> Element:
        children = tuple(
            Element("property", {"name": "a", "value": value}, (), 1, "", "") for value in values
        )
        return Element("form", {}, children, 1, "", "")

    assert Properties([declared("near", "later"), declared("far")]).get("a") == "later"
    assert Properties([declared(), declared("far")]).get("a") == "far"
    assert Properties([declared()]).get("a") == ""
    assert Properties([declared()]).get("timeout") == "5s"


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.text(max_size=2)), max_size=5))
def test_properties_are_inherited_from_the_nearest_that_has_them(
    levels: list[dict[str, str]],
) -> None:
    properties = Properties([element("form", **level) for level in levels], {"a": "default"})
    for name in "abc":
        default = "default" if name == "a" else ""
        expected = next((level[name] for level in levels if name in level), default)
        assert properties.get(name) == expected


async def test_root_document_dialog_and_item_have_properties() -> None:
    def timeout(seconds_: int) -> str:
        return f'<property name="timeout" value="{seconds_}s"/>'

    def pages(root: str, document: str, form: str, item: str) -> dict[str, Page]:
        return {
            "main.vxml": vxml(
                f'{document}<form>{form}<field name="f">{item}{yes()}</field></form>',
                'application="root.vxml"',
            ),
            "root.vxml": vxml(root),
        }

    levels = [timeout(n) for n in (1, 2, 3, 4)]
    for depth in range(5):
        chosen = levels[:depth] + [""] * (4 - depth)
        result = await call(pages(*chosen), "silence:", "hangup:")
        at = next(record["t"] for record in result.records if record["event"] == "throw")
        assert at == (depth or 5)


# Values ------------------------------------------------------------------------------------------


def test_the_defaults_are_those_of_the_recommendation() -> None:
    assert Properties([]).input_properties() == InputProperties()
    assert DEFAULTS["bargein"] == "true"


def test_all_that_a_wait_for_input_needs_can_be_set() -> None:
    properties = Properties([element(
        "form", timeout="1s", interdigittimeout="2s", termtimeout="3s", termchar=" * ",
        inputmodes="voice", confidencelevel="0.6", sensitivity="70", speedvsaccuracy="2e2",
        completetimeout="4s", incompletetimeout="500ms", maxspeechtimeout="6s", maxnbest="3",
    )])  # fmt: skip
    assert properties.input_properties() == InputProperties(
        timeout=1.0,
        interdigit_timeout=2.0,
        term_timeout=3.0,
        term_char="*",
        input_modes=frozenset({"voice"}),
        confidence_level=0.6,
        sensitivity=0.7,
        speed_vs_accuracy=1.0,
        complete_timeout=4.0,
        incomplete_timeout=0.5,
        max_speech_timeout=6.0,
        max_nbest=3,
    )


def test_there_is_always_one_result_at_least() -> None:
    assert Properties([element("form", maxnbest="0")]).input_properties().max_nbest == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [("timeout", "soon"), ("confidencelevel", "high"), ("maxnbest", "many"),
     ("maxnbest", "9" * 5000)],
)  # fmt: skip
def test_a_wrong_value_is_a_semantic_error_that_names_the_property(name: str, value: str) -> None:
    with pytest.raises(VoiceXmlEvent) as raised:
        Properties([element("form", **{name: value})]).input_properties()
    assert raised.value.name == "error.semantic"
    assert name in raised.value.message


async def test_a_wrong_value_is_an_event_of_the_item_that_listens() -> None:
    result = await call(
        '<form><property name="maxnbest" value="many"/><field name="f">'
        f"{yes()}<catch><exit/></catch></field></form>"
    )
    assert thrown(result) == ["error.semantic"]


# Fetching ----------------------------------------------------------------------------------------


def test_a_fetch_is_limited_by_its_element_or_else_by_properties() -> None:
    properties = Properties([element(
        "vxml", fetchtimeout="7s", documentmaxage="100", documentmaxstale="20s", grammarmaxage="3",
    )])  # fmt: skip
    plain = Element("goto", {}, (), 1, "", "")
    asked = fetch_request(plain, properties, "document", "u", base="b")
    assert (asked.uri, asked.base, asked.timeout, asked.maxage, asked.maxstale) == (
        "u", "b", 7.0, 100.0, 20.0,
    )  # fmt: skip
    own = {"fetchtimeout": "250ms", "maxage": "0", "maxstale": "9"}
    asked = fetch_request(Element("goto", own, (), 1, "", ""), properties, "grammar", "u", base="")
    assert (asked.timeout, asked.maxage, asked.maxstale) == (0.25, 0.0, 9.0)
    asked = fetch_request(plain, properties, "script", "u", base="")
    assert (asked.timeout, asked.maxage, asked.maxstale) == (7.0, None, None)


def test_a_wrong_age_is_a_semantic_error() -> None:
    properties = Properties([element("vxml", audiomaxage="long")])
    with pytest.raises(VoiceXmlEvent) as raised:
        fetch_request(Element("audio", {}, (), 1, "", ""), properties, "audio", "u", base="")
    assert raised.value.name == "error.semantic"
