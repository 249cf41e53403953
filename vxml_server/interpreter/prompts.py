"""From `<prompt>` to what the platform plays: section 4.1 of VoiceXML 2.0.

Everything that depends on the state of the session is evaluated here and now: conditions, values,
audio expressions, enumerations. What comes out is data: segments of self-contained SSML and of
audio with its fallback. An `<audio>` inside `<prosody>` splits the speech around it into two
documents, each with the elements that were open.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import resolve_uri
from vxml_server.interpreter.document import Element, Node, once
from vxml_server.interpreter.platform import (
    AudioSegment,
    Prompt,
    RecordedAudio,
    Segment,
)
from vxml_server.interpreter.properties import Properties, fetch_request
from vxml_server.interpreter.recordings import Recordings, is_recording
from vxml_server.interpreter.scopes import Scopes
from vxml_server.interpreter.speech import (
    UNSPOKEN,
    Assembler,
    Template,
    start_tag,
    template_of,
)
from vxml_server.interpreter.times import seconds
from vxml_server.interpreter.vocabulary import SSML

# What a run of text outside a <prompt> may hold (the %audio entity of the recommendation's DTD).
INLINE = frozenset({"audio", "value", "enumerate"})
# More than anyone listens to: a loop ends here.
MAX_REPETITIONS = 2000
# More than a prompt has use for.
MAX_LEXICONS = 8
# The name of what stands for a run of text, audio and values outside a <prompt>.
TEXT_RUN = "(text)"
# What a prompt says depends on the state of the call if there is one of these in it.
_VARYING = frozenset({"foreach", "value"})
_OF_EXPRESSIONS = frozenset({"expr", "nameexpr"})
# The variables of an <enumerate>, which are known without a look at the state of the call.
_OF_CHOICE = frozenset({"_prompt", "_dtmf"})


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """A `<choice>` or `<option>` as `<enumerate>` reads it out (section 2.2.4)."""

    element: Element
    dtmf: str


class CountedPrompt(NamedTuple):
    """A prompt of a form item, its `count`, and its condition ("": it always holds)."""

    element: Element
    from_count: int
    cond: str


def select_prompts(
    prompts: Iterable[CountedPrompt], counter: int, condition: Scopes
) -> list[Element]:
    """The prompts to play at this count (section 4.1.6), in document order.

    Of those whose `cond` holds, the ones with the highest count that has been reached.
    """
    ready = [prompt for prompt in prompts if not prompt.cond or condition.truth(prompt.cond)]
    reached = [prompt.from_count for prompt in ready if prompt.from_count <= counter]
    highest = max(reached, default=0)
    return [prompt.element for prompt in ready if prompt.from_count == highest]


def with_text_runs(parent: Element) -> list[Element]:
    """The elements in `parent`, and the runs of text, audio and values between them.

    A run is an element with the name `TEXT_RUN`, without attributes. White space alone is none, and
    what is before a run does not belong to it.
    """
    found: list[Element] = []
    run: list[Node] = []

    def end_run() -> None:
        found.append(Element(TEXT_RUN, {}, tuple(run), parent.line, parent.lang, parent.base))
        run.clear()

    for node in parent.children:
        if isinstance(node, str):
            if run or not node.isspace():
                run.append(node)
        elif node.name in INLINE:
            run.append(node)
        else:
            if run:
                end_run()
            found.append(node)
    if run:
        end_run()
    return found


@once
def is_fixed(element: Element) -> bool:
    """Whether a prompt or a part of it is the same for all calls that have the same properties."""
    if element.name == "enumerate":
        return _is_templated(element) and _is_plain(element)
    if element.name in _VARYING or not _OF_EXPRESSIONS.isdisjoint(element.attributes):
        return False
    if is_recording(element.get("src")):
        return False
    return all(is_fixed(child) for child in element.elements)


def _is_templated(element: Element) -> bool:
    """Whether an `<enumerate>` says how its choices are read out."""
    return bool(element.elements) or bool(element.text.strip())


@once
def _is_plain(template: Element) -> bool:
    """Whether an `<enumerate>` holds text and its own variables, and nothing else."""
    return all(
        child.name == "value" and child.get("expr").strip() in _OF_CHOICE
        for child in template.elements
    )


class PromptBuilder:
    """Makes prompts for one place: its scopes, its properties, its language, its choices.

    `base` overrides the base URI of the elements (see `content.Frame`).
    """

    def __init__(
        self,
        scopes: Scopes,
        properties: Properties,
        lang: str,
        document_uri: str,
        choices: tuple[Choice, ...] = (),
        base: str = "",
        recordings: Recordings | None = None,
    ) -> None:
        self._recordings = recordings
        self._document_uri = document_uri
        self._base = base
        self._scopes = scopes
        self._properties = properties
        self._lang = lang
        self._choices = choices
        self._repetitions = 0

    def prompt(self, element: Element) -> Prompt | None:
        """A `<prompt>` or a `TEXT_RUN`; None when there is nothing in it to hear."""
        if not is_fixed(element):
            return self._make(element)
        made = element.table(PromptBuilder)
        key = (self._properties, self._lang, self._document_uri, self._base, self._choices)
        if key not in made:
            made[key] = self._make(element)
        prompt: Prompt | None = made[key]
        return prompt

    def _make(self, element: Element) -> Prompt | None:
        lang = element.lang or self._lang
        segments = self._segments(element, lang)
        if not segments:
            return None
        kind = element.get("bargeintype") or self._properties.get("bargeintype")
        if kind not in {"speech", "hotword"}:
            if not self._in_handler:
                message = f"property bargeintype: {kind!r} is neither speech nor hotword"
                raise VoiceXmlEvent("error.semantic", message, line=element.line)
            kind = "speech"
        bargein, timeout = element.get("bargein"), element.get("timeout")
        return Prompt(
            segments,
            lang,
            bargein == "true" if bargein else self._properties.flag("bargein"),
            cast(Literal["speech", "hotword"], kind),
            seconds(timeout) if timeout else self._timeout(),
            element.line,
            is_fixed(element),
        )

    def _segments(self, element: Element, lang: str) -> tuple[Segment, ...]:
        template = self._template(element)
        if template is not None:
            values = [self._scopes.text(expression) for expression in template.expressions]
            speech = template.filled(values, lang)
            return () if speech is None else (speech,)
        self._repetitions = 0
        assembler = Assembler(lang)
        self._add(element.children, assembler)
        return assembler.finish()

    def _template(self, element: Element) -> Template | None:
        # What is always the same is made once, and a value may be the name of a recording.
        has_recordings = self._recordings is not None and not self._recordings.are_none
        return None if has_recordings or is_fixed(element) else template_of(element)

    @property
    def _in_handler(self) -> bool:
        """Whether what is wrong with a property has to wait: its own handler must be heard."""
        return bool(self._base)

    def _timeout(self) -> float | None:
        """The property that holds when the prompt is queued, not while waiting (section 4.1.7)."""
        try:
            return self._properties.time("timeout")
        except VoiceXmlEvent:
            if not self._in_handler:
                raise
            return None

    def text(self, words: str) -> Prompt:
        """The platform's own words."""
        assembler = Assembler(self._lang)
        assembler.say(words)
        return Prompt(segments=assembler.finish(), lang=self._lang, is_fixed=True)

    def _add(self, nodes: Sequence[Node], out: Assembler) -> None:
        for node in nodes:
            if isinstance(node, str):
                out.say(node)
            elif node.name == "value":
                self._add_value(node, out)
            elif node.name == "audio":
                self._add_audio(node, out)
            elif node.name == "enumerate":
                self._add_enumerate(node, out)
            elif node.name == "foreach":
                for position, _ in enumerate(iterate(node, self._scopes)):
                    out.say(" " if position else "")
                    self._repetitions += 1
                    if self._repetitions > MAX_REPETITIONS:
                        message = f"<foreach> made a prompt of {MAX_REPETITIONS} parts, and more"
                        raise VoiceXmlEvent("error.semantic", message, line=node.line)
                    self._add(node.children, out)
            elif node.name == "mark":
                expression = node.get("nameexpr")
                out.mark(self._scopes.text(expression) if expression else node.get("name"))
            elif node.name == "lexicon":
                self._add_lexicon(node, out)
            elif node.name in UNSPOKEN:
                continue
            elif node.name in {"prompt", "speak"}:
                self._add(node.children, out)
            elif node.name in SSML:
                with_own_words = node.name == "sub"
                out.open(node.name, start_tag(node))
                if with_own_words:
                    out.hear(node.get("alias"))
                    out.markup_text(node.text)
                else:
                    self._add(node.children, out)
                out.close()
            else:
                message = f"<{node.name}> cannot stand in a prompt"
                raise VoiceXmlEvent("error.badfetch", message, line=node.line)

    def _add_value(self, element: Element, out: Assembler) -> None:
        text = self._scopes.text(element.get("expr"))
        recorded = self._recorded(text)
        if recorded is None:
            out.say(text)
        else:
            out.audio(AudioSegment(None, recorded.data, recorded.media_type, line=element.line))

    def _recorded(self, text: str) -> RecordedAudio | None:
        return None if self._recordings is None else self._recordings.named(text)

    def _add_audio(self, element: Element, out: Assembler) -> None:
        uri = element.get("src")
        if expression := element.get("expr"):
            value = self._scopes.value(expression)
            if value is None:
                return  # section 4.1.3: undefined means neither the audio nor its alternative
            uri = self._scopes.engine.text_of(value)
        fallback = Assembler(out.lang, out.opened, out.lexicons)
        self._add(element.children, fallback)
        if (recorded := self._recorded(uri)) is not None:
            heard = fallback.finish()
            out.audio(AudioSegment(None, recorded.data, recorded.media_type, heard, element.line))
            return
        target = resolve_uri(self._base or element.base, uri)
        out.audio(
            AudioSegment(
                fetch_request(element, self._properties, "audio", target, base=self._document_uri),
                fallback=fallback.finish(),
                line=element.line,
            )
        )

    def _add_lexicon(self, element: Element, out: Assembler) -> None:
        """SSML 1.0 section 3.1.4: for all of the prompt that follows."""
        uri = element.get("uri").strip()
        if uri and len(out.lexicons) < MAX_LEXICONS:
            target = resolve_uri(self._base or element.base, uri)
            base = self._document_uri
            out.lexicons.append(
                fetch_request(element, self._properties, "audio", target, base=base)
            )

    def _add_enumerate(self, element: Element, out: Assembler) -> None:
        """Each choice by the template inside, or by its own words, parted by commas."""
        if not self._choices:
            message = "<enumerate> stands where there are no choices"
            raise VoiceXmlEvent("error.semantic", message, line=element.line)
        templated = _is_templated(element)
        for position, choice in enumerate(self._choices):
            # What is repeated is not run together with what was before.
            out.say("" if not position else " " if templated else ", ")
            if not templated:
                self._add(_trimmed(spoken_part(choice.element)), out)
                continue
            words = " ".join(choice_text(choice.element).split())
            variables = {"_prompt": words, "_dtmf": choice.dtmf}
            if _is_plain(element):
                for node in element.children:
                    out.say(node if isinstance(node, str) else variables[node.get("expr").strip()])
                continue
            with self._scopes.anonymous():
                for name, value in variables.items():
                    self._scopes.engine.set(self._scopes.innermost, name, value)
                self._add(element.children, out)


def spoken_part(element: Element) -> list[Node]:
    """What of a `<choice>` or `<option>` is heard: all but its grammars."""
    return [node for node in element.children if isinstance(node, str) or node.name != "grammar"]


def _trimmed(nodes: list[Node]) -> list[Node]:
    """Without the white space before the first and behind the last of the words."""
    trimmed = list(nodes)
    if trimmed and isinstance(trimmed[0], str):
        trimmed[0] = trimmed[0].lstrip()
    if trimmed and isinstance(trimmed[-1], str):
        trimmed[-1] = trimmed[-1].rstrip()
    return trimmed


@once
def choice_text(element: Element) -> str:
    """The words of a `<choice>` or `<option>`, those inside its SSML included."""
    return "".join(
        node if isinstance(node, str) else choice_text(node) for node in spoken_part(element)
    ).strip()


def iterate(element: Element, scopes: Scopes) -> Iterable[int]:
    """`<foreach>` (VoiceXML 2.1 section 6): the item variable takes each value in turn."""
    array = scopes.value(element.get("array"))
    engine = scopes.engine
    if engine.type_of(array) != "array":
        message = f"<foreach>: {element.get('array')} is not an array"
        raise VoiceXmlEvent("error.semantic", message, line=element.line)
    # A shallow copy: what the loop does to the array does not change the loop.
    values = engine.copy_array(array)
    for index in range(int(engine.get(values, "length"))):
        scopes.declare(element.get("item"), None)
        engine.copy(values, str(index), scopes.innermost, element.get("item"))
        yield index
