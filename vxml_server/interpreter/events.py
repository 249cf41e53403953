"""Finding the handler of an event: section 5.2 of VoiceXML 2.0.

Events are `VoiceXmlEvent` exceptions; this module knows which `<catch>` (or shorthand) gets one,
and counts how often each has happened.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from vxml_server.events import matches
from vxml_server.interpreter.document import HANDLERS, Element, once


@dataclass(frozen=True, slots=True, eq=False)
class Handler:
    """A `<catch>`, `<error>`, `<help>`, `<noinput>` or `<nomatch>` and what it is for."""

    element: Element
    patterns: tuple[str, ...]
    count: int
    cond: str


@once
def handlers_of(element: Element) -> tuple[Handler, ...]:
    """The handlers written directly in `element`, in document order."""
    found = []
    for child in element.named(*HANDLERS):
        patterns = child.get("event").split() if child.name == "catch" else [child.name]
        count = int(child.get("count", "1"))
        found.append(Handler(child, tuple(patterns) or ("",), count, child.get("cond")))
    return tuple(found)


class EventCounters:
    """How often each event, and each prefix of its name, has happened in one form item."""

    def __init__(self) -> None:
        self._counts: defaultdict[str, int] = defaultdict(int)

    def increment(self, name: str) -> None:
        parts = name.split(".")
        for length in range(1, len(parts) + 1):
            self._counts[".".join(parts[:length])] += 1
        self._counts[""] += 1

    def count(self, name: str, pattern: str) -> int:
        """The count a handler for `pattern` compares with when `name` was thrown.

        A catch-all counts occurrences of the event at hand, any other pattern its own.
        """
        return self._counts[pattern.rstrip(".") or name]

    def clear(self) -> None:
        self._counts.clear()


def select_handler(
    handlers: Iterable[Handler],
    name: str,
    counters: EventCounters,
    condition: Callable[[str], bool],
) -> Handler | None:
    """The handler for `name`, by the rule of section 5.2.4.

    `handlers` stand in order of scope, the nearest first, and within a scope in document order. Of
    those that match the name, whose `cond` is true and whose count has been reached, the highest
    count wins, and among equals the first.
    """
    best: Handler | None = None
    for handler in handlers:
        pattern = next((p for p in handler.patterns if matches(p, name)), None)
        if pattern is None or handler.count > counters.count(name, pattern):
            continue
        if best is not None and handler.count <= best.count:
            continue
        if handler.cond and not condition(handler.cond):
            continue
        best = handler
    return best


# What the platform does with an event that no handler takes (section 5.2.5): the message it says,
# and whether the dialog goes on. The nearest name by prefix counts; all others are errors.
_REACTIONS: dict[str, tuple[str, bool]] = {
    "cancel": ("", True),
    "connection.disconnect": ("", False),
    "exit": ("", False),
    "help": ("caller.help", True),
    "maxspeechtimeout": ("caller.too_long", True),
    "noinput": ("", True),
    "nomatch": ("caller.nomatch", True),
}
_ERROR = ("caller.error", False)


def default_reaction(name: str) -> tuple[str, bool]:
    """The catalogue's key of what is said ("" for nothing), and whether the dialog goes on."""
    return next((what for event, what in _REACTIONS.items() if matches(event, name)), _ERROR)
