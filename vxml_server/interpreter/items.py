"""Visiting the form items that are not a mere wait for input: section 2.3 of VoiceXML 2.0.

One function an element; the form interpretation algorithm calls it in its collect phase, and it
fills the item and has the `<filled>` actions executed, or raises.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from vxml_server.ecmascript import Object
from vxml_server.events import VoiceXmlEvent
from vxml_server.interpreter.content import Frame, content_of, execute, submission
from vxml_server.interpreter.document import Element
from vxml_server.interpreter.objects import visit_object
from vxml_server.interpreter.platform import (
    AudioSegment,
    InputKind,
    InputResult,
    Json,
    TransferRequest,
)
from vxml_server.interpreter.properties import fetch_request
from vxml_server.interpreter.recording import visit_record
from vxml_server.interpreter.times import seconds

if TYPE_CHECKING:
    from vxml_server.interpreter.fia import FormInterpretation
    from vxml_server.interpreter.form_item import FormItem

Visit: TypeAlias = Callable[["FormInterpretation", "FormItem"], Awaitable[None]]


async def _block(form: FormInterpretation, item: FormItem) -> None:
    """Section 2.3.2: the variable is set before the content is executed."""
    form.scopes.engine.set(form.scopes.scope("dialog"), item.variable, True)
    with form.scopes.anonymous():
        await execute(content_of(item.element), form.frame(item))


async def _subdialog(form: FormInterpretation, item: FormItem) -> None:
    """Section 2.3.4: runs another dialog in a context of its own and takes what it returns."""
    frame, element = form.frame(item), item.element
    parameters = _parameters(form, item)
    uri = element.get("src")
    if "srcexpr" in element.attributes:
        uri = form.scopes.text(element.get("srcexpr"))
    request = submission(element, uri, frame)
    returned = await form.context.run_subdialog(
        uri, request, parameters, frame.waiting_for(element)
    )
    if returned.event is not None:
        raise VoiceXmlEvent(returned.event.name, returned.event.message)
    values = returned.values if returned.values is not None else form.scopes.engine.from_json({})
    form.scopes.engine.set(form.scopes.scope("dialog"), item.variable, values)
    form.mark_filled(item)
    await form.execute_filled()


def _parameters(form: FormInterpretation, item: FormItem) -> Object:
    """The `<param>` elements as an object; values are passed as they are, not as text."""
    engine, scopes = form.scopes.engine, form.scopes
    values: Object = engine.from_json({})
    for param in item.element.named("param"):
        if "expr" in param.attributes:
            engine.define(values, param.get("name"), param.get("expr"), scopes.chain)
        else:
            engine.set(values, param.get("name"), param.get("value"))
    return values


async def _transfer(form: FormInterpretation, item: FormItem) -> None:
    """Section 2.3.7, and 2.1 section 7 for `type`."""
    element, session = item.element, form.context.session
    frame = form.frame(item)
    dest = element.get("dest")
    if "destexpr" in element.attributes:
        dest = form.scopes.text(element.get("destexpr"))
    aai = element.get("aai")
    if "aaiexpr" in element.attributes:
        aai = form.scopes.text(element.get("aaiexpr"))
    kind = _transfer_type(element)
    # Only a bridge can be ended by the caller's input; the others leave nothing to listen to.
    grammars = await form.active_grammars(item) if kind == "bridge" else ()
    request = TransferRequest(
        dest=dest,
        type=kind,
        connect_timeout=seconds(element.get("connecttimeout", "30s")),
        max_time=seconds(element.get("maxtime", "0s")),
        transfer_audio=_transfer_audio(item, frame),
        aai=aai,
        grammars=grammars,
        properties=frame.properties.input_properties(),
        lang=form.context.lang(element),
    )
    result = await session.transfer(request)
    if "." in result.outcome:
        raise VoiceXmlEvent(result.outcome, result.message)
    shadow: dict[str, Json] = {"duration": result.duration}
    if result.recognition is not None:
        form.note_result(InputResult(InputKind.MATCH, (result.recognition,)))
        shadow |= {
            "utterance": result.recognition.utterance,
            "inputmode": result.recognition.mode,
        }
    form.fill(item, result.outcome, shadow=shadow)
    await form.execute_filled()


def _transfer_type(element: Element) -> Literal["bridge", "blind", "consultation"]:
    # A document with any other type is not compiled.
    if stated := element.get("type"):
        return cast(Literal["bridge", "blind", "consultation"], stated)
    return "bridge" if element.get("bridge") == "true" else "blind"


def _transfer_audio(item: FormItem, frame: Frame) -> AudioSegment | None:
    element = item.element
    if not (uri := element.get("transferaudio")):
        return None
    target = frame.resolve(element, uri)
    request = fetch_request(element, frame.properties, "audio", target, base=frame.document.uri)
    return AudioSegment(request, line=element.line)


VISITS: Mapping[str, Visit] = {
    "block": _block,
    "object": visit_object,
    "record": visit_record,
    "subdialog": _subdialog,
    "transfer": _transfer,
}
