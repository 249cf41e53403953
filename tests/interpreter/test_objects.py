"""`<object>` (VoiceXML 2.0 section 2.3.5) and the registry of what a platform has."""

from __future__ import annotations

from typing import Any

import pytest

from tests.interpreter.harness import MAIN, Web, call, thrown, vxml
from vxml_server.events import VoiceXmlEvent
from vxml_server.interpreter import (
    Json,
    ObjectCall,
    ObjectParameter,
    Objects,
    ObjectValue,
)
from vxml_server.interpreter.dialogue import DialogueResult, run_dialogue
from vxml_server.interpreter.script import Script, parse_script
from vxml_server.interpreter.scripted_recording import tone_of


async def run(content: str, objects: Objects) -> DialogueResult:
    web = Web({"main.vxml": vxml(f"<form>{content}</form>")})
    return await run_dialogue(MAIN, Script(), web, objects=objects)


async def test_an_object_that_nobody_registered_is_unsupported() -> None:
    result = await call('<form><object classid="builtin://none"/></form>')
    assert thrown(result) == ["error.unsupported.objectname"]


async def test_an_object_that_names_nothing_is_unsupported_too() -> None:
    result = await call('<form><object data="x.bin"/></form>')
    assert thrown(result) == ["error.unsupported.objectname"]


async def test_an_object_is_given_its_attributes_and_parameters() -> None:
    calls: list[ObjectCall] = []

    async def keep(call: ObjectCall) -> Json:
        calls.append(call)
        return True

    content = (
        '<object name="o" classid="method://card/pay" codebase="lib/" codetype="text/plain"'
        ' data="card.dat" type="text/xml" archive="one.zip two.zip">'
        '<param name="amount" expr="20 + 1"/>'
        '<param name="greeting" value="hi.wav" valuetype="ref" type="audio/x-wav"/></object>'
    )
    await run(content, {"method://card/pay": keep})
    assert calls == [
        ObjectCall(
            "method://card/pay",
            {
                "amount": ObjectParameter(21),
                "greeting": ObjectParameter("hi.wav", "ref", "audio/x-wav"),
            },
            codebase="http://test/lib/",
            codetype="text/plain",
            data="http://test/lib/card.dat",
            media_type="text/xml",
            archive=("http://test/lib/one.zip", "http://test/lib/two.zip"),
            base=MAIN,
        )
    ]


async def test_what_it_returns_fills_the_item() -> None:
    async def pay(call: ObjectCall) -> Json:
        return {"status": "paid", "cents": 2100}

    content = (
        '<object name="o" classid="pay"><filled><log>filled</log></filled></object>'
        '<block><exit expr="o.status + o.cents"/></block>'
    )
    result = await run(content, {"pay": pay})
    assert result.outcome.value == "paid2100"


async def test_its_events_are_thrown_and_its_defects_are_errors() -> None:
    async def refuse(call: ObjectCall) -> Json:
        raise VoiceXmlEvent("com.example.refused", "no funds")

    async def fail(call: ObjectCall) -> Json:
        raise KeyError("a defect")

    async def no_json(call: ObjectCall) -> ObjectValue:
        nothing: Any = object()  # no JSON, which is the defect
        return {"sound": SOUND, "no": nothing}

    handler = '<catch event="com.example.refused"><exit expr="_message"/></catch>'
    result = await run(f'{handler}<object classid="refuse"/>', {"refuse": refuse})
    assert result.outcome.value == "no funds"
    for defect in (fail, no_json):
        assert thrown(await run('<object classid="it"/>', {"it": defect})) == ["error.semantic"]


async def test_a_recording_of_the_call_reaches_an_object_with_its_sound() -> None:
    given: list[ObjectParameter] = []

    async def keep(call: ObjectCall) -> Json:
        given.append(call.parameters["said"])
        return True

    web = Web(
        {
            "main.vxml": vxml(
                '<form><record name="said"/><object classid="keep">'
                '<param name="said" expr="said"/></object></form>'
            )
        }
    )
    script = parse_script("steps:\n  - record: 2s\n")
    await run_dialogue(MAIN, script, web, objects={"keep": keep})
    (parameter,) = given
    assert parameter.audio is not None
    assert (parameter.audio.media_type, parameter.audio.duration) == ("audio/x-wav", 2.0)
    assert parameter.audio.data[:4] == b"RIFF"
    assert isinstance(parameter.value, dict)
    assert parameter.value["duration"] == 2000


SOUND = tone_of(1.5, "audio/x-wav")


async def test_what_is_no_recording_has_no_sound() -> None:
    given: list[ObjectParameter] = []

    async def keep(call: ObjectCall) -> Json:
        given.append(call.parameters["said"])
        return True

    await run(
        """<object classid="keep"><param name="said" expr="'urn:x-recording:1'"/></object>""",
        {"keep": keep},
    )
    assert given == [ObjectParameter("urn:x-recording:1")]


@pytest.mark.parametrize(("value", "place"), [(SOUND, "o"), ({"sound": SOUND, "n": 1}, "o.sound")])
async def test_the_sound_that_an_object_returns_is_a_recording_of_the_call(
    value: ObjectValue, place: str
) -> None:
    async def speak(call: ObjectCall) -> ObjectValue:
        return value

    given: list[ObjectParameter] = []

    async def keep(call: ObjectCall) -> Json:
        given.append(call.parameters["said"])
        return True

    content = (
        '<object name="o" classid="speak"><filled>'
        f'<prompt>Hear: <audio expr="{place}">nothing</audio></prompt></filled></object>'
        f'<object classid="keep"><param name="said" expr="{place}"/></object>'
        f"<block><exit expr=\"{place}.duration + ' ' + (o.n || 0)\"/></block>"
    )
    result = await run(content, {"speak": speak, "keep": keep})
    assert result.outcome.value == ("1500 1" if isinstance(value, dict) else "1500 0")
    assert [parameter.audio for parameter in given] == [SOUND]
    (heard,) = [record for record in result.records if record["event"] == "prompt"]
    assert "nothing" not in str(heard["text"])
