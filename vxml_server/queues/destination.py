"""What a destination asks for: `queue:sales?priority=2&skill.loans=50`, or `agent:ann`.

After the scheme comes the name of a queue, or of an agent for whom alone the caller waits, in the
form of a URI (percent-encoding where it is needed); parameters may follow. The rule that must hold:
what is not understood is refused, and never waited for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from urllib.parse import parse_qsl, unquote

from vxml_server.queues.profiles import MAX_LEVEL, PERSONAL

AGENT = "agent"
QUEUE = "queue"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whom a caller wants, and how.

    `queue` is an agent's own where `is_personal`. `skills` are the levels that he needs, `language`
    a language tag ("" any). `keeps_place`: he has waited in this queue before, in this call, and
    stands where he stood then.
    """

    queue: str
    is_personal: bool = False
    priority: float = 0.0
    language: str = ""
    skills: Mapping[str, int] = field(default_factory=dict)
    keeps_place: bool = False


class BadDestination(ValueError):
    """Not a destination of a queue or an agent; the text says why."""


def wanted(dest: str) -> Wanted:
    """Reads a destination; raises `BadDestination`."""
    scheme, _, rest = dest.partition(":")
    path, _, query = rest.partition("?")
    name = unquote(path)
    is_personal = scheme.lower() == AGENT
    if not name:
        raise BadDestination(f"the name of the {AGENT if is_personal else QUEUE} is missing")
    found = Wanted(PERSONAL + name if is_personal else name, is_personal)
    for key, value in parse_qsl(query, keep_blank_values=True):
        found = _with(found, key, value)
    return found


def _with(found: Wanted, key: str, value: str) -> Wanted:
    match key:
        case "priority":
            return replace(found, priority=_number(key, value))
        case "language":
            return replace(found, language=value)
        case "keep_place" if value in {"true", "false"}:
            return replace(found, keeps_place=value == "true")
        case "keep_place":
            raise BadDestination(f"{key}: expected true or false, got {value!r}")
        case _ if key.startswith("skill.") and key != "skill.":
            return replace(found, skills={**found.skills, key[6:]: _level(key, value)})
    raise BadDestination(f"{key!r} is none of priority, language, keep_place and skill.*")


def _number(key: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not isfinite(number):
        raise BadDestination(f"{key}: expected a number, got {value!r}")
    return number


def _level(key: str, value: str) -> int:
    is_level = value.isascii() and value.isdecimal() and len(value) <= len(str(MAX_LEVEL))
    if not is_level or int(value) > MAX_LEVEL:
        raise BadDestination(f"{key}: expected a level from 0 to {MAX_LEVEL}, got {value!r}")
    return int(value)
