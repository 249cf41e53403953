"""What is heard of a prompt, and for how long, where there is no voice: the dialogue format's rule.

A word takes 0.3 s, a `<break>` the time it says, an audio file its real length. An audio file that
cannot be had or decoded is replaced by its fallback (VoiceXML 2.0 section 4.1.3).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import ResourceFetcher
from vxml_server.interpreter.platform import (
    AudioSegment,
    Json,
    Prompt,
    Segment,
    SpeechSegment,
)
from vxml_server.markup import xml_parser

SECONDS_A_WORD = 0.3
# SSML 1.0 section 3.2.3 leaves to the platform how long a strength lasts.
BREAK_STRENGTHS = {
    "none": 0.0,
    "x-weak": 0.1,
    "weak": 0.25,
    "medium": 0.5,
    "strong": 0.75,
    "x-strong": 1.0,
}
MAX_BREAK = 3600.0
# A `sub` is spoken as its alias.
_UNSPOKEN = frozenset({"desc", "meta", "metadata", "lexicon", "sub"})
_TIME = re.compile(r"\+?(\d+(?:\.\d*)?|\.\d+)(ms|s)")


@dataclass(frozen=True, slots=True)
class Playback:
    """A prompt as it is heard.

    `duration` is in seconds; `marks` are names with the seconds from the start of the prompt;
    `audio` are the URIs of the files that are played.
    """

    text: str
    duration: float
    audio: tuple[str, ...]
    marks: tuple[tuple[str, float], ...]

    def record(self, prompt: Prompt) -> dict[str, Json]:
        """The `prompt` record of the trace."""
        return {
            "text": self.text,
            "lang": prompt.lang,
            "bargein": prompt.bargein,
            "audio": list(self.audio),
            "marks": [name for name, _ in self.marks],
        }


async def render(prompt: Prompt, fetcher: ResourceFetcher) -> Playback:
    """How `prompt` is heard. What is wrong with an audio file only makes it not heard."""
    words: list[str] = []
    audio: list[str] = []
    marks: list[tuple[str, float]] = []
    now = 0.0
    waiting: list[Segment] = list(reversed(prompt.segments))
    while waiting:
        segment = waiting.pop()
        if isinstance(segment, SpeechSegment):
            words.append(segment.text)
            length, at = _speech(segment)
            marks.extend((name, now + offset) for name, offset in at)
            now += length
        elif (seconds := await _audio_length(segment, fetcher)) is None:
            waiting.extend(reversed(segment.fallback))
        else:
            now += seconds
            if segment.uri:
                audio.append(segment.uri)
    return Playback(" ".join(" ".join(words).split()), now, tuple(audio), tuple(marks))


async def _audio_length(segment: AudioSegment, fetcher: ResourceFetcher) -> float | None:
    """Seconds; None when the file cannot be played."""
    # Numbers over samples are slow to load, and most prompts are words.
    from vxml_server.audio import decode  # noqa: PLC0415

    try:
        body, media_type = segment.data or b"", segment.media_type
        if segment.request is not None:
            resource = await fetcher.fetch(segment.request)
            body, media_type = resource.body, resource.content_type
        return decode(body, media_type).duration
    except VoiceXmlEvent:
        return None


@dataclass(frozen=True, slots=True)
class _Pause:
    seconds: float


@dataclass(frozen=True, slots=True)
class _Mark:
    name: str


def _speech(segment: SpeechSegment) -> tuple[float, list[tuple[str, float]]]:
    """The seconds that a segment takes, and where in them its marks are."""
    pauses, spoken = 0.0, 0
    marks: list[tuple[str, float]] = []
    for item in _content(segment.ssml):
        if isinstance(item, _Pause):
            pauses += item.seconds
        elif isinstance(item, _Mark):
            marks.append((item.name, pauses + SECONDS_A_WORD * spoken))
        else:
            spoken += len(item.split())
    duration = pauses + SECONDS_A_WORD * len(segment.text.split())
    return duration, [(name, min(at, duration)) for name, at in marks]


def _content(ssml: str) -> Iterator[str | _Pause | _Mark]:
    """What a `<speak>` document holds, in order."""
    parser = xml_parser(remove_comments=True, remove_pis=True)
    try:
        root = etree.fromstring(ssml.encode(), parser)
    except etree.XMLSyntaxError:
        return
    unspoken = 0
    for action, element in etree.iterwalk(root, events=("start", "end")):
        name = etree.QName(element).localname
        if action == "start":
            if not unspoken:
                yield from _start(name, element)
            unspoken += name in _UNSPOKEN
            text = element.text
        else:
            unspoken -= name in _UNSPOKEN
            text = element.tail
        if text and not unspoken:
            yield text


def _start(name: str, element: etree._Element) -> Iterator[str | _Pause | _Mark]:
    if name == "break":
        yield _Pause(_break_length(element.get("time", ""), element.get("strength", "")))
    elif name == "mark":
        yield _Mark(element.get("name", ""))
    elif name == "sub":
        yield element.get("alias", "")


def _break_length(time: str, strength: str) -> float:
    if match := _TIME.fullmatch(time.strip()):
        seconds = float(match[1]) / (1000 if match[2] == "ms" else 1)
        return min(seconds, MAX_BREAK)
    return BREAK_STRENGTHS.get(strength, BREAK_STRENGTHS["medium"])
