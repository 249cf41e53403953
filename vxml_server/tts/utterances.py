"""A plan cut into what is spoken in one go: sentences of one voice, and the pauses between them.

Sentence by sentence the first words are heard before the last are made, an engine that fails loses
one sentence, and a cancelled prompt stops soon. Pauses are made by us, as samples, so that they are
as long with every engine.

The rule: what is spoken in one go is bounded, however many elements its text stands in, and so is
the message that asks a child process for it (`wire.MAX_HEADER`). It takes time in proportion.
"""

from __future__ import annotations

import re
import unicodedata
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

from vxml_server.tts.engine import Utterance
from vxml_server.tts.plan import Clip, Item, MarkPoint, Pause, Plan, Style, Text
from vxml_server.tts.ssml import SENTENCE_PAUSE
from vxml_server.tts.words import normalise

MAX_LENGTH = 300  # characters spoken in one go: about twenty seconds
MAX_PIECES = 100  # texts and marks in one go
CLAUSE_PAUSE = 0.15  # where a sentence longer than that is cut

# Possessive, and from the first of several signs on: a thousand dots are looked at once.
_END = re.compile(
    r"(?<![.!?…])[.!?…]++[\"'”’»)\]]*+(?=\s)"  # what ends a sentence, before a space
    r"|[。！？]++[」』）]*+"  # and where none is written
)
_AT_END = re.compile(r"(?:(?<![.!?…])[.!?…]++[\"'”’»)\]]*+|[。！？]++[」』）]*+)\Z")
# What stands before a full stop that ends no sentence.
_SHORT = frozenset(
    {"m", "mm", "mr", "mrs", "ms", "mme", "mlle", "dr", "pr", "prof", "st", "ste", "no", "vs", "cf"}
)
_WORD_BEFORE = re.compile(r"(\w+)\Z")
_NOT_SPACE = re.compile(r"\S")
_TAIL = 40  # characters of a text by which it is known whether a sentence ends there
_LONGEST_SHORT = max(map(len, _SHORT)) + 1

Piece = Text | MarkPoint
Part = Utterance | Pause | MarkPoint | Clip


def utterances(plan: Plan) -> Iterator[Part]:
    """What a plan says, in order. Marks that stand where nothing is said come by themselves."""
    pieces: list[Piece] = []
    voice: tuple[str, tuple[str, ...], str] | None = None  # of the texts among them
    for item in _split(plan):
        if isinstance(item, Pause | Clip):
            yield from _sentence(pieces)
            pieces, voice = [], None
            yield item
            continue
        if isinstance(item, Text):
            if voice not in {None, item.style.voice}:
                yield from _sentence(pieces)
                pieces = []
            voice = item.style.voice
        pieces.append(item)
    yield from _sentence(pieces)


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


def _sentence(pieces: Iterable[Piece]) -> Iterator[Utterance | Pause | MarkPoint]:
    """What is to be said in one voice without a pause, with one where it is too long for that."""
    is_begun = False
    for run in _breaths(pieces):
        said = list(_utterance(run))
        if any(isinstance(part, Utterance) for part in said):
            if is_begun:
                yield Pause(CLAUSE_PAUSE)
            is_begun = True
        yield from said


def _breaths(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """The pieces in runs that are not too long, cut where a reader takes breath if possible."""
    rest = deque(pieces)
    while rest:
        run: list[Piece] = []
        room = MAX_LENGTH
        while rest and len(run) < MAX_PIECES and _sounds(rest[0]) <= room:
            room -= _sounds(rest[0])
            run.append(rest.popleft())
        if rest:
            _cut(run, rest, room if len(run) < MAX_PIECES else 0)
        yield run


def _cut(run: list[Piece], rest: deque[Piece], room: int) -> None:
    """Moves the end of a run to where it is best, with up to `room` characters of the rest."""
    words = "".join(piece.text for piece in run if isinstance(piece, Text))
    length, first = len(words), rest[0]
    if isinstance(first, Text) and first.phonemes is None:
        words += first.text[:room]
    cut = _breath(words)
    if cut > length and isinstance(first, Text):
        rest.popleft()
        _part(first, cut - length, run, rest)
    while length > cut:
        last = run.pop()
        length -= _length(last)
        if length >= cut or not isinstance(last, Text) or last.phonemes is not None:
            rest.appendleft(last)
        else:
            _part(last, cut - length, run, rest)
            break
    if not run:  # a pronunciation, which cannot be cut, is the first of all
        run.append(rest.popleft())


def _part(text: Text, place: int, run: list[Piece], rest: deque[Piece]) -> None:
    run.append(replace(text, text=text.text[:place]))
    rest.appendleft(replace(text, text=text.text[place:]))


def _breath(text: str) -> int:
    """Where a text that is too long is best cut."""
    cut = 1 + max(text.rfind(sign) for sign in (", ", "; ", ": ", "，", "、"))
    if cut < len(text) // 3:
        cut = 1 + text.rfind(" ")
    return cut or len(text)


def _length(piece: Piece) -> int:
    return len(piece.text) if isinstance(piece, Text) else 0


def _sounds(piece: Piece) -> int:
    """About how many there are in it."""
    notation = piece.phonemes.notation if isinstance(piece, Text) and piece.phonemes else ""
    return max(_length(piece), len(notation))


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
    before = _Before()
    for item in plan.items:
        if isinstance(item, Pause):
            pause, before = 0.0, _Before()
        if isinstance(item, Clip):
            if pause or before.ends(item.text):
                yield Pause(pause or SENTENCE_PAUSE)
            pause, before = 0.0, _Before(item.text)
        if not isinstance(item, Text):
            yield item
            continue
        # A page is not said in a few sounds.
        phonemes = item.phonemes if len(item.text) <= MAX_LENGTH else None
        text = item.text if phonemes else normalise(item.text, item.style.lang)
        if before.ends(text):
            pause = SENTENCE_PAUSE
        for part, is_end in [(text, False)] if phonemes else _sentences(text, before.tail):
            if pause and is_spoken(part):
                yield Pause(pause)
                pause = 0.0
            yield replace(item, text=part, phonemes=phonemes)
            before.add(part)
            if is_end:
                pause = SENTENCE_PAUSE


class _Before:
    """The words since the last pause of the author, as far as it matters what they are."""

    def __init__(self, text: str = "") -> None:
        self.tail = ""
        self.is_spoken = False
        self.add(text)

    def add(self, text: str) -> None:
        self.tail = (self.tail + text)[-_TAIL:]
        self.is_spoken = self.is_spoken or is_spoken(text)

    def ends(self, text: str) -> bool:
        """Whether a sentence ends between them and a text that follows."""
        words, following = self.tail.rstrip(), text.lstrip()
        if not following or (words == self.tail and following == text):
            return False
        end = _AT_END.search(words)
        return end is not None and self.is_spoken and _is_end(words[: end.start()], end, following)


def _is_short(before: str) -> bool:
    """Whether a full stop after this is of an abbreviation: `M. Dupont`, `J. Smith`."""
    word = _WORD_BEFORE.search(before[-_LONGEST_SHORT:])
    if word is None:
        return False
    return (len(word[1]) == 1 and word[1].isalpha()) or word[1].lower() in _SHORT


def _is_end(before: str, end: re.Match[str], following: str) -> bool:
    """Whether a sign that may end a sentence does so between these words."""
    return not following[0].islower() and (end[0] != "." or not _is_short(before))


def _sentences(text: str, before: str) -> Iterator[tuple[str, bool]]:
    """(a part, whether it ends a sentence that another follows) of a text after some words."""
    start = seen = 0
    spoken = False
    for end in _END.finditer(text):
        spoken = spoken or is_spoken(text[seen : end.end()])
        seen = end.end()
        following = _NOT_SPACE.search(text, seen)
        words = before + text[max(0, end.start() - _TAIL) : end.start()]
        if spoken and following is not None and _is_end(words, end, following[0]):
            yield text[start:seen], True
            start = seen
    yield text[start:], False
