"""Each strategy with real telephones: which of two agents is rung, call by call.

All strategies are tried at the same time, each with a queue, agents and callers of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial

import pytest

from tests.integration.caller import together
from tests.integration.centre import Centre, LiveEvents, centre_of
from tests.integration.documents import DocumentServer
from tests.integration.server import Json
from tests.integration.waiting import until
from tests.integration.wire import Wire
from tests.integration.witness import Witness

RINGS = ("far-rings",)
TALKS_LONG = ("far-hangs-up", "-m", "9", "-d", "1500")
WRAP_UP = 0.2
TALKS = ("far-hangs-up", "-m", "9", "-d", "400")


@dataclass(frozen=True, slots=True)
class Case:
    """Two agents and callers who come one after the other.

    `rung` are the places of the agents who are rung, in their order, where it does not go by lot.
    """

    calls: int
    rung: tuple[int, ...] = ()
    first: tuple[str, ...] = TALKS_LONG
    """What the first agent's telephone does; the second's answers and talks shortly."""
    is_new: bool = False
    """Whether the second comes from a break before each further call: he is idle for less time."""
    each: Sequence[Mapping[str, object]] = ({}, {})
    weights: tuple[float, float] = (1.0, 1.0)
    more: Mapping[str, object] = field(default_factory=dict)


CASES: Mapping[str, Case] = {
    "ring_all": Case(1, (0, 1), RINGS),
    "ring_progressively": Case(1, (0, 1), RINGS, more={"progress_interval": 1.0}),
    "top_down": Case(2, (0, 0)),
    "longest_idle": Case(2, (0, 0), is_new=True),
    "round_robin": Case(3, (0, 1, 0), is_new=True),
    # When each has had one call, the first is idle for longer, and has talked for longer.
    "fewest_calls": Case(3, (0, 1, 0), is_new=True),
    "least_talk_time": Case(3, (0, 1, 1), is_new=True),
    "random": Case(2),
    "weighted_random": Case(2, (1, 1), weights=(1e-9, 1.0)),
    "best_skilled": Case(2, (1, 1), each=({"skills": {"loans": 20}}, {"skills": {"loans": 80}})),
}


@dataclass(frozen=True, slots=True)
class Rung:
    """The agents who were rung, in their order, and when."""

    places: list[int]
    at: list[float]


@pytest.fixture(scope="module")
def centre(
    documents: DocumentServer,
    wire: Wire,
    witness: Witness,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Centre]:
    numbers = {f"to-{name}": documents.uri(f"queue.vxml?dest=queue:{name}") for name in CASES}
    numbers["to-best_skilled"] += "%3Fskill.loans%3D10"
    folder = tmp_path_factory.mktemp("strategies")
    with centre_of(folder, numbers, documents, wire, witness) as centre:
        yield centre


@pytest.fixture(scope="module")
def live(centre: Centre) -> Iterator[LiveEvents]:
    """Somebody who watches from the beginning."""
    live = LiveEvents(centre.server)
    yield live
    live.close()


@pytest.fixture(scope="module")
def tried(centre: Centre, live: LiveEvents) -> dict[str, Future[Rung]]:
    return together({name: partial(ring, centre, name, case) for name, case in CASES.items()})


def ring(centre: Centre, strategy: str, case: Case) -> Rung:
    names = [f"{strategy}-{place}" for place in (0, 1)]
    members = [
        {"agent": name, "position": place, "weight": weight}
        for place, (name, weight) in enumerate(zip(names, case.weights, strict=True), start=1)
    ]
    queue = {"strategy": strategy, "members": members, **case.more}
    agent = {"wrap_up_time": WRAP_UP}
    with centre.agents(
        strategy, case.first, TALKS, agent=agent, each=case.each, queue=queue
    ) as far:
        for number in range(case.calls):
            if number:
                is_free = partial(all_free, centre, names)
                until(is_free, 30, f"the agents of {strategy} are free")
            if number and case.is_new:
                for presence in ("on_break", "available"):
                    centre.ask("POST", f"agents/{names[1]}/presence", {"presence": presence})
            call = centre.caller.call(f"{strategy}-caller-{number}", f"to-{strategy}", (20.0,))
            call.sip.assert_success()
            assert [told["outcome"] for told in call.told] == ["far_end_disconnect"]
        rung: dict[str | None, tuple[float, int]] = {}
        for place, telephone in enumerate(far.values()):
            for message in telephone.messages:
                if message.method == "INVITE" and not message.sent:
                    # It may have come twice.
                    rung.setdefault(message.header("Call-ID"), (message.at, place))
        in_order = sorted(rung.values())
        return Rung([place for _, place in in_order], [at for at, _ in in_order])


def all_free(centre: Centre, names: Sequence[str]) -> bool:
    return all(centre.state(name) == "available" for name in names)


@pytest.mark.parametrize("strategy", sorted(CASES.keys() - {"random", "ring_all"}))
def test_a_strategy_rings_the_agents_in_its_order(
    tried: dict[str, Future[Rung]], strategy: str
) -> None:
    assert tried[strategy].result().places == list(CASES[strategy].rung)


def test_at_random_one_agent_is_rung_for_each_caller(tried: dict[str, Future[Rung]]) -> None:
    assert len(tried["random"].result().places) == CASES["random"].calls


def test_all_are_rung_at_the_same_time_or_one_after_the_other(
    tried: dict[str, Future[Rung]],
) -> None:
    together, progressively = (tried[f"ring_{how}"].result() for how in ("all", "progressively"))
    assert sorted(together.places) == [0, 1]
    assert together.at[1] - together.at[0] < 0.4
    assert progressively.at[1] - progressively.at[0] == pytest.approx(1.0, abs=0.4)


def test_who_watches_sees_each_step_of_an_agent_as_it_comes_and_the_wrap_up_too(
    tried: dict[str, Future[Rung]], live: LiveEvents
) -> None:
    calls = len(tried["top_down"].result().places)

    def of_offers() -> list[Json]:
        facts = live.of_agent("top_down-0")
        return [fact for fact in facts if str(fact["name"]).startswith("offer.")]

    steps = ("reserved", "ringing", "answered", "bridged", "wrapping_up", "closed")
    until(lambda: len(of_offers()) >= calls * len(steps), 20, "all wrap-ups are over")
    told = of_offers()
    assert [fact["name"] for fact in told] == [f"offer.{step}" for step in steps] * calls
    numbers = [int(str(fact["seq"])) for fact in live.facts]
    assert numbers == sorted(set(numbers))
    for closed in told[len(steps) - 1 :: len(steps)]:
        data = closed["data"]
        assert isinstance(data, dict)
        assert data["outcome"] == "completed"
        assert WRAP_UP - 0.01 <= data["wrapped_up"] < WRAP_UP + 1.0
