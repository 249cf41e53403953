"""Definitions as JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.queues.machine import AGENTS, GROUPS, QUEUES
from vxml_server.queues.definitions import BadDefinition, Definition, Kind, kind_of, read, written
from vxml_server.queues.profiles import Box

BOXES = (
    Box("sales", number="800", queue="sales", owners=("ann",), language="fr-FR"),
    Box("ann", agent="ann", email=("ann@example.org",), webhook="https://h.example:8443/a?b=c"),
    Box("100", retention_days=0.5, max_message=1200, min_message=0, max_messages=1),
)


@pytest.mark.parametrize(
    "definition", [*AGENTS, *GROUPS, *QUEUES, *BOXES], ids=lambda one: one.name
)
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
        ("agent", {"name": "a b", "line": "a"}, "name: expected up to 58 letters"),
        ("agent", {"name": 59 * "a", "line": "a"}, "name: expected up to 58 letters"),
        ("group", {"name": 65 * "a"}, "name: expected up to 64 letters"),
        ("group", {"name": "g", "agents": ["a", "a"]}, "agents: expected each once"),
        ("queue", {"name": "q", "strategy": "quickest"}, "strategy: Input should be 'ring_all'"),
        ("queue", {"name": "q", "members": [{"agent": "a", "group": "g"}]}, "members.0: members"),
        ("queue", {"name": "q", "weight": 0}, "weight: expected more than 0, got 0"),
        ("queue", {"name": "q", "relaxations": [{"after": 3, "by": 0}]}, "relaxations.0: relax"),
        ("box", {"name": "b", "number": "12a"}, "number: expected up to 16 digits"),
        ("box", {"name": "b", "queue": "q", "agent": "a"}, "agent: expected a queue or an agent"),
        ("box", {"name": "b", "owners": ["a", "a"]}, "owners: expected each once"),
        ("box", {"name": "b", "owners": [f"a{n}" for n in range(17)]}, "owners: expected at most"),
        ("box", {"name": "b", "email": ["ann"]}, "email: expected addresses such as"),
        ("box", {"name": "b", "email": ["a@b\r\nBcc: c@d"]}, "email: expected addresses such as"),
        ("box", {"name": "b", "email": ["a@b, c@d"]}, "email: expected addresses such as"),
        ("box", {"name": "b", "email": [f"a{n}@b" for n in range(11)]}, "email: expected at most"),
        ("box", {"name": "b", "webhook": "ftp://h/"}, "webhook: expected an http: or https: URL"),
        ("box", {"name": "b", "webhook": "http:///x"}, "webhook: expected an http: or https: URL"),
        ("box", {"name": "b", "webhook": "http://[h/"}, "webhook: expected an http: or https: URL"),
        (
            "box",
            {"name": "b", "webhook": "http://h/ a"},
            "webhook: expected an http: or https: URL",
        ),
        (
            "box",
            {"name": "b", "webhook": "http://h:x/"},
            "webhook: expected an http: or https: URL",
        ),
        ("box", {"name": "b", "language": "français"}, "language: expected a language tag"),
        ("box", {"name": "b", "max_message": 1201}, "max_message: expected seconds over 0"),
        ("box", {"name": "b", "min_message": 181}, "min_message: expected seconds, 0 to max"),
        ("box", {"name": "b", "max_messages": 0}, "max_messages: expected 1 or more"),
        ("box", {"name": "b", "retention_days": 0}, "retention_days: expected days over 0"),
        ("queue", ["q"], "Input should be a dictionary or an instance of Queue"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(kind: Kind, body: object, told: str) -> None:
    with pytest.raises(BadDefinition) as refused:
        read(kind, body)
    assert told in str(refused.value)


@pytest.mark.parametrize("seconds", [1e306, 1e12, 31_536_001, -1, float("inf"), float("nan")])
@pytest.mark.parametrize(
    ("kind", "place"),
    [
        *(("agent", (name,)) for name in ("ring_time", "wrap_up_time", "busy_delay")),
        *(("agent", (name,)) for name in ("no_answer_delay", "refusal_delay", "failure_delay")),
        *(("queue", (name,)) for name in ("max_wait", "max_wait_no_agents", "wrap_up_time")),
        *(("queue", (name,)) for name in ("service_level_target", "ageing", "progress_interval")),
        ("queue", ("tier_rules", "wait")),
        ("queue", ("members", 0, "after")),
        ("queue", ("relaxations", 0, "after")),
    ],
)
def test_nothing_lasts_longer_than_a_year(
    kind: Kind, place: tuple[str | int, ...], seconds: float
) -> None:
    bodies = {
        "agent": {"name": "a", "line": "a"},
        "queue": {
            "name": "a",
            "tier_rules": {},
            "members": [{"agent": "a"}],
            "relaxations": [{"after": 1, "by": 1}],
        },
    }
    body: Any = bodies[kind]
    inside = body
    for step in place[:-1]:
        inside = inside[step]
    inside[place[-1]] = 31_536_000
    read(kind, body)
    inside[place[-1]] = seconds
    with pytest.raises(BadDefinition) as refused:
        read(kind, body)
    assert str(place[-1]) in str(refused.value)
