"""The speech of a prompt: SSML documents, each whole in itself (section 4.1 of VoiceXML 2.0).

An `Assembler` is told what is said, opened and closed, and makes a segment of it whenever
audio interrupts. Of most prompts all but a few values is known from the document: such a prompt has
a `Template`, made once, into which the values are written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from xml.sax.saxutils import escape, quoteattr

from vxml_server.fetch import FetchRequest
from vxml_server.interpreter.document import Element, Node, once
from vxml_server.interpreter.platform import AudioSegment, Segment, SpeechSegment
from vxml_server.interpreter.vocabulary import SSML

SSML_NAMESPACE = "http://www.w3.org/2001/10/synthesis"
UNSPOKEN = frozenset({"desc", "metadata", "meta"})
_PAUSING = frozenset({"p", "paragraph", "s", "sentence", "break"})
# What a script may put into a text and XML cannot carry (XML 1.0 section 2.2).
_UNWRITABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# What cannot be written as it is.
_SPECIAL = re.compile(f"[&<>]|{_UNWRITABLE.pattern}")
_OF_XML = {"lang": "xml:lang", "base": "xml:base", "space": "xml:space"}
# What a template may be made of, beside text and values: what only wraps words.
_WRAPPING = SSML - {"lexicon", "mark", "speak", "sub"} - UNSPOKEN
# Where a value is to stand, while a template is made: a character that nobody has given a meaning.
_HOLE = "\ue2a7"


@once
def start_tag(element: Element) -> str:
    written = "".join(
        f" {_OF_XML.get(key, key)}={quoteattr(value)}" for key, value in element.attributes.items()
    )
    return f"<{element.name}{written}>"


@lru_cache(maxsize=30)
def _start_of_speech(lang: str) -> str:
    written = f" xml:lang={quoteattr(lang)}" if lang else ""
    return f'<speak version="1.0" xmlns="{SSML_NAMESPACE}"{written}>'


class Assembler:
    """Collects speech until audio interrupts it, and keeps what is open across the gap."""

    def __init__(
        self,
        lang: str,
        opened: Sequence[tuple[str, str]] = (),
        lexicons: Sequence[FetchRequest] = (),
    ) -> None:
        self.lang = lang
        self.lexicons = list(lexicons)
        self._open: list[tuple[str, str]] = list(opened)
        self._segments: list[Segment] = []
        self._start()

    def _start(self) -> None:
        self._markup: list[str] = [start for _, start in self._open]
        self._words: list[str] = []
        self._marks: list[str] = []
        self._audible = False

    @property
    def opened(self) -> Sequence[tuple[str, str]]:
        return tuple(self._open)

    def say(self, text: str) -> None:
        self.markup_text(text)
        self.hear(text)

    def hear(self, text: str) -> None:
        """Words as the caller hears them, without markup for the synthesiser."""
        self._words.append(text)
        self._audible = self._audible or bool(text.strip())

    def markup_text(self, text: str) -> None:
        """Text for the synthesiser."""
        self._markup.append(written(text))

    def leave_out(self) -> None:
        """A value stands here that is not known yet."""
        self._markup.append(_HOLE)
        self._words.append(_HOLE)

    def open(self, name: str, start: str) -> None:
        """An element of SSML, which begins with the tag `start`."""
        self._open.append((name, start))
        self._markup.append(start)
        if name in _PAUSING:
            self._words.append(" ")
        if name == "break":
            self._audible = True

    def close(self) -> None:
        name, _ = self._open.pop()
        self._markup.append(f"</{name}>")
        if name in _PAUSING:
            self._words.append(" ")

    def mark(self, name: str) -> None:
        self._markup.append(f"<mark name={quoteattr(_UNWRITABLE.sub(' ', name))}/>")
        self._marks.append(name)
        self._audible = True

    def audio(self, segment: AudioSegment) -> None:
        self._flush()
        self._segments.append(segment)

    def finish(self) -> tuple[Segment, ...]:
        self._flush()
        return tuple(self._segments)

    def template(self, expressions: Iterable[str]) -> Template:
        """What was assembled, with the expressions of the values that were left out."""
        return Template(
            tuple("".join(self._markup).split(_HOLE)),
            tuple("".join(self._words).split(_HOLE)),
            tuple(expressions),
            self._audible,
        )

    def _flush(self) -> None:
        if self._audible:
            ends = "".join([f"</{name}>" for name, _ in reversed(self._open)])
            self._segments.append(
                _speech(
                    "".join(self._markup) + ends,
                    "".join(self._words),
                    self.lang,
                    tuple(self._marks),
                    tuple(self.lexicons),
                )
            )
        self._start()


def _speech(
    markup: str,
    words: str,
    lang: str,
    marks: tuple[str, ...] = (),
    lexicons: tuple[FetchRequest, ...] = (),
) -> SpeechSegment:
    ssml = f"{_start_of_speech(lang)}{markup}</speak>"
    return SpeechSegment(ssml, " ".join(words.split()), lang, marks, lexicons)


def written(text: str) -> str:
    """Text as it is written in XML."""
    return text if _SPECIAL.search(text) is None else escape(_UNWRITABLE.sub(" ", text))


# Templates ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """A prompt that is speech without a break, and in which only values vary.

    `markup` and `words` are what stands before, between and behind the values of `expressions`;
    `audible` says whether there is something to hear whatever the values are.
    """

    markup: tuple[str, ...]
    words: tuple[str, ...]
    expressions: tuple[str, ...]
    audible: bool

    def filled(self, values: Sequence[str], lang: str) -> SpeechSegment | None:
        """The speech with these texts for values; None when there is nothing to hear."""
        if not self.audible and not any(value.strip() for value in values):
            return None
        markup = _filled(self.markup, [written(value) for value in values])
        return _speech(markup, _filled(self.words, values), lang)


def _filled(pieces: Sequence[str], values: Sequence[str]) -> str:
    parts = [""] * (2 * len(pieces) - 1)
    parts[::2], parts[1::2] = pieces, values
    return "".join(parts)


def template_of(prompt: Element) -> Template | None:
    """The template of a prompt that comes again; None the first time, which may be the only one,
    and for a prompt with audio, loops, marks and the like."""
    if template_of not in prompt.known:
        prompt.known[template_of] = "came once"
        return None
    return _template(prompt)


@once
def _template(prompt: Element) -> Template | None:
    out = Assembler("")
    expressions: list[str] = []
    if not _assemble(prompt.children, out, expressions):
        return None
    made = out.template(expressions)
    # Otherwise the author has written the character that stands for a value.
    return made if len(made.markup) == len(made.words) == len(expressions) + 1 else None


def _assemble(nodes: Sequence[Node], out: Assembler, expressions: list[str]) -> bool:
    """Assembles what a template may have, and leaves out the values; False for anything else."""
    for node in nodes:
        if isinstance(node, str):
            out.say(node)
        elif node.name == "value":
            out.leave_out()
            expressions.append(node.get("expr"))
        elif node.name in _WRAPPING:
            out.open(node.name, start_tag(node))
            if not _assemble(node.children, out, expressions):
                return False
            out.close()
        elif node.name not in UNSPOKEN:
            return False
    return True
