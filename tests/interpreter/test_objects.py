"""`<object>` (VoiceXML 2.0 section 2.3.5) and the registry of what a platform has."""

from __future__ import annotations

from tests.interpreter.harness import MAIN, Web, call, thrown, vxml
from vxml_server.events import VoiceXmlEvent
from vxml_server.interpreter import Json, ObjectCall, ObjectParameter, Objects
from vxml_server.interpreter.dialogue import DialogueResult, run_dialogue
from vxml_server.interpreter.script import Script


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

    handler = '<catch event="com.example.refused"><exit expr="_message"/></catch>'
    result = await run(f'{handler}<object classid="refuse"/>', {"refuse": refuse})
    assert result.outcome.value == "no funds"
    assert thrown(await run('<object classid="fail"/>', {"fail": fail})) == ["error.semantic"]
