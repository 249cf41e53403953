"""The VoiceXML event as the one way in which a failure leaves a room.

Whatever a document, a grammar, a script, a server's answer or a packet causes ends in an event
with a name from the recommendation (VoiceXML 2.0 section 5.2.6 lists them). Rooms raise it; the
interpreter turns it into a `<throw>` and looks for a handler.
"""

from __future__ import annotations


class VoiceXmlEvent(Exception):
    """An event of VoiceXML 2.0 section 5.2, raised where it happens.

    `name` is the full dotted name (`error.badfetch.http.404`), `message` says in a sentence what
    happened, `uri`, `line` and `column` say where. `line` and `column` count from 1; 0 means that
    none is known.
    """

    def __init__(
        self, name: str, message: str = "", *, uri: str = "", line: int = 0, column: int = 0
    ) -> None:
        super().__init__(name, message, uri, line)
        self.name = name
        self.message = message
        self.uri = uri
        self.line = line
        self.column = column

    def __str__(self) -> str:
        place = f"{self.uri}:{self.line}" if self.line else self.uri
        if self.line and self.column:
            place += f":{self.column}"
        return ": ".join(part for part in (place, self.name, self.message) if part)

    def at(self, uri: str, line: int) -> VoiceXmlEvent:
        """The same event with its place filled in where it was unknown."""
        return VoiceXmlEvent(
            self.name,
            self.message,
            uri=self.uri or uri,
            line=self.line or line,
            column=self.column if self.line else 0,
        )


def matches(pattern: str, name: str) -> bool:
    """Whether the `event` attribute token `pattern` catches `name` (section 5.2.4: by prefix).

    `error.badfetch` catches `error.badfetch.http.404` but not `error.badfetchx`. Dots at the end of
    a pattern do not count, and what is then empty catches everything.
    """
    prefix = pattern.rstrip(".")
    return not prefix or name == prefix or name.startswith(prefix + ".")
