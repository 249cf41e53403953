"""SSML documents read into plans (W3C Speech Synthesis Markup Language 1.0, and 1.1 where used).

Engines differ in how much SSML they know and fail in their own ways on the rest, so none is given
any: `parse` works out structure (section 3.1), styles (3.2) and marks (3.3), turns `<say-as>` and
`<sub>` into plain words, and looks words up in the lexicons that the request brings.

The rule: content is never lost. An element that is not known, or a value that makes no sense, is
reported as a warning with its line, and its content is spoken. Only what is no document at all, or
is beyond the limits, is refused: with `error.semantic`, for a prompt is assembled at run time from
what the application's document says.

`<audio>` is played by the interpreter; what comes here has its alternative spoken. `<metadata>`,
`<meta>`, `<lexicon>` and `<desc>` are not speech and are left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate

from lxml import etree

from vxml_server.events import VoiceXmlEvent
from vxml_server.markup import xml_parser
from vxml_server.tts import phonemes, prosody
from vxml_server.tts.lexicon import Lexicon, pronounced
from vxml_server.tts.plan import Item, MarkPoint, Pause, Phonemes, Plan, Style, Text
from vxml_server.tts.sayas import say_as
from vxml_server.tts.speech import SpeechRequest

MAX_BYTES = 262_144
MAX_DEPTH = 60
MAX_TEXT = 20_000  # characters spoken, or signs of their pronunciations
MAX_PAUSE = 120.0  # seconds of breaks, each and all together
MAX_LEXICONS = 20
MAX_MARKS = 1000
MAX_WARNINGS = 50
MAX_NAME = 1000  # characters of a mark's
MAX_VOICES = 500  # characters of the names of voices that are asked for at once
MAX_LANGUAGE = 100  # characters of a tag

NAMESPACE = "http://www.w3.org/2001/10/synthesis"
VOICEXML = "http://www.w3.org/2001/vxml"
XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"

SENTENCE_PAUSE = 0.3
PARAGRAPH_PAUSE = 0.6
BREAKS = {
    "none": 0.0,
    "x-weak": 0.1,
    "weak": 0.2,
    "medium": 0.4,
    "strong": 0.7,
    "x-strong": 1.0,
}

SILENT_ELEMENTS = frozenset({"metadata", "meta", "lexicon", "desc", "lookup"})
PLAIN_ELEMENTS = frozenset({"speak", "prompt", "audio", "token", "w", "lang"})
VERSIONS = frozenset({"1.0", "1.1"})
# Section 3.1.8: what each may not stand in. Its content is spoken all the same.
MISPLACED = {
    "p": frozenset({"p", "paragraph", "s", "sentence"}),
    "s": frozenset({"s", "sentence"}),
    "speak": frozenset({"speak"}),
}
MISPLACED |= {"paragraph": MISPLACED["p"], "sentence": MISPLACED["s"]}
_LANGUAGE_TAG = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*")
_AGE = re.compile(r"\d{1,3}", re.ASCII)


def parse(request: SpeechRequest) -> Plan:
    """The plan of a request's document. Raises `VoiceXmlEvent` `error.semantic`."""
    data = request.ssml.strip().encode("utf-8", "replace")
    if len(data) > MAX_BYTES:
        raise VoiceXmlEvent("error.semantic", f"the prompt is larger than {MAX_BYTES} bytes")
    parser = xml_parser(encoding="utf-8", remove_comments=True, remove_pis=True)
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise VoiceXmlEvent("error.semantic", f"the prompt is not well-formed: {error}") from error
    style = Style(
        lang=request.lang[:MAX_LANGUAGE],
        names=_first_names([request.voice] if request.voice else []),
        gender=request.gender or "",
    )
    lexicons = tuple(dict.fromkeys(request.lexicons))
    reader = _Reader(request, lexicons[:MAX_LEXICONS])
    if len(lexicons) > MAX_LEXICONS:
        reader.warn(root, f"has more than {MAX_LEXICONS} lexicons")
    if _name(root) != "speak":
        reader.warn(root, "is not <speak>")
    elif (version := root.get("version", "1.0").strip()) not in VERSIONS:
        reader.warn(root, f"has an unknown version {version!r}")
    reader.element(root, style, 0)
    return Plan(tuple(reader.items), tuple(reader.warnings))


def _name(element: etree._Element) -> str:
    """The local name where it is SSML (by namespace, or by none), else the name with its space."""
    qualified = etree.QName(element)
    if qualified.namespace in {None, NAMESPACE, VOICEXML}:
        return qualified.localname
    return str(element.tag)


class _Reader:
    """Walks a document once and collects the plan."""

    def __init__(self, request: SpeechRequest, lexicons: Sequence[Lexicon]) -> None:
        self._request = request
        self._lexicons = lexicons
        self.items: list[Item] = []
        self.warnings: list[str] = []
        self._length = 0
        self._paused = 0.0
        self._marks = 0
        self._sealed = 0  # items before this are not added to
        # A sentence or paragraph boundary becomes a pause only before more text, and not where
        # the author set a break.
        self._boundary = 0.0
        self._spoken = False
        self._broken = False

    def warn(self, element: etree._Element, what: str) -> None:
        if len(self.warnings) < MAX_WARNINGS:
            self.warnings.append(f"line {element.sourceline}: <{_name(element)}> {what}")

    def element(self, element: etree._Element, style: Style, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise VoiceXmlEvent("error.semantic", f"the prompt is nested over {MAX_DEPTH} deep")
        name = _name(element)
        if name in SILENT_ELEMENTS:
            return
        parent = element.getparent()
        if parent is not None and _name(parent) in MISPLACED.get(name, ()):
            self.warn(element, f"may not stand in <{_name(parent)}>")
        if lang := (element.get(XML_LANG) or "").strip():
            style = self._in_language(element, style, lang)
        handler = _HANDLERS.get(name)
        if handler is None and name not in PLAIN_ELEMENTS:
            self.warn(element, "is not known; its content is spoken")
        if handler is None:
            self.content(element, style, depth)
        else:
            handler(self, element, style, depth)

    def _in_language(self, element: etree._Element, style: Style, lang: str) -> Style:
        if len(lang) > MAX_LANGUAGE or not _LANGUAGE_TAG.fullmatch(lang):
            self.warn(element, f"has an xml:lang that is none: {lang[:40]!r}")
            return style
        # A voice was chosen for its language; another language chooses again.
        names = style.names if _primary(lang) == _primary(style.lang) else ()
        return replace(style, lang=lang, names=names)

    def content(self, element: etree._Element, style: Style, depth: int) -> None:
        self.text(element.text, style)
        for child in element:
            if isinstance(child.tag, str):
                self.element(child, style, depth + 1)
            elif isinstance(child, etree._Entity):
                self.warn(element, f"has an entity that is not read: {child.text[:40]}")
            self.text(child.tail, style)

    def text(
        self,
        text: str | None,
        style: Style,
        *,
        sounds: Phonemes | None = None,
        said_as: str = "",
    ) -> None:
        """Adds text; with `sounds` or as the words of a `<say-as>` it is a piece of its own."""
        if not text:
            return
        style = self._voiced(style)
        if not text.strip():
            # Space alone parts two pieces of the same breath, and is nothing elsewhere.
            last = self.items[-1] if self.items else None
            if not self._boundary and isinstance(last, Text) and not last.text.endswith(" "):
                self._append(Text(" ", style))
            return
        text = re.sub(r"\s+", " ", text)
        if self._boundary and self._spoken and not self._broken:
            self.items.append(Pause(self._boundary))
        elif self._broken and self.items and isinstance(self.items[-1], Text):
            text = f" {text}"  # a break of no length still parts words
        self._boundary, self._spoken, self._broken = 0.0, True, False
        if sounds is not None or said_as:
            self._speak(Text(text, style, sounds, said_as))
            return
        for piece, pronunciation in pronounced(text, style.lang, self._lexicons):
            self._speak(Text(piece, style, pronunciation))

    def _speak(self, text: Text) -> None:
        """Adds what is heard: an alias or a pronunciation may be longer than what is written."""
        self._length += max(len(text.text), len(text.phonemes.notation) if text.phonemes else 0)
        if self._length > MAX_TEXT:
            raise VoiceXmlEvent(
                "error.semantic", f"the prompt has more than {MAX_TEXT} characters to speak"
            )
        self._append(text)

    def _voiced(self, style: Style) -> Style:
        """With the operator's voice for its language, where none is asked for."""
        asked = style.names or style.age is not None or style.variant is not None
        if asked or style.gender != (self._request.gender or ""):
            return style
        voice = self._request.operators_voice(style.lang)
        return replace(style, names=_first_names([voice])) if voice else style

    def _append(self, text: Text) -> None:
        """Joins plain text of one style to what is before it."""
        last = self.items[-1] if self.items else None
        if not isinstance(last, Text):
            self.items.append(text)
            return
        # What stands around a number must not run into it.
        if (last.said_as or text.said_as) and _run_together(last.text, text.text):
            text = replace(text, text=f" {text.text}")
        if last.text.endswith(" "):
            text = replace(text, text=text.text.lstrip(" "))
        mergeable = len(self.items) > self._sealed and last.is_plain and text.is_plain
        if mergeable and last.style == text.style:
            self.items[-1] = Text(last.text + text.text, text.style)
        elif text.text:
            self.items.append(text)

    def seal(self) -> int:
        """From here on text makes new items; the number of those that there are."""
        self._sealed = len(self.items)
        return self._sealed

    def mark(self, name: str) -> None:
        self._marks += 1
        if self._marks > MAX_MARKS:
            raise VoiceXmlEvent("error.semantic", f"the prompt has more than {MAX_MARKS} marks")
        self.items.append(MarkPoint(name))

    def boundary(self, seconds: float) -> None:
        self._boundary = max(self._boundary, seconds)

    def pause(self, element: etree._Element, seconds: float) -> None:
        self._broken = True
        if (room := MAX_PAUSE - self._paused) < seconds:
            self.warn(element, f"is cut: the breaks last longer than {MAX_PAUSE:g} s")
            seconds = room
        if seconds > 0:
            self._paused += seconds
            self.items.append(Pause(seconds))


def _sentence(reader: _Reader, element: etree._Element, style: Style, depth: int) -> None:
    pause = SENTENCE_PAUSE if _name(element) in {"s", "sentence"} else PARAGRAPH_PAUSE
    reader.boundary(pause)
    reader.content(element, style, depth)
    reader.boundary(pause)


def _break(reader: _Reader, element: etree._Element, style: Style, depth: int) -> None:
    del style, depth
    strength = element.get("strength", "medium").strip()
    seconds = BREAKS.get(strength)
    if seconds is None:
        reader.warn(element, f"has an unknown strength {strength!r}")
        seconds = BREAKS["medium"]
    time = element.get("time", element.get("msecs", "")).strip()
    if time in {"small", "medium", "large"}:  # VoiceXML 1.0's sizes
        seconds = {"small": 0.2, "medium": 0.4, "large": 0.8}[time]
    elif time:
        parsed = prosody.seconds(time)
        if parsed is None:
            reader.warn(element, f"has a time that is none: {time!r}")
        else:
            seconds = parsed
    reader.pause(element, seconds)


def _mark(reader: _Reader, element: etree._Element, style: Style, depth: int) -> None:
    name = element.get("name", "").strip()
    if not name:
        reader.warn(element, "has no name")
    elif len(name) > MAX_NAME:
        reader.warn(element, f"has a name of more than {MAX_NAME} characters")
    else:
        reader.mark(name)
    reader.content(element, style, depth)


def _prosody(reader: _Reader, element: etree._Element, style: Style, depth: int) -> None:
    values = {str(name): str(value) for name, value in element.attrib.items()}
    time = values.get("duration", "").strip()
    duration = prosody.seconds(time)
    if time and not duration:
        reader.warn(element, f"has a duration that is none: {time[:40]!r}")
    if duration:
        values.pop("rate", None)  # the duration goes before the rate, says section 3.2.4
    style, wrong = prosody.changed(style, values)
    for attribute in wrong:
        value = values[attribute].strip()
        reader.warn(element, f"has a {attribute} that is none: {value[:40]!r}")
    shape = values.get("contour", "").strip()
    targets = prosody.contour(shape, style)
    if shape and targets is None:
        reader.warn(element, f"has a contour that is none: {shape[:40]!r}")
    if not duration and not targets:
        reader.content(element, style, depth)
        return
    start = reader.seal()
    reader.content(element, style, depth)
    if targets:
        reader.items[start:] = prosody.along(reader.items[start:], targets)
    if duration:
        reader.items[start:] = prosody.within(reader.items[start:], duration)
    reader.seal()


def _emphasis(reader: _Reader, element: etree._Element, style: Style, depth: int) -> None:
    level = element.get("level", "moderate").strip()
    emphasised = prosody.emphasised(style, level)
    if emphasised is None:
        reader.warn(element, f"has an unknown level {level!r}")
        emphasised = prosody.emphasised(style, "moderate")
    reader.content(element, emphasised or style, depth)


def _voice(reader: _Reader, element: etree._Element, style: Style, depth: int) -> None:
    asked = replace(style)
    if gender := element.get("gender", "").strip().lower():
        if gender in {"male", "female", "neutral"}:
            asked = replace(asked, gender=gender)
        else:
            reader.warn(element, f"has an unknown gender {gender!r}")
    for attribute, least in (("age", 0), ("variant", 1)):
        if not (value := element.get(attribute, "").strip()):
            continue
        if _AGE.fullmatch(value) and int(value) >= least:
            number = int(value)
            asked = (
                replace(asked, age=number) if attribute == "age" else replace(asked, variant=number)
            )
        else:
            reader.warn(element, f"has {attribute} that is none: {value[:40]!r}")
    named = element.get("name", "").split()
    names = _first_names(named)
    if len(names) < len(named):
        reader.warn(element, f"names more voices than {MAX_VOICES} characters can")
    # A voice of another kind is asked for: the one that had been named is not.
    if names or asked != style:
        asked = replace(asked, names=names)
    reader.content(element, asked, depth)


def _first_names(names: Sequence[str]) -> tuple[str, ...]:
    """As many as are looked for."""
    ends = accumulate(map(len, names))
    return tuple(name for name, end in zip(names, ends, strict=True) if end <= MAX_VOICES)


def _say_as(reader: _Reader, element: etree._Element, style: Style, depth: int) -> None:
    if len(element):
        reader.warn(element, "has elements in it; its content is spoken as it is")
        reader.content(element, style, depth)
        return
    kind = (element.get("interpret-as") or element.get("type") or "").strip()
    text = element.text or ""
    spoken = say_as(text, kind, element.get("format", "").strip(), style.lang)
    if spoken is None:
        reader.warn(element, f"is not understood as {kind[:40]!r}: {text[:40]!r}")
        reader.text(f" {text.strip()} " if text.strip() else None, style)
    else:
        reader.text(spoken.strip(), style, said_as=kind)


def _phoneme(reader: _Reader, element: etree._Element, style: Style, depth: int) -> None:
    """Section 3.1.9: the words are spoken where the pronunciation cannot be."""
    alphabet, notation = element.get("alphabet", ""), element.get("ph", "")
    sounds = phonemes.read(notation, alphabet)
    if sounds is None:
        known = f"{notation[:40]!r} in {alphabet[:20]!r}" if notation.strip() else "no ph"
        reader.warn(element, f"has a pronunciation that is not understood: {known}")
    if sounds is None or len(element):
        reader.content(element, style, depth)
    else:
        # Without words there is nothing for an engine to fall back to but the signs themselves.
        reader.text((element.text or "").strip() or sounds.notation, style, sounds=sounds)


def _sub(reader: _Reader, element: etree._Element, style: Style, depth: int) -> None:
    alias = element.get("alias", "").strip()
    if alias:
        reader.text(alias, style)
    else:
        reader.content(element, style, depth)


_HANDLERS: dict[str, Callable[[_Reader, etree._Element, Style, int], None]] = {
    "p": _sentence,
    "paragraph": _sentence,
    "s": _sentence,
    "sentence": _sentence,
    "break": _break,
    "mark": _mark,
    "prosody": _prosody,
    "emphasis": _emphasis,
    "voice": _voice,
    "say-as": _say_as,
    "phoneme": _phoneme,
    "sub": _sub,
}


def _primary(lang: str) -> str:
    return lang.split("-", 1)[0].lower()


def _run_together(before: str, after: str) -> bool:
    """Whether two pieces make one word."""
    return before[-1:].isalnum() and after[:1].isalnum()
