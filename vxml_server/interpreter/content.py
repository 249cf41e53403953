"""Executable content: section 5.3 of VoiceXML 2.0.

`execute` walks the content of a `<block>`, a `<filled>` or a handler, one function an element. Text
and audio between elements are prompts. What ends the walk early is raised (see `flow`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import FetchRequest, resolve_uri
from vxml_server.interpreter.data import run_data
from vxml_server.interpreter.document import FORM_ITEMS, Document, Element, once
from vxml_server.interpreter.flow import Exit, GotoItem, Return, Transition
from vxml_server.interpreter.grammars import enumerated
from vxml_server.interpreter.platform import Json, Waiting
from vxml_server.interpreter.prompts import TEXT_RUN, PromptBuilder, iterate, with_text_runs
from vxml_server.interpreter.properties import Properties, fetch_request
from vxml_server.interpreter.references import resolved
from vxml_server.interpreter.scopes import Scopes
from vxml_server.interpreter.submission import with_fields
from vxml_server.interpreter.waiting import waiting_for

if TYPE_CHECKING:
    from vxml_server.interpreter.context import ExecutionContext
    from vxml_server.interpreter.fia import FormInterpretation


@dataclass(slots=True, eq=False)
class Frame:
    """Where content is executed: the context, the dialog, the `nearest` element, what holds there.

    `reprompt` is set by `<reprompt>`; only a handler's frame is asked for it. `base` overrides the
    base URI of the elements executed: a handler works as if it were copied to where the event was
    thrown (section 5.2), so its references are relative to the active document.
    """

    context: ExecutionContext
    form: FormInterpretation
    document: Document
    nearest: Element
    properties: Properties
    lang: str
    scopes: Scopes
    reprompt: bool = False
    base: str = ""
    _prompts: PromptBuilder | None = None

    @property
    def prompts(self) -> PromptBuilder:
        """Makes the prompts of this place; made when there is the first one."""
        if self._prompts is None:
            self._prompts = PromptBuilder(
                self.scopes,
                self.properties,
                self.lang,
                self.document.uri,
                enumerated(self.nearest),
                self.base,
                self.context.session.recordings,
            )
        return self._prompts

    def resolve(self, element: Element, reference: str) -> str:
        return resolved(self.base or element.base, reference)

    def waiting_for(self, element: Element) -> Waiting | None:
        """What is heard while what the element points to is fetched."""
        return waiting_for(element, self.properties, self.document.uri, self.base)


Action: TypeAlias = Callable[[Element, Frame], Awaitable[None]]


async def execute(steps: Sequence[Element], frame: Frame) -> None:
    """Executes what `content_of` gives, or a part of it."""
    for step in steps:
        action = _ACTIONS.get(step.name)
        if action is None:
            message = f"<{step.name}> is not executable content"
            raise VoiceXmlEvent("error.badfetch", message, uri=frame.document.uri, line=step.line)
        if frame.context.session.is_traced:
            frame.form.trace("execute", step)
        try:
            await action(step, frame)
        except VoiceXmlEvent as event:
            raise event.at(frame.document.uri, step.line) from None


@once
def content_of(element: Element) -> tuple[Element, ...]:
    """The executable content in an element, with text between elements as prompts (`TEXT_RUN`)."""
    # A form item may have properties (section 6.3), and they are no content.
    passed_over = {"property"} if element.name in FORM_ITEMS else frozenset[str]()
    return tuple(step for step in with_text_runs(element) if step.name not in passed_over)


# Prompts -----------------------------------------------------------------------------------------


async def _prompt(element: Element, frame: Frame) -> None:
    if not element.get("cond") or frame.scopes.truth(element.get("cond")):
        prompt = frame.prompts.prompt(element)
        if prompt is not None:
            frame.context.session.queue(prompt)


async def _reprompt(element: Element, frame: Frame) -> None:
    frame.reprompt = True


# Variables ---------------------------------------------------------------------------------------


async def _var(element: Element, frame: Frame) -> None:
    frame.scopes.declare(element.get("name"), element.attributes.get("expr"))


async def _assign(element: Element, frame: Frame) -> None:
    frame.scopes.assign(element.get("name"), element.get("expr"))


async def _clear(element: Element, frame: Frame) -> None:
    frame.form.clear(element.get("namelist").split())


async def _data(element: Element, frame: Frame) -> None:
    await run_data(element, frame.context, frame.document, frame.properties, frame.base)


async def _script(element: Element, frame: Frame) -> None:
    await run_script(element, frame.context, frame.document, frame.properties, frame.base)


async def run_script(
    element: Element,
    context: ExecutionContext,
    document: Document,
    properties: Properties,
    base: str = "",
) -> None:
    """`<script>`, inline or fetched (section 5.3.12); lines in errors are the document's."""
    uri = element.get("src")
    if expression := element.get("srcexpr"):
        uri = context.scopes.text(expression)
    if not uri:
        source, place, first_line = element.text, document.uri, element.line
    else:
        target = resolve_uri(base or element.base, uri)
        resource = await context.fetch(
            fetch_request(element, properties, "script", target, base=document.uri)
        )
        charset = resource.charset or element.get("charset") or "utf-8"
        try:
            source = resource.body.decode(charset)
        except (LookupError, UnicodeDecodeError) as error:
            raise VoiceXmlEvent("error.badfetch", str(error), uri=resource.uri) from None
        place, first_line = resource.uri, 1
    try:
        context.scopes.run(source)
    except VoiceXmlEvent as event:
        line = first_line + event.line - 1 if event.line else first_line
        raise VoiceXmlEvent(event.name, event.message, uri=place, line=line) from None


# Control -----------------------------------------------------------------------------------------


async def _if(element: Element, frame: Frame) -> None:
    for branch, content in _branches(element):
        if branch.name == "else" or frame.scopes.truth(branch.get("cond")):
            await execute(content, frame)
            return


@once
def _branches(element: Element) -> tuple[tuple[Element, tuple[Element, ...]], ...]:
    """The `<if>`, its `<elseif>` and `<else>`, each with the content that it decides on."""
    branches: list[tuple[Element, list[Element]]] = [(element, [])]
    for step in content_of(element):
        if step.name in {"else", "elseif"}:
            branches.append((step, []))
        else:
            branches[-1][1].append(step)
    return tuple((branch, tuple(content)) for branch, content in branches)


async def _foreach(element: Element, frame: Frame) -> None:
    for _ in iterate(element, frame.scopes):
        await frame.context.session.step()
        await execute(content_of(element), frame)


async def _goto(element: Element, frame: Frame) -> None:
    item = element.get("nextitem")
    if expression := element.get("expritem"):
        item = frame.scopes.text(expression)
    if "nextitem" in element.attributes or "expritem" in element.attributes:
        if not frame.form.has_item(item):
            raise VoiceXmlEvent("error.badfetch", f"this dialog has no form item {item!r}")
        raise GotoItem(item)
    raise await follow(element, frame, frame.document)


async def follow(element: Element, frame: Frame, document: Document) -> Transition:
    """The transition to where an element's next or expr points, fetched and compiled.

    A mere fragment points into `document`.
    """
    uri = element.get("next")
    if "expr" in element.attributes:
        uri = frame.scopes.text(element.get("expr"))
    request = _document_request(element, uri, frame)
    return Transition(
        await frame.context.find(uri, request, within=document, waiting=frame.waiting_for(element))
    )


async def _submit(element: Element, frame: Frame) -> None:
    uri = element.get("next")
    if "expr" in element.attributes:
        uri = frame.scopes.text(element.get("expr"))
    request = submission(element, uri, frame)
    raise Transition(await frame.context.find(uri, request, waiting=frame.waiting_for(element)))


def submission(element: Element, uri: str, frame: Frame) -> FetchRequest:
    """The request of a `<submit>` or `<subdialog>`: its namelist as fields (section 5.3.8)."""
    if "namelist" in element.attributes:
        names = element.get("namelist").split()
    elif element.name == "submit":
        names = frame.form.input_item_names()
    else:
        names = []
    request = _document_request(element, uri, frame)
    return with_fields(request, element, names, frame.scopes, frame.context.session.recordings)


def _document_request(element: Element, uri: str, frame: Frame) -> FetchRequest:
    """The same object where the same element leads to the same URI again."""
    known = element.table(FetchRequest)
    key = (uri, frame.properties, frame.base, frame.document.uri)
    request: FetchRequest | None = known.get(key)
    if request is None:
        target, base = frame.resolve(element, uri), frame.document.uri
        request = fetch_request(element, frame.properties, "document", target, base=base)
        known[key] = request
    return request


async def _throw(element: Element, frame: Frame) -> None:
    raise thrown(element, frame)


def thrown(element: Element, frame: Frame) -> VoiceXmlEvent:
    """The event that `<throw>`, `<return>`, `<link>` or `<choice>` names."""
    scopes = frame.scopes
    name = element.get("event")
    if "eventexpr" in element.attributes:
        name = scopes.text(element.get("eventexpr"))
    message = element.get("message")
    if "messageexpr" in element.attributes:
        message = scopes.text(element.get("messageexpr"))
    if not name.strip() or name == "undefined":
        return VoiceXmlEvent("error.semantic", f"<{element.name}> names no event")
    return VoiceXmlEvent(name.strip(), message, uri=frame.document.uri, line=element.line)


def namelist(element: Element, scopes: Scopes) -> dict[str, Json]:
    """The values of the variables that `namelist` names."""
    return {name: scopes.json(name) for name in element.get("namelist").split()}


async def _exit(element: Element, frame: Frame) -> None:
    value: Json = None
    if "expr" in element.attributes:
        value = frame.scopes.json(element.get("expr"))
    elif "namelist" in element.attributes:
        value = namelist(element, frame.scopes)
    raise Exit(value)


async def _return(element: Element, frame: Frame) -> None:
    if not frame.context.is_subdialog:
        raise VoiceXmlEvent("error.semantic", "<return> stands outside a subdialog")
    if "event" in element.attributes or "eventexpr" in element.attributes:
        raise Return(event=thrown(element, frame))
    values = frame.scopes.engine.from_json({})
    for name in element.get("namelist").split():
        frame.scopes.engine.define(values, name, name, frame.scopes.chain)
    raise Return(values=values)


async def _disconnect(element: Element, frame: Frame) -> None:
    await frame.context.session.disconnect(namelist(element, frame.scopes))


async def _log(element: Element, frame: Frame) -> None:
    scopes = frame.scopes
    label, text = element.get("label"), ""
    if "expr" in element.attributes:
        text = scopes.text(element.get("expr"))
    for node in element.children:
        if isinstance(node, str):
            text += node
        elif node.name == "value":
            text += scopes.text(node.get("expr"))
    frame.context.session.observe("log", {"label": label, "text": " ".join(text.split())})


_ACTIONS: Mapping[str, Action] = {
    TEXT_RUN: _prompt,
    "assign": _assign,
    "clear": _clear,
    "data": _data,
    "disconnect": _disconnect,
    "exit": _exit,
    "foreach": _foreach,
    "goto": _goto,
    "if": _if,
    "log": _log,
    "prompt": _prompt,
    "reprompt": _reprompt,
    "return": _return,
    "script": _script,
    "submit": _submit,
    "throw": _throw,
    "var": _var,
}
