"""What can be known of a document without running it: the prompts that are the same for every
caller, and the documents that it leads to.

The rule: a prompt that is given here is, word for word, what `PromptBuilder` makes of it in a call,
so that speech made of it beforehand is found.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vxml_server import catalogue
from vxml_server.ecmascript import Engine
from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import resolve_uri, split_fragment
from vxml_server.interpreter.document import DIALOGS, FORM_ITEMS, HANDLERS, Document, Element
from vxml_server.interpreter.grammars import enumerated
from vxml_server.interpreter.platform import Prompt
from vxml_server.interpreter.prompts import TEXT_RUN, PromptBuilder, is_fixed, with_text_runs
from vxml_server.interpreter.properties import Properties
from vxml_server.interpreter.recordings import is_recording
from vxml_server.interpreter.scopes import Scopes

# Where prompts, and runs of text that are prompts, stand.
_HOLDERS = (FORM_ITEMS - {"object"}) | HANDLERS | {"menu", "filled", "if", "foreach"}
# Element -> the attribute that leads to another document. What is submitted to is a program.
_LEADING = {"choice": "next", "goto": "next", "link": "next", "subdialog": "src"}


@dataclass(frozen=True, slots=True)
class StaticPrompt:
    """A prompt of a document: either what it is for every caller, or why that is not known."""

    line: int
    prompt: Prompt | None
    reason: str = ""


def static_prompts(document: Document, lang: str) -> Iterator[StaticPrompt]:
    """The prompts of a document, in its order; `lang` is the platform's language."""
    engine = Engine()
    scopes = Scopes(engine, engine.new_scope())
    pending: list[tuple[Element, tuple[Element, ...]]] = [(document.root, ())]
    while pending:
        element, around = pending.pop()
        if element.name in _HOLDERS:
            item = _item(element, around)
            builder = PromptBuilder(
                scopes,
                Properties((element, *around)),
                item.lang or document.lang or lang,
                document.uri,
                enumerated(item),
            )
            for part in with_text_runs(element):
                if part.name in {"prompt", TEXT_RUN}:
                    yield from _static(part, builder)
        inside = (element, *around)
        below = [child for child in element.elements if child.name != "prompt"]
        pending.extend((child, inside) for child in reversed(below))


def platform_prompts(lang: str) -> Iterator[StaticPrompt]:
    """The platform's own words to callers, as a document in that language has them."""
    engine = Engine()
    builder = PromptBuilder(Scopes(engine, engine.new_scope()), Properties(()), lang, "")
    for key in catalogue.MESSAGES:
        if key.startswith("caller."):
            yield StaticPrompt(0, builder.text(catalogue.message(key, lang)))


def static_links(document: Document) -> Iterator[str]:
    """The absolute URIs, without fragments, of documents that this one names, its root first."""
    if document.application:
        yield document.application
    pending = [document.root]
    while pending:
        element = pending.pop()
        reference = element.get(_LEADING.get(element.name, ""))
        if reference and not reference.startswith("#"):
            yield split_fragment(resolve_uri(element.base, reference))[0]
        pending.extend(reversed(element.elements))


def _item(element: Element, around: tuple[Element, ...]) -> Element:
    """The form item or menu in which content stands, which has its language and its choices."""
    names = FORM_ITEMS | DIALOGS
    return next((one for one in (element, *around) if one.name in names), element)


def _static(part: Element, builder: PromptBuilder) -> Iterator[StaticPrompt]:
    if not is_fixed(part):
        yield StaticPrompt(part.line, None, _varying(part))
        return
    try:
        prompt = builder.prompt(part)
    except VoiceXmlEvent as event:
        yield StaticPrompt(part.line, None, event.message)
        return
    if prompt is not None:
        yield StaticPrompt(part.line, prompt)


def _varying(element: Element) -> str:
    """What makes a prompt depend on the call."""
    if element.name in {"enumerate", "foreach", "value"}:
        return f"<{element.name}>"
    for attribute in ("expr", "nameexpr"):
        if attribute in element.attributes:
            return f"<{element.name} {attribute}>"
    if is_recording(element.get("src")):
        return "a recording of the call"
    return next((_varying(child) for child in element.elements if not is_fixed(child)), "")
