"""Pronunciation lexicons (W3C Pronunciation Lexicon Specification 1.0), which a prompt may name.

This room does not fetch: whoever has the bytes makes a `Lexicon` of them, and a `SpeechRequest`
carries it. `ssml` looks its words up in the text of the lexicon's language.

Matching is of whole words, the longest grapheme first. A grapheme is matched exactly; one without
capitals is also found with them, as at the beginning of a sentence: 'us' is said by the lexeme of
`US` only where it is written so.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lxml import etree

from vxml_server.events import VoiceXmlEvent
from vxml_server.markup import xml_parser
from vxml_server.tts import phonemes
from vxml_server.tts.plan import Phonemes

NAMESPACE = "http://www.w3.org/2005/01/pronunciation-lexicon"
XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
MAX_BYTES = 4 * 2**20
MAX_LEXEMES = 50_000
MAX_GRAPHEME = 200  # characters
MAX_ALIAS = 1000
MAX_PER_WORD = 500  # graphemes that begin with the same word

# An alias, or a pronunciation.
Said = str | Phonemes


@dataclass(frozen=True, slots=True)
class Lexicon:
    """What words are said like in one language.

    Two lexicons of the same bytes are equal, which is what caches need to know.
    """

    digest: str
    lang: str = field(compare=False)
    _entries: Mapping[str, Said] = field(compare=False, repr=False)
    # Graphemes by their first word, the longest first.
    _starts: Mapping[str, tuple[str, ...]] = field(compare=False, repr=False)
    warnings: tuple[str, ...] = field(default=(), compare=False)

    def __len__(self) -> int:
        return len(self._entries)

    def speaks(self, lang: str) -> bool:
        """Whether it is for text of that language: 'en' is for 'en-US', and the reverse."""
        one, other = self.lang.lower(), lang.lower()
        return one == other or one.startswith(f"{other}-") or other.startswith(f"{one}-")

    def find(self, text: str) -> Iterator[tuple[int, int, Said]]:
        """(start, end, what is said) of each grapheme in the text, in order, not overlapping."""
        place = 0
        while match := _WORD.search(text, place):
            place = match.end()
            if (found := self._at(text, match)) is not None:
                place = found[1]
                yield found

    def _at(self, text: str, first: re.Match[str]) -> tuple[int, int, Said] | None:
        for grapheme in self._starts.get(first[0].lower(), ()):
            start, end = first.start(), first.start() + len(grapheme)
            written = text[start:end]
            if written != grapheme and (
                written.lower() != grapheme or grapheme != grapheme.lower()
            ):
                continue
            if not _joins(text, end):
                return start, end, self._entries[grapheme]
        return None


_WORD = re.compile(r"\w+|[^\w\s]")


def _joins(text: str, end: int) -> bool:
    """Whether a word goes on at `end`."""
    return 0 < end < len(text) and bool(re.match(r"\w\w", text[end - 1 : end + 1]))


def load(data: bytes, uri: str = "lexicon") -> Lexicon:
    """The lexicon of a document's bytes. Raises `VoiceXmlEvent` `error.badfetch`.

    What is wrong with a single lexeme is a warning, and the lexeme is left out.
    """
    if len(data) > MAX_BYTES:
        raise VoiceXmlEvent(
            "error.badfetch", f"{uri}: the lexicon is larger than {MAX_BYTES} bytes"
        )
    parser = xml_parser(remove_pis=True)
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise VoiceXmlEvent(
            "error.badfetch", f"{uri}: the lexicon is not well-formed: {error}"
        ) from error
    if _name(root) != "lexicon":
        raise VoiceXmlEvent("error.badfetch", f"{uri} is no pronunciation lexicon (PLS)")
    lang = (root.get(XML_LANG) or "").strip()
    if not lang:
        raise VoiceXmlEvent("error.badfetch", f"{uri}: the lexicon has no xml:lang")
    entries: dict[str, Said] = {}
    warnings: list[str] = []
    lexemes = [child for child in root if _name(child) == "lexeme"]
    if len(lexemes) > MAX_LEXEMES:
        raise VoiceXmlEvent("error.badfetch", f"{uri}: more than {MAX_LEXEMES} lexemes")
    for lexeme in lexemes:
        graphemes = [
            written
            for child in lexeme
            if _name(child) == "grapheme" and 0 < len(written := _text(child)) <= MAX_GRAPHEME
        ]
        said = _said(lexeme, root.get("alphabet", "ipa"))
        if not graphemes or said is None:
            missing = "pronunciation that is understood" if graphemes else "grapheme"
            warnings.append(f"{uri}, line {lexeme.sourceline}: the lexeme has no {missing}")
            continue
        for grapheme in graphemes:
            # The first one is preferred (section 4.9 of the specification).
            entries.setdefault(grapheme, said)
    digest = hashlib.sha256(data).hexdigest()
    return Lexicon(digest, lang, entries, _by_first_word(entries), tuple(warnings[:20]))


def _name(element: etree._Element) -> str:
    if not isinstance(element.tag, str):
        return ""
    qualified = etree.QName(element)
    return qualified.localname if qualified.namespace in {None, NAMESPACE} else ""


def _text(element: etree._Element) -> str:
    return " ".join("".join(element.itertext()).split())


def _said(lexeme: etree._Element, alphabet: str) -> Said | None:
    """The preferred pronunciation of a lexeme, else the first that is understood."""
    ways = [child for child in lexeme if _name(child) in {"phoneme", "alias"}]
    preferred = [way for way in ways if way.get("prefer", "").strip() in {"true", "1"}]
    for way in [*preferred, *ways]:
        text = _text(way)
        if _name(way) == "alias":
            if 0 < len(text) <= MAX_ALIAS:
                return text
        elif (read := phonemes.read(text, way.get("alphabet", alphabet))) is not None:
            return read
    return None


def _by_first_word(graphemes: Mapping[str, Said]) -> Mapping[str, tuple[str, ...]]:
    starts: dict[str, list[str]] = {}
    for grapheme in graphemes:
        if first := _WORD.match(grapheme):
            starts.setdefault(first[0].lower(), []).append(grapheme)
    return {
        first: tuple(sorted(words, key=len, reverse=True)[-MAX_PER_WORD:])
        for first, words in starts.items()
    }


def pronounced(
    text: str, lang: str, lexicons: Sequence[Lexicon]
) -> list[tuple[str, Phonemes | None]]:
    """A text in pieces, each with the pronunciation it has by the first lexicon that knows it."""
    for number, lexicon in enumerate(lexicons):
        if not lexicon.speaks(lang):
            continue
        pieces: list[tuple[str, Phonemes | None]] = []
        place = 0
        rest = lexicons[number + 1 :]
        for start, end, said in lexicon.find(text):
            pieces += pronounced(text[place:start], lang, rest)
            pieces.append((said, None) if isinstance(said, str) else (text[start:end], said))
            place = end
        return [*pieces, *pronounced(text[place:], lang, rest)]
    return [(text, None)] if text else []
