"""Callers handed to queues: agents at real telephones, and every way in which waiting can end.

Each scenario has a queue and agents of its own in one server, and all run at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial

import pytest

from tests.integration.caller import together
from tests.integration.centre import Centre, Scene, centre_of
from tests.integration.documents import DocumentServer
from tests.integration.waiting import until
from tests.integration.wire import Wire
from tests.integration.witness import Witness

SCENES = (
    "talks",
    "busy",
    "declines",
    "rings",
    "abandons",
    "drops",
    "both-ring",
    "two-callers",
    "stands",
    "leaves",
    "waits-long",
    "nobody",
    "full",
    "by-name",
    "again",
)
FOUND = "far-hangs-up"
Scenes = dict[str, Future[Scene]]


@pytest.fixture(scope="module")
def centre(
    documents: DocumentServer,
    wire: Wire,
    witness: Witness,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Centre]:
    numbers = {f"to-{name}": documents.uri(f"queue.vxml?dest=queue:{name}") for name in SCENES}
    numbers["to-by-name"] = documents.uri("queue.vxml?dest=agent:by-name-0")
    numbers["to-again"] = documents.uri("queue-again.vxml?dest=queue:again")
    numbers["to-nowhere"] = documents.uri("queue.vxml?dest=queue:nowhere")
    folder = tmp_path_factory.mktemp("queues")
    with centre_of(folder, numbers, documents, wire, witness) as centre:
        yield centre


@pytest.fixture(scope="module")
def scenes(centre: Centre) -> Scenes:
    scene = centre.scene
    talks = (FOUND, "-d", "1000")
    work: dict[str, Callable[[], Scene]] = {
        "talks": partial(scene, "talks", talks),
        "busy": partial(scene, "busy", ("far-busy",), talks),
        "declines": partial(scene, "declines", ("far-declines",), talks),
        "rings": partial(scene, "rings", ("far-rings",), talks, agent={"ring_time": 1.5}),
        "abandons": partial(
            scene,
            "abandons",
            ("far-rings",),
            scenario="caller-hangs-up",
            arguments=("-d", "4000"),
        ),
        "drops": partial(scene, "drops", ("far-drops",), talks),
        "both-ring": partial(scene, "both-ring", ("far-rings",), talks, strategy="ring_all"),
        "two-callers": partial(
            scene,
            "two-callers",
            (*talks, "-m", "2"),
            callers=("queue-first", "queue-second"),
            agent={"wrap_up_time": 1},
        ),
        "stands": partial(
            scene,
            "stands",
            treatment=centre.caller.documents.uri("treatment.vxml"),
            # Three rounds of two seconds, and as long as it takes to tell of them.
            max_wait=5.8,
        ),
        "leaves": partial(
            scene, "leaves", choices={"9": "leave"}, script=(3.0, "5", 1.0, "9", 9.0)
        ),
        "nobody": partial(scene, "nobody", max_wait_no_agents=1),
        "full": partial(scene, "full", callers=("in-time", "too-late"), max_waiting=1, max_wait=4),
        "waits-long": partial(waits_long, centre),
        "again": partial(
            scene,
            "again",
            (*talks, "-m", "2"),
            treatment=centre.caller.documents.uri("treatment.vxml"),
            agent={"wrap_up_time": 2},
        ),
        "by-name": partial(scene, "by-name", talks),
    }
    return together(work)


def waits_long(centre: Centre) -> Scene:
    """A caller whom nobody takes is sent on to a telephone."""
    with centre.caller.far_end("overflow", FOUND, "-d", "1000") as night:
        target = centre.caller.documents.values["overflow"]
        scene = centre.scene("waits-long", max_wait=1, announcement="Sorry.", overflow=target)
        return Scene(scene.calls, {"overflow": night.result(10)})


def test_a_caller_talks_to_an_agent_who_wraps_up_then(scenes: Scenes) -> None:
    scene = scenes["talks"].result()
    scene.call.sip.assert_success()
    assert scene.outcome == "far_end_disconnect"
    assert float(scene.call.told[0]["duration"]) == pytest.approx(1.0, abs=0.7)
    scene.call.assert_one_record("exit", "application")
    assert scene.states == {"talks-0": "wrapping_up"}


def test_the_agents_telephone_is_told_whose_call_it_is(scenes: Scenes) -> None:
    [invite] = scenes["talks"].result().agents["talks-0"].received("INVITE")
    assert invite.header("User-to-User") == f"{b'order 42'.hex()};encoding=hex"
    assert invite.header("X-Queue") == "talks"
    assert "waits-in-talks" in str(invite.header("X-Caller"))


@pytest.mark.parametrize("refusal", ["busy", "declines", "rings", "drops"])
def test_an_agent_who_does_not_take_the_caller_leaves_him_to_the_next(
    scenes: Scenes, refusal: str
) -> None:
    scene = scenes[refusal].result()
    scene.call.sip.assert_success()
    assert scene.outcome == "far_end_disconnect"
    for telephone in scene.agents.values():
        telephone.assert_success()
    assert scene.states == {f"{refusal}-0": "available", f"{refusal}-1": "wrapping_up"}


def test_a_caller_who_hangs_up_while_it_rings_frees_the_agent_at_once(scenes: Scenes) -> None:
    scene = scenes["abandons"].result()
    scene.call.sip.assert_success()
    assert scene.outcome == "connection.disconnect.hangup"
    telephone = scene.agents["abandons-0"]
    telephone.assert_success()
    [cancel], [bye] = telephone.received("CANCEL"), scene.call.sip.sent("BYE")
    assert 0 <= cancel.at - bye.at < 0.5
    assert scene.states == {"abandons-0": "available"}
    scene.call.assert_one_record("hangup", "caller")


def test_of_two_telephones_that_ring_one_has_the_caller_and_the_other_stops(
    scenes: Scenes,
) -> None:
    scene = scenes["both-ring"].result()
    assert scene.outcome == "far_end_disconnect"
    rings, talks = scene.agents["both-ring-0"], scene.agents["both-ring-1"]
    rings.assert_success()
    talks.assert_success()
    [cancel], [answer] = rings.received("CANCEL"), talks.sent(200)[:1]
    assert 0 <= cancel.at - answer.at < 0.5
    assert scene.states == {"both-ring-0": "available", "both-ring-1": "wrapping_up"}


def test_two_callers_have_one_agent_one_after_the_other_with_wrap_up_between(
    scenes: Scenes,
) -> None:
    scene = scenes["two-callers"].result()
    telephone = scene.agents["two-callers-0"]
    telephone.assert_success()
    for call in scene.calls.values():
        assert [one["outcome"] for one in call.told] == ["far_end_disconnect"]
    _, second = telephone.received("INVITE")
    first_bye = telephone.sent("BYE")[0]
    assert second.at - first_bye.at == pytest.approx(1.0, abs=0.5)


def test_an_agent_who_says_so_has_wrapped_up(scenes: Scenes, centre: Centre) -> None:
    scenes["talks"].result()
    assert centre.state("talks-0") == "wrapping_up"
    assert centre.ask("POST", "agents/talks-0/release")["state"] == "available"


def test_a_waiting_caller_is_told_how_he_stands_in_each_round(scenes: Scenes) -> None:
    call = scenes["stands"].result().call
    rounds = [one for one in call.told if "round" in one]
    assert [one["round"] for one in rounds] == ["0", "1", "2"]
    assert float(rounds[0]["elapsed"]) < 1.5
    assert {one["position"] for one in rounds} == {"1"}
    assert {one["queue"] for one in rounds} == {"stands"}
    assert scenes["stands"].result().outcome == "queue_timeout"


def test_a_key_takes_the_caller_out_of_the_queue(scenes: Scenes) -> None:
    scene = scenes["leaves"].result()
    assert scene.outcome == "queue_leave"
    scene.call.assert_one_record("exit", "application")


def test_nobody_waits_for_agents_who_are_not_there(scenes: Scenes) -> None:
    assert scenes["nobody"].result().outcome == "queue_no_agents"


def test_a_full_queue_takes_nobody_more(scenes: Scenes) -> None:
    calls = scenes["full"].result().calls.values()
    assert {call.told[0]["outcome"] for call in calls} == {"queue_full", "queue_timeout"}


def test_who_has_waited_long_enough_is_sent_on(scenes: Scenes) -> None:
    scene = scenes["waits-long"].result()
    assert scene.outcome == "far_end_disconnect"
    scene.agents["overflow"].assert_success()
    legs = scene.call.records[0]["legs"]
    assert isinstance(legs, list)
    outcomes = {leg["destination"].partition(":")[0]: leg["outcome"] for leg in legs}
    assert outcomes == {"queue": "queue_timeout", "sip": "far_end_disconnect"}


def test_a_caller_who_comes_back_to_a_queue_has_his_place(scenes: Scenes) -> None:
    scene = scenes["again"].result()
    assert scene.outcome == "far_end_disconnect far_end_disconnect"
    scene.agents["again-0"].assert_success()
    elapsed = [float(one["elapsed"]) for one in scene.call.told if "elapsed" in one]
    # The first time the agent may answer before the caller is told anything.
    assert elapsed[-1] > 1.0, "the conversation counts too"


def test_an_agent_may_be_wanted_by_name(scenes: Scenes) -> None:
    scene = scenes["by-name"].result()
    assert scene.outcome == "far_end_disconnect"
    assert scene.states == {"by-name-0": "wrapping_up"}


def test_a_queue_that_is_not_there_is_a_bad_destination(centre: Centre) -> None:
    call = centre.caller.call("queue-lost", "to-nowhere")
    assert [one["outcome"] for one in call.told] == ["error.connection.baddestination"]


def test_nothing_is_left_of_callers_and_offers(scenes: Scenes, centre: Centre) -> None:
    def waiting() -> list[object]:
        queues = centre.ask("GET", "queues")["queues"]
        assert isinstance(queues, list)
        return [queue for queue in queues if queue["waiting"]]

    until(lambda: not waiting(), 20, "nobody waits")
    centre.server.assert_nothing_left()
