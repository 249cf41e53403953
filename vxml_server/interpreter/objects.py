"""`<object>`: section 2.3.5 of VoiceXML 2.0. What a platform can do beyond the recommendation.

A session is given a registry: for each `classid` a coroutine that takes an `ObjectCall` and returns
a JSON value, which becomes the item's value; a property of it is read as `name.property`. Sound
crosses both ways as `RecordedAudio`: a parameter may be a recording of the call, and what is
returned a recording or an object with recordings among its properties. It may raise a
`VoiceXmlEvent`, which is thrown in the document. A `classid` that nobody registered is
`error.unsupported.objectname` (the last part is that word, not the object's name).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, TypeVar, cast

import structlog

from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import resolve_uri
from vxml_server.interpreter.platform import Json, RecordedAudio

if TYPE_CHECKING:
    from vxml_server.interpreter.document import Element
    from vxml_server.interpreter.fia import FormInterpretation
    from vxml_server.interpreter.form_item import FormItem

Choice = TypeVar("Choice")
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ObjectParameter:
    """A `<param>`: a value, or with `valuetype` "ref" the URI of one and its media type.

    `audio` is the sound of a value that is a recording of the call.
    """

    value: Json
    valuetype: Literal["data", "ref"] = "data"
    media_type: str = ""
    audio: RecordedAudio | None = None


@dataclass(frozen=True, slots=True)
class ObjectCall:
    """An `<object>` with its attributes (`data` and `archive` made absolute) and parameters.

    `base` is the URI of the document; parameters that are references stay as they are written.
    """

    classid: str
    parameters: Mapping[str, ObjectParameter]
    codebase: str = ""
    codetype: str = ""
    data: str = ""
    media_type: str = ""
    archive: tuple[str, ...] = ()
    base: str = ""

    def text(self, name: str) -> str:
        """A parameter without white space around it; "" when it is not given or no text (the
        digits of a number are text)."""
        parameter = self.parameters.get(name)
        value = None if parameter is None else parameter.value
        return value.strip() if isinstance(value, str) else ""

    def choice(self, name: str, among: Mapping[str, Choice]) -> Choice:
        """What the text of a parameter stands for; raises `error.semantic` when it is none of
        them."""
        text = self.text(name)
        if (found := among.get(text)) is None:
            known = ", ".join(among)
            raise VoiceXmlEvent("error.semantic", f"{name}: expected {known}, got {text!r}")
        return found


ObjectValue: TypeAlias = "Json | RecordedAudio | Mapping[str, Json | RecordedAudio]"
"""What an object returns."""


class PlatformObject(Protocol):
    """What is behind a `classid`."""

    async def __call__(self, call: ObjectCall, /) -> ObjectValue:
        """Does its work without blocking the loop; raises `VoiceXmlEvent` for what goes wrong."""


Objects: TypeAlias = Mapping[str, PlatformObject]


async def visit_object(form: FormInterpretation, item: FormItem) -> None:
    """Visits an `<object>`: runs what is registered for it and fills the item with the result."""
    element, session = item.element, form.context.session
    found = session.objects.get(element.get("classid").strip())
    if found is None:
        message = f"this platform has no object {element.get('classid')!r}"
        raise VoiceXmlEvent("error.unsupported.objectname", message)
    call = _call(form, element)
    try:
        _fill(form, item, await found(call))
    except VoiceXmlEvent:
        raise
    except Exception as failure:
        _log.log(logging.ERROR, "an object failed", classid=call.classid, exc_info=failure)
        raise VoiceXmlEvent("error.semantic", f"the object {call.classid!r} failed") from None
    await form.execute_filled()


def _fill(form: FormInterpretation, item: FormItem, value: ObjectValue) -> None:
    """Gives the item its value, in which sounds are recordings of the call from now on."""
    engine, recordings = form.scopes.engine, form.context.session.recordings
    variables = form.scopes.scope("dialog")
    if isinstance(value, RecordedAudio):
        form.fill(item, None)
        engine.set(variables, item.variable, recordings.add(value))
    elif isinstance(value, Mapping):
        plain = {name: one for name, one in value.items() if not isinstance(one, RecordedAudio)}
        form.fill(item, plain)
        made = engine.get(variables, item.variable)
        for name, sound in value.items():
            if isinstance(sound, RecordedAudio):
                engine.set(made, name, recordings.add(sound))
    else:
        form.fill(item, value)


def _call(form: FormInterpretation, element: Element) -> ObjectCall:
    base = element.base
    if codebase := element.get("codebase"):
        base = resolve_uri(base, codebase)

    def absolute(reference: str) -> str:
        return resolve_uri(base, reference) if reference else ""

    return ObjectCall(
        classid=element.get("classid").strip(),
        parameters={param.get("name"): _parameter(form, param) for param in element.named("param")},
        codebase=base if element.get("codebase") else "",
        codetype=element.get("codetype") or element.get("type"),
        data=absolute(element.get("data")),
        media_type=element.get("type"),
        archive=tuple(absolute(reference) for reference in element.get("archive").split()),
        base=form.document.uri,
    )


def _parameter(form: FormInterpretation, param: Element) -> ObjectParameter:
    value: Json = param.get("value")
    audio = None
    if "expr" in param.attributes:
        engine = form.scopes.engine
        given = form.scopes.value(param.get("expr"))
        audio = form.context.session.recordings.find(given)
        value = engine.to_json(given)
    valuetype = cast(Literal["data", "ref"], param.get("valuetype", "data"))
    return ObjectParameter(value, valuetype, param.get("type"), audio)
