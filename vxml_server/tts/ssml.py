"""SSML documents read into plans (W3C Speech Synthesis Markup Language 1.0, and 1.1 where used).

Engines differ in how much SSML they know and fail in their own ways on the rest, so none is given
any: `parse` works out structure (section 3.1), styles (3.2) and marks (3.3) and turns `<say-as>`
and `<sub>` into plain words.

The rule: content is never lost. An element that is not known, or a value that makes no sense, is
reported as a warning and its content is spoken. Only what is no document at all, or is beyond the
limits, is refused: with `error.semantic`, for a prompt is assembled at run time from what the
application's document says.

Not followed, each with its content spoken normally: `<phoneme>` (engines have no common alphabet),
`<prosody contour>` and `<prosody duration>`, `<audio>` (the interpreter plays it; here its content
is the alternative). `<metadata>`, `<meta>`, `<lexicon>`, `<desc>` are not speech and are left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace

from lxml import etree

from vxml_server.events import VoiceXmlEvent
from vxml_server.tts.plan import Item, MarkPoint, Pause, Plan, Style, Text
from vxml_server.tts.sayas import say_as
from vxml_server.tts.speech import SpeechRequest

MAX_BYTES = 262_144
MAX_DEPTH = 60
MAX_TEXT = 20_000  # characters spoken: about half an hour
MAX_PAUSE = 120.0  # seconds, each and all together

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

RATES = {
    "x-slow": 0.5,
    "slow": 0.75,
    "medium": 1.0,
    "default": 1.0,
    "fast": 1.35,
    "x-fast": 1.75,
}
PITCHES = {
    "x-low": 0.75,
    "low": 0.87,
    "medium": 1.0,
    "default": 1.0,
    "high": 1.15,
    "x-high": 1.35,
}
RANGES = {"x-low": 0.25, "low": 0.6, "medium": 1.0, "default": 1.0, "high": 1.4, "x-high": 1.8}
GAINS = {"x-soft": -12.0, "soft": -6.0, "medium": 0.0, "default": 0.0, "loud": 3.0, "x-loud": 6.0}
# Emphasis as what a reader does: slower, higher, louder, or the contrary.
EMPHASIS = {
    "strong": (0.88, 1.12, 3.0),
    "moderate": (0.94, 1.06, 1.5),
    "none": (1.0, 1.0, 0.0),
    "reduced": (1.06, 0.96, -2.0),
}
RATE_LIMITS = (0.3, 3.0)
PITCH_LIMITS = (0.5, 2.0)
RANGE_LIMITS = (0.0, 2.0)
GAIN_LIMITS = (-40.0, 6.0)
# A pitch in hertz says nothing about the voice it is for; these are what voices are by themselves.
NORMAL_HERTZ = {"female": 190.0}
DEFAULT_HERTZ = 105.0

SILENT_ELEMENTS = frozenset({"metadata", "meta", "lexicon", "desc", "lookup"})
PLAIN_ELEMENTS = frozenset({"phoneme", "audio", "token", "w", "lang"})
_NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)"
_SIGNED = re.compile(rf"([+-]?)({_NUMBER})(%|st|Hz|dB)?", re.IGNORECASE)
_TIME = re.compile(rf"\+?({_NUMBER})(ms|s)", re.IGNORECASE)


def parse(request: SpeechRequest) -> Plan:
    """The plan of a request's document. Raises `VoiceXmlEvent` `error.semantic`."""
    data = request.ssml.strip().encode("utf-8", "replace")
    if len(data) > MAX_BYTES:
        raise VoiceXmlEvent("error.semantic", f"the prompt is larger than {MAX_BYTES} bytes")
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise VoiceXmlEvent("error.semantic", f"the prompt is not well-formed: {error}") from error
    style = Style(
        lang=request.lang,
        names=(request.voice,) if request.voice else (),
        gender=request.gender or "",
    )
    reader = _Reader()
    if _name(root) != "speak":
        reader.warn(root, "is not <speak>")
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

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.warnings: list[str] = []
        self._length = 0
        self._paused = 0.0
        # A sentence or paragraph boundary becomes a pause only before more text, and not where
        # the author set a break.
        self._boundary = 0.0
        self._spoken = False
        self._broken = False

    def warn(self, element: etree._Element, what: str) -> None:
        self.warnings.append(f"line {element.sourceline}: <{_name(element)}> {what}")

    def element(self, element: etree._Element, style: Style, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise VoiceXmlEvent("error.semantic", f"the prompt is nested over {MAX_DEPTH} deep")
        name = _name(element)
        if name in SILENT_ELEMENTS:
            return
        if lang := (element.get(XML_LANG) or "").strip():
            # A voice was chosen for its language; another language chooses again.
            names = style.names if _primary(lang) == _primary(style.lang) else ()
            style = replace(style, lang=lang, names=names)
        handler = _HANDLERS.get(name)
        if handler is None and name not in PLAIN_ELEMENTS:
            self.warn(element, "is not known; its content is spoken")
        if handler is None:
            self.content(element, style, depth)
        else:
            handler(self, element, style, depth)

    def content(self, element: etree._Element, style: Style, depth: int) -> None:
        self.text(element.text, style)
        for child in element:
            if isinstance(child.tag, str):
                self.element(child, style, depth + 1)
            self.text(child.tail, style)

    def text(self, text: str | None, style: Style) -> None:
        if not text:
            return
        if not text.strip():
            # Space alone parts two pieces of the same breath, and is nothing elsewhere.
            if not self._boundary and self.items and isinstance(self.items[-1], Text):
                self._append(Text(" ", style))
            return
        self._length += len(text)
        if self._length > MAX_TEXT:
            raise VoiceXmlEvent(
                "error.semantic", f"the prompt has more than {MAX_TEXT} characters to speak"
            )
        text = re.sub(r"\s+", " ", text)
        if self._boundary and self._spoken and not self._broken:
            self.items.append(Pause(self._boundary))
        elif self._broken and self.items and isinstance(self.items[-1], Text):
            text = f" {text}"  # a break of no length still parts words
        self._boundary, self._spoken, self._broken = 0.0, True, False
        self._append(Text(text, style))

    def _append(self, text: Text) -> None:
        """Joins text of one style to what is before it."""
        last = self.items[-1] if self.items else None
        if isinstance(last, Text) and last.style == text.style:
            self.items[-1] = Text(re.sub(r" +", " ", last.text + text.text), text.style)
        else:
            self.items.append(text)

    def boundary(self, seconds: float) -> None:
        self._boundary = max(self._boundary, seconds)

    def pause(self, seconds: float) -> None:
        self._broken = True
        seconds = min(seconds, MAX_PAUSE - self._paused)
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
        parsed = _seconds(time)
        if parsed is None:
            reader.warn(element, f"has a time that is none: {time!r}")
        else:
            seconds = parsed
    reader.pause(seconds)


def _mark(reader: _Reader, element: etree._Element, style: Style, depth: int) -> None:
    if name := element.get("name", "").strip():
        reader.items.append(MarkPoint(name))
    else:
        reader.warn(element, "has no name")
    reader.content(element, style, depth)


def _prosody(reader: _Reader, element: etree._Element, style: Style, depth: int) -> None:
    hertz = NORMAL_HERTZ.get(style.gender, DEFAULT_HERTZ)
    changes: dict[str, Callable[[Style, str], Style | None]] = {
        "rate": _with_rate,
        "pitch": lambda style, value: _with_pitch(style, value, hertz),
        "range": _with_range,
        "volume": _with_volume,
    }
    for attribute, change in changes.items():
        value = element.get(attribute, "").strip()
        if not value:
            continue
        changed = change(style, value)
        if changed is None:
            reader.warn(element, f"has a {attribute} that is none: {value!r}")
        else:
            style = changed
    for attribute in ("contour", "duration"):
        if element.get(attribute):
            reader.warn(element, f"has a {attribute}, which is not followed")
    reader.content(element, style, depth)


def _emphasis(reader: _Reader, element: etree._Element, style: Style, depth: int) -> None:
    level = element.get("level", "moderate").strip()
    if level not in EMPHASIS:
        reader.warn(element, f"has an unknown level {level!r}")
        level = "moderate"
    rate, pitch, gain = EMPHASIS[level]
    reader.content(
        element,
        replace(
            style,
            rate=_clip(style.rate * rate, RATE_LIMITS),
            pitch=_clip(style.pitch * pitch, PITCH_LIMITS),
            gain_db=_clip(style.gain_db + gain, GAIN_LIMITS),
        ),
        depth,
    )


def _voice(reader: _Reader, element: etree._Element, style: Style, depth: int) -> None:
    if names := tuple(element.get("name", "").split()):
        style = replace(style, names=names)
    if gender := element.get("gender", "").strip().lower():
        if gender in {"male", "female", "neutral"}:
            style = replace(style, gender=gender)
        else:
            reader.warn(element, f"has an unknown gender {gender!r}")
    reader.content(element, style, depth)


def _say_as(reader: _Reader, element: etree._Element, style: Style, depth: int) -> None:
    if len(element):
        reader.warn(element, "has elements in it; its content is spoken as it is")
        reader.content(element, style, depth)
        return
    kind = (element.get("interpret-as") or element.get("type") or "").strip()
    spoken = say_as(
        element.text or "",
        kind,
        element.get("format", "").strip(),
        style.lang,
    )
    if spoken is None:
        reader.warn(element, f"is not understood as {kind!r}: {(element.text or '')[:40]!r}")
        spoken = element.text or ""
    # What stands around a number must not run into it.
    reader.text(f" {spoken.strip()} " if spoken.strip() else None, style)


def _sub(reader: _Reader, element: etree._Element, style: Style, depth: int) -> None:
    alias = element.get("alias", "").strip()
    if alias:
        reader.text(alias, style)
    else:
        reader.content(element, style, depth)


_HANDLERS: dict[str, Callable[[_Reader, etree._Element, Style, int], None]] = {
    "speak": lambda reader, element, style, depth: reader.content(element, style, depth),
    "prompt": lambda reader, element, style, depth: reader.content(element, style, depth),
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
    "sub": _sub,
}


def _primary(lang: str) -> str:
    return lang.split("-", 1)[0].lower()


def _seconds(time: str) -> float | None:
    """A time designation of CSS2 in seconds."""
    if not (match := _TIME.fullmatch(time)):
        return None
    return float(match[1]) / (1000 if match[2].lower() == "ms" else 1)


def _clip(value: float, limits: tuple[float, float]) -> float:
    return min(max(value, limits[0]), limits[1])


def _relative(value: str, current: float) -> float | None:
    """`current` changed by '+10%', '-2st'; None when it is no such change."""
    match = _SIGNED.fullmatch(value)
    if not match or not match[1]:
        return None
    amount = float(match[1] + match[2])
    unit = (match[3] or "").lower()
    if unit == "%":
        return current * (1 + amount / 100)
    if unit == "st":
        return float(current * 2 ** (_clip(amount, (-48, 48)) / 12))
    return None


def _with_rate(style: Style, value: str) -> Style | None:
    """Section 3.2.4: a label, a multiplier of the default, or a change of the current rate."""
    rate = RATES.get(value)
    match = _SIGNED.fullmatch(value)
    if rate is None and match and not match[1] and match[3] in {None, "%"}:
        rate = float(match[2]) / (100 if match[3] else 1)
    if rate is None:
        rate = _relative(value, style.rate)
    return None if rate is None else replace(style, rate=_clip(rate, RATE_LIMITS))


def _with_pitch(style: Style, value: str, hertz: float) -> Style | None:
    pitch = PITCHES.get(value)
    match = _SIGNED.fullmatch(value)
    if pitch is None and match and (match[3] or "").lower() == "hz":
        amount = float(match[1] + match[2]) / hertz
        pitch = style.pitch + amount if match[1] else amount
    if pitch is None:
        pitch = _relative(value, style.pitch)
    return None if pitch is None else replace(style, pitch=_clip(pitch, PITCH_LIMITS))


def _with_range(style: Style, value: str) -> Style | None:
    width = RANGES.get(value)
    if width is None:
        width = _relative(value, style.pitch_range)
    return None if width is None else replace(style, pitch_range=_clip(width, RANGE_LIMITS))


def _with_volume(style: Style, value: str) -> Style | None:
    """A label; 0 to 100 of the normal amplitude, or a change of it; or decibels (SSML 1.1)."""
    if value == "silent":
        return replace(style, silent=True)
    gain = GAINS.get(value)
    match = _SIGNED.fullmatch(value)
    if gain is None and match:
        unit = (match[3] or "").lower()
        amount = float(match[1] + match[2])
        if unit == "db":
            gain = style.gain_db + amount
        elif unit in {"", "%"}:
            percent = amount + 100 * 10 ** (style.gain_db / 20) if match[1] else amount
            if percent <= 0:
                return replace(style, silent=True)
            gain = _decibels(percent / 100)
    if gain is None:
        return None
    return replace(style, gain_db=_clip(gain, GAIN_LIMITS), silent=False)


def _decibels(factor: float) -> float:
    return 20 * math.log10(factor)
