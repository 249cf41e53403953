"""Definitions as JSON: what a settings file, a REST body and a row of the database hold.

An unknown key is an error, so that a misspelt one is never silently ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from pydantic import TypeAdapter, ValidationError

from vxml_server.queues.profiles import Agent, Box, Group, Queue
from vxml_server.store import Json

Kind = Literal["agent", "box", "group", "queue"]
Definition: TypeAlias = Agent | Box | Group | Queue

# The type of an adapter is that of its kind; there is no one type for a table of them, hence Any.
_ADAPTERS: Mapping[Kind, TypeAdapter[Any]] = {
    "agent": TypeAdapter(Agent),
    "box": TypeAdapter(Box),
    "group": TypeAdapter(Group),
    "queue": TypeAdapter(Queue),
}


class BadDefinition(ValueError):
    """What is not as it has to be; the text names each key, what was expected, what came."""


def read(kind: Kind, body: object) -> Definition:
    """The definition that a JSON object is; raises `BadDefinition`."""
    try:
        found: Definition = _ADAPTERS[kind].validate_python(body)
    except ValidationError as error:
        raise BadDefinition("; ".join(map(_told, error.errors(include_url=False)))) from None
    return found


def written(definition: Definition) -> dict[str, Json]:
    """The JSON object of a definition, complete."""
    body: dict[str, Json] = _ADAPTERS[kind_of(definition)].dump_python(definition, mode="json")
    return body


def kind_of(definition: Definition) -> Kind:
    """Which kind of definition it is."""
    match definition:
        case Agent():
            return "agent"
        case Box():
            return "box"
        case Group():
            return "group"
        case Queue():
            return "queue"


def _told(problem: Mapping[str, Any]) -> str:
    place = ".".join(str(step) for step in problem["loc"])
    message = str(problem["msg"]).removeprefix("Value error, ")
    return f"{place}: {message}" if place else message
