"""Definitions as JSON."""

from __future__ import annotations

import json

import pytest

from tests.queues.machine import AGENTS, GROUPS, QUEUES
from vxml_server.queues.definitions import BadDefinition, Definition, Kind, kind_of, read, written


@pytest.mark.parametrize("definition", [*AGENTS, *GROUPS, *QUEUES], ids=lambda one: one.name)
def test_a_definition_survives_json(definition: Definition) -> None:
    body = json.loads(json.dumps(written(definition)))
    assert read(kind_of(definition), body) == definition


@pytest.mark.parametrize(
    ("kind", "body", "told"),
    [
        ("agent", {"name": "ann"}, "line: Field required"),
        ("agent", {"name": "ann", "line": "a", "skils": {}}, "skils: Unexpected"),
        ("agent", {"name": "ann", "line": "a", "skills": {"x": 101}}, "skills.x: expected a level"),
        ("agent", {"name": "ann", "line": "a", "capacity": {"voice": 9}}, "capacity.voice: expec"),
        ("agent", {"name": "a b", "line": "a"}, "name: expected up to 64 letters"),
        ("group", {"name": "g", "agents": ["a", "a"]}, "agents: expected each once"),
        ("queue", {"name": "q", "strategy": "quickest"}, "strategy: Input should be 'ring_all'"),
        ("queue", {"name": "q", "members": [{"agent": "a", "group": "g"}]}, "members.0: members"),
        ("queue", {"name": "q", "weight": 0}, "weight: expected more than 0, got 0"),
        ("queue", {"name": "q", "relaxations": [{"after": 3, "by": 0}]}, "relaxations.0: relax"),
        ("queue", ["q"], "Input should be a dictionary or an instance of Queue"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(kind: Kind, body: object, told: str) -> None:
    with pytest.raises(BadDefinition) as refused:
        read(kind, body)
    assert told in str(refused.value)
