"""The text of a grammar document: its encoding, and where in it something stands.

Places are (line, column), both counted from 1 in characters. Every error that a document causes
carries one, so this is the one module that makes them.
"""

from __future__ import annotations

import codecs
import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from vxml_server.grammar.rules import bad_grammar

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF16_LE: "utf-16",
}
# Without a byte-order mark, the first character of a document tells its width: it is ASCII.
_WIDE = re.compile(rb"\x00[<#;\[(\s]|[<#;\[(\s]\x00")
# Python's names for encodings that are none, or take more than linear time.
_REFUSED = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined"})


class Place(NamedTuple):
    """Where something stands; 0 is not known."""

    line: int = 0
    column: int = 0


START = Place(1, 1)


@dataclass(frozen=True)
class Text:
    """A text whose offsets can be told as places; `start` is the place of its first character."""

    text: str
    start: Place = START

    @cached_property
    def _lines(self) -> list[int]:
        return [0, *(found.end() for found in re.finditer(r"\r\n|\r|\n", self.text))]

    def place(self, offset: int) -> Place:
        line = bisect_right(self._lines, offset)
        column = offset - self._lines[line - 1] + 1
        first = self.start.column
        shifted = 0 if not first else column + first - 1
        return Place(self.start.line + line - 1, shifted if line == 1 else column)


def wide_encoding(source: bytes) -> str:
    """The encoding that the first bytes show; "" when they show none."""
    for mark, encoding in _MARKS.items():
        if source.startswith(mark):
            return encoding
    if _WIDE.match(source):
        return "utf-16-be" if source[0] == 0 else "utf-16-le"
    return ""


def decode(source: bytes, declared: re.Pattern[bytes], uri: str, line_offset: int = 0) -> str:
    """The text of a document; `declared` finds, as its group 1, the encoding that it declares.

    Without either a mark or a declaration it is UTF-8. Raises `error.badfetch`.
    """
    found = declared.match(source)
    encoding = wide_encoding(source) or (found[1].decode("ascii", "replace") if found else "utf-8")
    try:
        if codecs.lookup(encoding).name.replace("-", "_") in _REFUSED:
            raise LookupError(f"{encoding} is not an encoding of documents")
        text = source.decode(encoding)
        text.encode()  # what holds half a character is no text
    except UnicodeError as error:
        at = error.start if isinstance(error, UnicodeDecodeError) else 0
        before = source[:at].decode(encoding, "replace") if at else ""
        place = Text(before, Place(1 + line_offset, 1)).place(len(before))
        raise bad_grammar(f"cannot be read as {encoding}", uri, *place) from None
    except (LookupError, ValueError) as error:
        message = f"cannot be read as {encoding!r}: {error}"
        raise bad_grammar(message, uri, 1 + line_offset, 1) from None
    return text.removeprefix("\ufeff")
