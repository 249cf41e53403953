"""Which conversations are recorded."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.recording.world import conversation
from vxml_server.recording.rules import decide
from vxml_server.recording.transitions import TABLE, Event, IllegalTransition, State, advance
from vxml_server.settings import RecordingRule


def rule(name: str = "one", **given: Any) -> RecordingRule:
    return RecordingRule.model_validate({"name": name, **given})


@pytest.mark.parametrize(
    ("given", "facts", "fits"),
    [
        ({}, {}, True),
        ({"numbers": ["1000"]}, {}, True),
        ({"numbers": ["1001", "10*"]}, {}, True),
        ({"numbers": ["1001"]}, {}, False),
        ({"numbers": ["+33*"]}, {"destination": "+33123"}, True),
        ({"numbers": ["2000"]}, {"called": "2000"}, True),
        ({"direction": "outbound"}, {}, False),
        ({"direction": "outbound"}, {"direction": "outbound"}, True),
        ({"direction": "inbound"}, {}, True),
        ({"applications": ["http://h/*"]}, {}, True),
        ({"applications": ["http://h/"]}, {}, False),
        ({"queues": ["sales"]}, {}, False),
        ({"queues": ["sales"]}, {"queue": "sales"}, True),
        ({"agents": ["alice"]}, {}, False),
        ({"agents": ["alice"]}, {"agent": "alice"}, True),
        ({"agents": ["alice"]}, {"queue": "sales"}, True),
        ({"agents": ["alice"]}, {"queue": "sales", "agent": "bob"}, False),
        ({"queues": ["sales"], "numbers": ["2*"]}, {"queue": "sales"}, False),
    ],
)
def test_all_that_a_rule_gives_must_fit(
    given: dict[str, Any], facts: dict[str, Any], fits: bool
) -> None:
    found = decide([rule(**given)], conversation(**facts), 0.0)
    assert (found is not None) is fits


def test_the_first_rule_that_fits_decides_also_that_nothing_is_recorded() -> None:
    rules = [rule("never", queues=["secret"], percent=0), rule("all")]
    assert decide(rules, conversation(queue="secret", agent="a"), 0.0) is None
    found = decide(rules, conversation(queue="sales", agent="a"), 0.99)
    assert found is not None
    assert found.name == "all"
    assert decide([], conversation(), 0.0) is None


@pytest.mark.parametrize("percent", [0, 20])
def test_an_exception_for_one_agent_leaves_the_others_to_the_rules_after_it(percent: int) -> None:
    rules = [
        rule("not-ann", agents=["ann"], percent=percent),
        rule("sales", queues=["sales"], percent=60),
    ]
    waits, by_ann, by_bob = (
        conversation(queue="sales", agent=agent) for agent in ("", "ann", "bob")
    )
    found = [decide(rules, one, 0.5) for one in (waits, by_ann, by_bob)]
    assert [one and one.name for one in found] == ["sales", None, "sales"]
    assert decide(rules, waits, 0.7) is None


@given(st.floats(0, 100), st.floats(0, 1, exclude_max=True))
def test_so_many_percent_are_recorded(percent: float, draw: float) -> None:
    found = decide([rule(percent=percent)], conversation(), draw)
    assert (found is not None) == (draw * 100 < percent)


@given(st.lists(st.sampled_from(Event), max_size=12))
def test_what_the_table_does_not_have_changes_nothing(events: list[Event]) -> None:
    state = State.ANNOUNCED
    heard = {state}
    for event in events:
        if event in TABLE[state]:
            state = advance(state, event)
            heard.add(state)
        else:
            with pytest.raises(IllegalTransition):
                advance(state, event)
    if State.REFUSED in heard:
        assert heard == {State.ANNOUNCED, State.REFUSED}
    if State.STORED in heard:
        assert heard >= {State.RECORDING, State.STOPPED}
