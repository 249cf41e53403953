"""Reading a text from left to right, for the forms of grammar that are not XML."""

from __future__ import annotations

import re
from collections.abc import Callable

from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar.rules import Expansion, OneOf, bad_grammar
from vxml_server.grammar.source import Place, Text

_WEIGHT = re.compile(r"/\s*(\d+(?:\.\d*)?|\.\d+)\s*/")


class Scanner:
    """A text, how far it has been read, and where what was taken last began. `blank` matches what
    means nothing between signs."""

    def __init__(self, source: Text, uri: str, blank: re.Pattern[str]) -> None:
        self.source = source
        self.text = source.text
        self.at = 0
        self.taken = 0
        self.uri = uri
        self._blank = blank

    @property
    def place(self) -> Place:
        return self.source.place(self.at)

    @property
    def at_end(self) -> bool:
        self.skip()
        return self.at >= len(self.text)

    def fail(self, message: str, place: Place | None = None) -> VoiceXmlEvent:
        return bad_grammar(message, self.uri, *(place or self.place))

    def skip(self) -> None:
        found = self._blank.match(self.text, self.at)
        if found is not None:
            self.at = found.end()

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """What `pattern` matches here, behind white space and comments."""
        self.skip()
        found = pattern.match(self.text, self.at)
        if found is not None:
            self.taken, self.at = self.at, found.end()
        return found

    def wrong(self, message: str) -> VoiceXmlEvent:
        """The event for what was taken last."""
        return self.fail(message, self.source.place(self.taken))

    def need(self, pattern: re.Pattern[str], what: str) -> re.Match[str]:
        found = self.take(pattern)
        if found is None:
            raise self.fail(f"{what} is missing {self.here}")
        return found

    def sign(self, sign: str) -> bool:
        """Takes `sign` if it stands here."""
        self.skip()
        if self.text.startswith(sign, self.at):
            self.at += len(sign)
            return True
        return False

    def need_sign(self, sign: str) -> None:
        if not self.sign(sign):
            raise self.fail(f"{sign!r} is missing {self.here}")

    def between_bars(self, sequence: Callable[[], Expansion]) -> Expansion:
        """Alternatives as ABNF and JSGF write them: `sequence` reads one, behind its weight."""
        branches: list[Expansion] = []
        weights: list[float] = []
        while not branches or self.sign("|"):
            found = self.take(_WEIGHT)
            weights.append(1.0 if found is None else float(found[1]))
            branches.append(sequence())
        return branches[0] if len(branches) == 1 else OneOf.weighted(branches, weights)

    @property
    def here(self) -> str:
        rest = self.text[self.at : self.at + 20]
        return f"before {rest!r}" if rest else "at the end"
