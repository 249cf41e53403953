"""What `queue:` and `agent:` destinations ask for, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vxml_server.queues.destination import BadDestination, Wanted, wanted


@pytest.mark.parametrize(
    ("dest", "expected"),
    [
        ("queue:sales", Wanted("sales")),
        ("QUEUE:sales", Wanted("sales")),
        ("agent:alice", Wanted("agent.alice", is_personal=True)),
        ("queue:r%C3%A9clamations", Wanted("réclamations")),
        (
            "queue:sales?priority=2&language=fr&skill.loans=50&skill.cars=100",
            Wanted("sales", priority=2.0, language="fr", skills={"loans": 50, "cars": 100}),
        ),
        ("queue:sales?priority=-1.5", Wanted("sales", priority=-1.5)),
        ("queue:sales?keep_place=true", Wanted("sales", keeps_place=True)),
        ("queue:sales?keep_place=false", Wanted("sales")),
    ],
)
def test_a_destination_says_whom_the_caller_wants(dest: str, expected: Wanted) -> None:
    assert wanted(dest) == expected


@pytest.mark.parametrize(
    ("dest", "why"),
    [
        ("queue:", "the name of the queue is missing"),
        ("agent:?language=fr", "the name of the agent is missing"),
        ("queue:sales?prioriti=2", "'prioriti' is none of"),
        ("queue:sales?priority=high", "priority: expected a number, got 'high'"),
        ("queue:sales?priority=nan", "priority: expected a number"),
        ("queue:sales?skill.=3", "'skill.' is none of"),
        ("queue:sales?skill.loans=101", "skill.loans: expected a level from 0 to 100"),
        ("queue:sales?skill.loans=-1", "skill.loans: expected a level"),
        ("queue:sales?keep_place=yes", "keep_place: expected true or false"),
    ],
)
def test_what_is_not_understood_is_refused_with_the_reason(dest: str, why: str) -> None:
    with pytest.raises(BadDestination, match=why.replace("?", r"\?").replace(".", r"\.")):
        wanted(dest)


@given(st.text())
def test_no_text_raises_anything_else(text: str) -> None:
    try:
        found = wanted(f"queue:{text}")
    except BadDestination:
        return
    assert found.queue
