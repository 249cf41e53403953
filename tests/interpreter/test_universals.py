"""`universals` (VoiceXML 2.0 section 6.3.6); what is recognised is recorded (2.1 section 7)."""

from __future__ import annotations

import pytest

from tests.interpreter.harness import Web, call, field, heard, records, slots, thrown, vxml
from vxml_server.audio import decode
from vxml_server.fetch import FilePart


def universals(value: str) -> str:
    return f'<property name="universals" value="{value}"/>'


@pytest.mark.parametrize("command", ["help", "exit", "cancel"])
async def test_a_command_throws_its_event(command: str) -> None:
    handler = f'<catch event="{command}"><exit expr="\'{command}\'"/></catch>'
    document = f"{handler}{universals('all')}<form>{field()}</form>"
    result = await call(document, f"say: {command}")
    assert result.outcome.value == command
    assert records(result, "match")[0]["grammar"] == "universal"


async def test_by_default_there_are_none() -> None:
    result = await call(f"<form>{field()}</form>", "say: help")
    assert thrown(result)[0] == "nomatch"


async def test_some_may_be_chosen() -> None:
    document = f"{universals('cancel help')}<form>{field()}</form>"
    assert thrown(await call(document, "say: exit"))[0] == "nomatch"
    assert thrown(await call(document, "say: help"))[0] == "help"


async def test_they_are_words_of_the_language() -> None:
    document = f'{universals("all")}<form xml:lang="fr">{field()}</form>'
    pages = {"main.vxml": vxml(document).replace('xml:lang="en"', 'xml:lang="fr"')}
    assert thrown(await call(pages, "say: aide"))[0] == "help"


async def test_a_modal_item_has_none() -> None:
    modal = field().replace("<field ", '<field modal="true" ')
    document = f"{universals('all')}<form>{modal}</form>"
    assert thrown(await call(document, "say: help"))[0] == "nomatch"


async def test_a_grammar_of_the_application_goes_first() -> None:
    link = '<link event="mine"><grammar root="r"><rule id="r">help</rule></grammar></link>'
    document = f"{link}{universals('all')}<form>{field()}</form>"
    assert thrown(await call(document, "say: help"))[0] == "mine"


async def test_an_unknown_command_is_an_error() -> None:
    document = f"{universals('help escape')}<form>{field()}</form>"
    assert thrown(await call(document, "say: yes")) == ["error.semantic"]


# What is said while it is recognised --------------------------------------------------------------

RECORDING = '<property name="recordutterance" value="true"/>'


async def test_an_utterance_is_recorded_beside_its_recognition() -> None:
    filled = (
        '<filled><var name="r" expr="f$.recording"/>'
        '<submit next="keep" method="post" namelist="r f$.recordingduration"/></filled>'
    )
    pages = {
        "main.vxml": vxml(f"{RECORDING}<form>{field(filled)}</form>"),
        "keep": vxml("<form><block><exit/></block></form>"),
    }
    web = Web(pages)
    await call(web, "say: yes")
    (_, part), duration = web.requests[-1].fields
    assert isinstance(part, FilePart)
    assert decode(part.body).duration == pytest.approx(0.3)
    assert duration == ("f$.recordingduration", "300")


async def test_it_is_in_lastresult_after_a_nomatch_too() -> None:
    handler = '<nomatch><exit expr="application.lastresult$.recordingsize"/></nomatch>'
    document = f"{RECORDING}<form>{field(handler)}</form>"
    result = await call(document, "say: something else")
    assert result.outcome.value == 0.6 * 8000 + 58


async def test_all_items_filled_by_one_utterance_have_it() -> None:
    document = (
        f"{RECORDING}<form>{slots('a', 'b')}<initial/>{field(name='a')}{field(name='b')}"
        '<filled><exit expr="a$.recordingduration + b$.recordingduration"/></filled></form>'
    )
    result = await call(document, "say: a one b one")
    assert result.outcome.value == 2400


async def test_the_type_may_be_chosen() -> None:
    kind = '<property name="recordutterancetype" value="audio/basic"/>'
    filled = '<filled><exit expr="f$.recording.type"/></filled>'
    document = f"{RECORDING}{kind}<form>{field(filled)}</form>"
    assert (await call(document, "say: yes")).outcome.value == "audio/basic"
    other = document.replace("audio/basic", "video/mp4")
    assert thrown(await call(other, "say: yes")) == ["error.unsupported.format"]


async def test_keys_have_no_voice_and_without_the_property_nothing_is_recorded() -> None:
    filled = '<filled><exit expr="typeof f$.recording"/></filled>'
    keys = '<field name="f" type="digits?length=1">' + filled + "</field>"
    result = await call(f"{RECORDING}<form>{keys}</form>", 'dtmf: "1"')
    assert result.outcome.value == "undefined"
    result = await call(f"<form>{field(filled)}</form>", "say: yes")
    assert result.outcome.value == "undefined"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bargein", "maybe"),
        ("recordutterance", "yes"),
        ("inputmodes", "dtmf smell"),
        ("timeout", "soon"),
        ("confidencelevel", "high"),
        ("maxnbest", "some"),
        ("bargeintype", "loud"),
    ],
)
async def test_a_property_with_a_senseless_value_is_an_error(name: str, value: str) -> None:
    document = f'<property name="{name}" value="{value}"/><form>{field()}</form>'
    result = await call(document, "say: yes")
    assert thrown(result) == ["error.semantic"]
    assert name in str(records(result, "throw")[0]["message"])
    assert heard(result)[-1].startswith("Sorry")
