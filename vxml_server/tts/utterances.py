"""A plan cut into what is spoken in one go: sentences of one voice, and the pauses between them.

Sentence by sentence the first words are heard before the last are made, an engine that fails loses
one sentence, and a cancelled prompt stops soon. Pauses are made by us, as samples, so that they are
as long with every engine.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import replace

from vxml_server.tts.engine import Utterance
from vxml_server.tts.plan import Clip, Item, MarkPoint, Pause, Plan, Style, Text
from vxml_server.tts.ssml import SENTENCE_PAUSE
from vxml_server.tts.words import normalise

MAX_LENGTH = 300  # characters spoken in one go: about twenty seconds
CLAUSE_PAUSE = 0.15  # where a sentence longer than that is cut

_END = re.compile(
    r"[.!?…]+[\"'”’»)\]]*(?=\s)"  # what ends a sentence, before a space
    r"|[。！？]+[」』）]*"  # and where none is written
)
# What stands before a full stop that ends no sentence.
_SHORT = frozenset(
    {"m", "mm", "mr", "mrs", "ms", "mme", "mlle", "dr", "pr", "prof", "st", "ste", "no", "vs", "cf"}
)
_WORD_BEFORE = re.compile(r"(\w+)\Z")

Piece = Text | MarkPoint


Part = Utterance | Pause | MarkPoint | Clip


def utterances(plan: Plan) -> Iterator[Part]:
    """What a plan says, in order. Marks that stand where nothing is said come by themselves."""
    pieces: list[Piece] = []
    for item in _split(plan):
        if isinstance(item, Pause | Clip) or _changes_voice(pieces, item):
            yield from _utterance(pieces)
            pieces = []
        if isinstance(item, Pause | Clip):
            yield item
        else:
            pieces.append(item)
    yield from _utterance(pieces)


def in_one_style(utterance: Utterance) -> Iterator[Utterance]:
    """The utterance cut where its style changes, for an engine that speaks one at a time."""
    pieces: list[Piece] = []
    style: Style | None = None
    for item in utterance.items:
        if isinstance(item, Text) and is_spoken(item.text):
            if style is not None and item.style != style:
                yield Utterance(tuple(pieces), style)
                pieces = []
            style = item.style
        pieces.append(item)
    if style is not None:
        yield Utterance(tuple(pieces), style)


def is_spoken(text: str) -> bool:
    """Punctuation alone is not: a full stop left over after a break would be read out."""
    return any(unicodedata.category(character)[0] not in "PZC" for character in text)


def _changes_voice(pieces: list[Piece], item: Item) -> bool:
    if not isinstance(item, Text):
        return False
    return any(isinstance(p, Text) and p.style.voice != item.style.voice for p in pieces)


def _utterance(pieces: list[Piece]) -> Iterator[Utterance | MarkPoint]:
    spoken = [p.style for p in pieces if isinstance(p, Text) and is_spoken(p.text)]
    if spoken:
        style = next((style for style in spoken if not style.silent), spoken[0])
        yield Utterance(tuple(pieces), style)
    else:
        yield from (p for p in pieces if isinstance(p, MarkPoint))


def _split(plan: Plan) -> Iterator[Item]:
    """The items with a pause after each sentence that another follows, in words as engines read
    them."""
    pause = 0.0  # what comes before the next words
    before = ""  # the words just before, of the same sentence
    for item in plan.items:
        if isinstance(item, Pause):
            pause, before = 0.0, ""
        if isinstance(item, Clip):
            if pause or _parts(before, item.text):
                yield Pause(pause or SENTENCE_PAUSE)
            pause, before = 0.0, item.text
        if not isinstance(item, Text):
            yield item
            continue
        text = item.text if item.phonemes else normalise(item.text, item.style.lang)
        if _parts(before, text):
            pause, before = SENTENCE_PAUSE, ""
        sentences = [(text, 0.0)] if item.phonemes else _sentences(text, len(before))
        for part, after in sentences:
            if pause and is_spoken(part):
                yield Pause(pause)
                pause, before = 0.0, ""
            yield replace(item, text=part)
            before += part
            pause = after or pause


def _parts(before: str, text: str) -> bool:
    """Whether a sentence ends between two texts."""
    words, following = before.rstrip(), text.lstrip()
    if not following or (words == before and following == text):
        return False
    ends = [end for end in _END.finditer(f"{words} ") if end.end() == len(words)]
    return bool(ends) and _is_end(words, ends[0], following)


def _is_short(before: str) -> bool:
    """Whether a full stop after this is of an abbreviation: `M. Dupont`, `J. Smith`."""
    word = _WORD_BEFORE.search(before)
    if word is None:
        return False
    return (len(word[1]) == 1 and word[1].isalpha()) or word[1].lower() in _SHORT


def _is_end(text: str, end: re.Match[str], following: str) -> bool:
    """Whether a sign that may end a sentence does so before these words."""
    if following[0].islower() or not is_spoken(text[: end.end()]):
        return False
    return end[0] != "." or not _is_short(text[: end.start()])


def _sentences(text: str, length: int) -> Iterator[tuple[str, float]]:
    """(sentence, the pause after it) of a text, where `length` characters went before."""
    start = 0
    for end in _END.finditer(text):
        following = text[end.end() :].lstrip()
        if following and _is_end(text, end, following):
            yield from _bounded(text[start : end.end()], length, SENTENCE_PAUSE)
            start, length = end.end(), 0
    yield from _bounded(text[start:], length, 0.0)


def _bounded(text: str, length: int, after: float) -> Iterator[tuple[str, float]]:
    """A sentence in parts that are not too long, cut where a reader takes breath if possible."""
    while len(text) > (room := max(MAX_LENGTH - length, MAX_LENGTH // 3)):
        cut = 1 + max(text.rfind(sign, 0, room) for sign in (", ", "; ", ": ", "，", "、"))
        if cut < room // 3:
            cut = 1 + text.rfind(" ", 0, room)
        cut = cut or room
        yield text[:cut], CLAUSE_PAUSE
        text, length = text[cut:], 0
    yield text, after
