"""A caller's way through a queue: what he hears, who takes him, and every way in which it ends."""

from __future__ import annotations

import asyncio

import pytest

from tests.queues.contact_centre import agent
from tests.queues.hall import Hall
from tests.queues.waiters import ROUND, Waiter, failure, names, thrown
from tests.queues.workers import state
from vxml_server.interpreter import Outcome, TransferResult
from vxml_server.queues.patience import LOOK
from vxml_server.queues.rows import Exit, Presence
from vxml_server.queues.treatment import Returned, returned
from vxml_server.queues.waiting import MAX_OVERFLOWS
from vxml_server.store import StoreError

# The way in --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dest", ["queue:nowhere", "agent:nobody", "queue:", "queue:sales?x=1"])
async def test_a_destination_that_is_not_there_is_refused(hall: Hall, dest: str) -> None:
    waiter = await hall.waiter(dest)
    assert waiter.refused is not None
    assert waiter.refused.outcome == "error.connection.baddestination"
    assert waiter.transfer.record is not None


async def test_what_a_caller_brings_is_with_him_in_the_queue(hall: Hall) -> None:
    await hall.centre.present("ann", Presence.ON_BREAK)
    waiter = await hall.waiter("queue:sales?priority=2&language=fr&skill.loans=50", aai="42")
    (entry,) = hall.centre.board.entries.values()
    assert (entry.priority, entry.language, entry.skills) == (2.0, "fr", {"loans": 50})
    assert entry.data == {"aai": "42", "from": "sip:carol@phone.test"}
    assert waiter.rounds[0].uri == "waiting.fr", "in the language that he asked for"


async def test_a_caller_who_has_gone_already_never_waits(hall: Hall) -> None:
    refused = await hall.waiter("queue:nowhere")
    refused.hang_up()
    await hall.settle()
    waiter = await hall.waiter("queue:sales", leg=refused.leg)
    assert await hall.outcome(waiter) == "connection.disconnect.hangup"
    assert "queue.entered" not in await hall.world.facts()


# What he hears -----------------------------------------------------------------------------------


async def test_a_waiting_caller_hears_how_he_stands_again_and_again(hall: Hall) -> None:
    await hall.centre.present("ann", Presence.ON_BREAK)
    await hall.waiter()
    await hall.settle(1)
    waiter = await hall.waiter()
    await hall.settle(2 * ROUND + 1)
    assert [one.queue["round"] for one in waiter.rounds] == [0, 1, 2]
    assert [one.uri for one in waiter.rounds] == ["waiting.en"] * 3
    told = waiter.rounds[1].queue
    assert (told["name"], told["position"], told["waiting"]) == ("sales", 2, 2)
    assert (told["estimated_wait"], told["agents"]) == (None, 0)
    assert told["elapsed"] == pytest.approx(ROUND)


async def test_the_estimate_never_grows_while_nothing_happens(hall: Hall) -> None:
    await hall.centre.present("bob", Presence.AVAILABLE)
    busy = [await hall.waiter(), await hall.waiter()]
    await hall.answers("ann")
    await hall.answers("bob")
    assert all(one.is_bridged for one in busy)
    waiter = await hall.waiter()
    await hall.settle(10 * ROUND)
    estimates = [one.queue["estimated_wait"] for one in waiter.rounds]
    assert len(estimates) >= 10
    assert all(isinstance(one, float) and one > 0 for one in estimates)
    assert estimates == sorted(estimates, reverse=True)


async def test_a_queue_may_have_a_document_and_music_of_its_own(hall: Hall) -> None:
    await hall.centre.present("ann", Presence.ON_BREAK)
    waiter = await hall.waiter("queue:short")
    assert waiter.rounds[0].uri == "own.vxml"
    assert waiter.rounds[0].queue["hold_music"] == "song.wav"


@pytest.mark.parametrize("trouble", [failure(), thrown(), RuntimeError("a defect")])
async def test_a_document_that_fails_is_replaced_by_the_shipped_one(
    hall: Hall, trouble: Outcome | Exception
) -> None:
    await hall.centre.present("ann", Presence.ON_BREAK)
    waiter = Waiter(hall.board, "queue:short")
    waiter.coming.append(trouble)
    await hall.settle(5)
    assert [one.uri for one in waiter.rounds] == ["own.vxml", "waiting.en"]
    assert not waiter.running.done()


async def test_a_defect_in_what_a_document_is_told_leaves_nobody_in_silence(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    await hall.centre.present("ann", Presence.ON_BREAK)

    def fails(entry: str) -> None:
        raise RuntimeError("a defect")

    with monkeypatch.context() as patched:
        patched.setattr(hall.centre, "standing", fails)
        waiter = await hall.waiter("queue:short")
    await hall.settle(5)
    assert [one.uri for one in waiter.rounds] == ["waiting.en"]


async def test_a_document_that_ends_at_once_does_not_keep_the_server_busy(hall: Hall) -> None:
    await hall.centre.present("ann", Presence.ON_BREAK)
    waiter = Waiter(hall.board, "queue:sales")
    waiter.coming.extend([Outcome("exit")] * 5)
    await hall.settle(3.5)
    assert [one.at - waiter.rounds[0].at for one in waiter.rounds] == [0, 1, 2, 3]


# A key to leave ----------------------------------------------------------------------------------


async def test_what_the_document_returns_takes_the_caller_out(hall: Hall) -> None:
    waiter = await hall.waiter()
    waiter.last_words = "leave"
    telephone = await hall.telephone("ann")
    await hall.settle(ROUND)
    assert await hall.outcome(waiter) == "queue_leave"
    assert telephone.finals == ["cancelled"], "the agent's telephone stops ringing"
    assert state(hall.centre, "ann") == "available"
    left = (await hall.world._stores[0].events())[-1]
    assert (left.name, left.data["exit"]) == ("queue.left", "key")


async def test_who_presses_a_key_while_the_database_is_away_goes_where_it_says(hall: Hall) -> None:
    await hall.centre.present("ann", Presence.ON_BREAK)
    hall.board.boxes["sales"] = "voicemail:sales"
    waiter = await hall.waiter()
    waiter.last_words = "message"
    waiter.elsewhere = TransferResult("voicemail_left", 12.0)
    (store,) = hall.world._stores
    await hall.settle(ROUND - 1)
    store.failures_before = 10**9
    for _ in range(12):
        hall.world.clock.advance(0.5)
        await hall.world._traffic.settle()
    store.failures_before = 0
    assert waiter.running is not None and waiter.running.done(), "he has not waited for it"
    assert waiter.running.result().outcome == "voicemail_left"
    await hall.settle(2)
    left = [event for event in await store.events() if event.name == "queue.left"]
    assert [event.data["exit"] for event in left] == ["key"]


async def test_a_wish_to_be_called_back_is_noted_with_its_number(hall: Hall) -> None:
    await hall.centre.present("ann", Presence.ON_BREAK)
    waiter = await hall.waiter(aai="42")
    waiter.last_words = {"outcome": "callback", "number": "0123456789"}
    await hall.settle(ROUND)
    assert await hall.outcome(waiter) == "queue_callback"
    (fact,) = hall.board.facts
    assert (fact.name, fact.queue, fact.call_id) == ("callback.requested", "sales", "call-1")
    assert fact.data == {"number": "0123456789", "from": "sip:carol@phone.test", "aai": "42"}


async def test_who_hangs_up_after_asking_to_be_called_back_is_noted_too(hall: Hall) -> None:
    await hall.centre.present("ann", Presence.ON_BREAK)
    waiter = await hall.waiter()
    waiter.last_words = {"outcome": "callback", "number": "0123456789"}
    waiter.hang_up()
    await hall.settle()
    assert await hall.outcome(waiter) == "connection.disconnect.hangup"
    assert names(hall.board.facts) == ["callback.requested"]


async def test_a_wish_does_not_outlive_a_conversation_that_came_first(hall: Hall) -> None:
    waiter = await hall.waiter()
    telephone = await hall.telephone("ann")
    heard = waiter.transfer._silence

    async def ends_by_itself() -> None:
        # The document returns in the very moment in which it would have been ended.
        waiter.transfer._treated(Returned("callback", {"number": "0123456789"}))
        await heard()

    waiter.transfer._silence = ends_by_itself
    telephone.answer()
    await hall.settle()
    assert waiter.is_bridged
    waiter.transfer._silence = heard
    waiter.transfer.send_on("", "")
    await hall.centre.present("ann", Presence.ON_BREAK)
    telephone.bye()
    await hall.settle(1)
    assert not waiter.is_bridged
    waiter.hang_up()
    await hall.settle()
    assert await hall.outcome(waiter) == "connection.disconnect.hangup"
    assert hall.board.facts == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", None),
        ({}, None),
        ("leave", Returned("leave")),
        ({"outcome": "callback", "number": "1"}, Returned("callback", {"number": "1"})),
        ("error.semantic", None),
        ("two words", None),
        (3, None),
        (["leave"], None),
    ],
)
def test_only_a_word_takes_a_caller_out(value: object, expected: Returned | None) -> None:
    assert returned(value) == expected


# Agents by name ----------------------------------------------------------------------------------


async def test_a_caller_may_wait_for_one_agent(hall: Hall) -> None:
    waiter = await hall.waiter("agent:ann")
    await hall.answers()
    assert waiter.is_bridged


async def test_an_agent_who_is_not_there_is_not_waited_for(hall: Hall) -> None:
    waiter = await hall.waiter("agent:bob")
    await hall.settle()
    assert await hall.outcome(waiter) == "queue_no_agents"


async def test_an_agent_is_waited_for_as_long_as_a_telephone_would_be(hall: Hall) -> None:
    await hall.bridged()
    waiter = await hall.waiter("agent:ann", connect_timeout=15.0)
    await hall.settle(14.9)
    assert not waiter.running.done()
    await hall.settle(0.2)
    assert await hall.outcome(waiter) == "queue_timeout"


async def test_who_would_rather_leave_a_message_does_so_in_the_box_of_the_queue(hall: Hall) -> None:
    await hall.centre.present("ann", Presence.ON_BREAK)
    hall.board.boxes["sales"] = "voicemail:sales"
    waiter = Waiter(hall.board, "queue:sales", aai="42")
    waiter.coming.append(Outcome("exit", "message"))
    waiter.elsewhere = TransferResult("voicemail_left", 12.0)
    await hall.settle()
    assert await hall.outcome(waiter) == "voicemail_left"
    assert [(one.dest, one.aai) for one in waiter.sent_on] == [("voicemail:sales", "42")]
    assert waiter.transfer.record.outcome == "queue_message"


@pytest.mark.parametrize("box", ["", "voicemail:gone"])
async def test_without_a_box_the_application_is_told_that_he_wants_to_leave_a_message(
    hall: Hall, box: str
) -> None:
    await hall.centre.present("ann", Presence.ON_BREAK)
    hall.board.boxes["sales"] = box
    waiter = Waiter(hall.board, "queue:sales")
    waiter.coming.append(Outcome("exit", "message"))
    waiter.elsewhere = TransferResult("error.connection.baddestination")
    await hall.settle()
    assert await hall.outcome(waiter) == "queue_message"
    assert len(waiter.sent_on) == bool(box)


# Limits ------------------------------------------------------------------------------------------


async def test_who_has_waited_long_enough_hears_it_and_goes_on(hall: Hall) -> None:
    await hall.centre.present("ann", Presence.ON_BREAK)
    waiter = await hall.waiter("queue:short")
    waiter.elsewhere = TransferResult("far_end_disconnect", 12.0)
    await hall.settle(29.9)
    assert waiter.sent_on == []
    await hall.settle(ROUND + 5)
    assert waiter.rounds[-1].uri == "announcement.en"
    assert waiter.rounds[-1].queue == {"name": "short", "announcement": "We are sorry."}
    assert [one.dest for one in waiter.sent_on] == ["queue:all"]
    assert await hall.outcome(waiter) == "far_end_disconnect", "what became of him there"
    assert waiter.transfer.record.outcome == "queue_timeout"


async def test_an_overflow_that_cannot_take_him_is_as_if_there_were_none(hall: Hall) -> None:
    await hall.centre.present("ann", Presence.ON_BREAK)
    waiter = await hall.waiter("queue:short")
    waiter.elsewhere = TransferResult("error.connection.baddestination")
    await hall.settle(30 + ROUND + 5)
    assert await hall.outcome(waiter) == "queue_timeout"


async def test_nobody_waits_long_for_agents_who_are_not_there(hall: Hall) -> None:
    waiter = await hall.waiter("queue:empty")
    await hall.settle(9.5)
    await hall.centre.present("bob", Presence.ON_BREAK)
    await hall.settle(20)
    assert not waiter.running.done(), "he may come back"
    await hall.centre.present("bob", Presence.SIGNED_OUT)
    await hall.settle(9.0)
    assert not waiter.running.done()
    await hall.settle(1 + LOOK)
    assert await hall.outcome(waiter) == "queue_no_agents"


async def test_a_full_queue_sends_him_on_at_once(hall: Hall) -> None:
    first = await hall.waiter("queue:full")
    second = await hall.waiter("queue:full")
    assert [one.dest for one in second.sent_on] == ["sip:night@watch"]
    assert await hall.outcome(second) == "busy"
    assert second.transfer.record.outcome == "queue_full"
    assert not first.running.done()


async def test_nobody_is_sent_on_for_ever(hall: Hall) -> None:
    waiter = await hall.waiter("queue:sales", hops=MAX_OVERFLOWS + 1)
    assert waiter.refused is not None
    assert waiter.refused.outcome == "error.connection.baddestination"


async def test_who_hangs_up_while_he_hears_the_announcement_goes_nowhere(hall: Hall) -> None:
    await hall.centre.present("ann", Presence.ON_BREAK)
    waiter = await hall.waiter("queue:short")
    await hall.settle(31)
    assert waiter.rounds[-1].uri == "announcement.en"
    waiter.hang_up()
    await hall.settle()
    assert await hall.outcome(waiter) == "connection.disconnect.hangup"
    assert waiter.sent_on == []


async def test_a_queue_that_is_removed_sends_its_callers_away(hall: Hall) -> None:
    await hall.centre.present("ann", Presence.ON_BREAK)
    waiter = await hall.waiter()
    await hall.centre.declare([agent("ann")])
    await hall.settle(1.5)
    assert await hall.outcome(waiter) == "queue_removed"


# The end from outside ----------------------------------------------------------------------------


@pytest.mark.parametrize("moment", ["waiting", "ringing", "bridged"])
async def test_a_caller_who_hangs_up_leaves_nothing_behind(hall: Hall, moment: str) -> None:
    if moment == "waiting":
        await hall.centre.present("ann", Presence.ON_BREAK)
    waiter = await hall.waiter()
    if moment == "ringing":
        (await hall.telephone("ann")).ring()
    elif moment == "bridged":
        await hall.answers()
    waiter.hang_up()
    await hall.settle()
    assert await hall.outcome(waiter) == "connection.disconnect.hangup"
    await hall.settle(11)
    assert not hall.centre.board.offers
    assert [channel.closed for channel in hall.board.engine.channels[1:]] in ([], [True])


@pytest.mark.parametrize("moment", ["entering", "waiting", "ringing", "bridged"])
async def test_a_call_that_is_abandoned_leaves_nothing_behind(hall: Hall, moment: str) -> None:
    waiter = Waiter(hall.board, "queue:sales")
    if moment != "entering":
        await hall.settle()
    if moment == "bridged":
        await hall.answers()
    await asyncio.sleep(0)
    assert waiter.running is not None
    waiter.running.cancel()
    await hall.settle()
    assert waiter.running.cancelled()
    assert not waiter.is_bridged
    assert not hall.centre.board.entries
    await hall.settle(11)
    assert not hall.centre.board.offers


async def test_his_call_is_told_of_the_end_also_when_that_cannot_be_stored(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiter = await hall.waiter(type_="consultation")
    connected = asyncio.create_task(waiter.transfer.connected())

    async def is_not_stored(entry: str, reason: Exit) -> None:
        raise StoreError("the worker stops")

    monkeypatch.setattr(hall.centre, "leave", is_not_stored)
    waiter.hang_up()
    await hall.settle()
    assert waiter.running is not None and waiter.running.done()
    assert connected.done()
    assert waiter.transfer.record is not None


async def test_who_is_put_out_goes_back_to_his_application(hall: Hall) -> None:
    await hall.centre.present("ann", Presence.ON_BREAK)
    waiter = await hall.waiter()
    (entry,) = hall.centre.board.entries
    assert await hall.centre.put_out(entry)
    await hall.settle()
    assert await hall.outcome(waiter) == "queue_removed"


async def test_a_worker_that_was_taken_for_dead_lets_its_callers_wait_on(hall: Hall) -> None:
    await hall.centre.present("ann", Presence.ON_BREAK)
    waiter = await hall.waiter()
    (before,) = hall.centre.board.entries.values()
    await hall.settle(5)
    await hall.centre._replica.take_out(before.id, "lost")
    waiter.transfer.lost()
    await hall.settle()
    (after,) = hall.centre.board.entries.values()
    assert after.id != before.id
    assert after.entered_at == before.entered_at
    assert waiter.hears


async def test_a_caller_who_comes_back_has_his_place_if_he_asks_for_it(hall: Hall) -> None:
    waiter = await hall.bridged()
    began = waiter.rounds[0].at
    await hall.settle(60)
    (await hall.telephone("ann")).bye()
    await hall.settle()
    others = await hall.waiter()
    assert others.rounds[0].queue["position"] == 1
    back = Waiter(hall.board, "queue:sales?keep_place=true", leg=waiter.leg)
    await hall.settle()
    told = back.rounds[0].queue
    assert (told["position"], told["elapsed"]) == (1, pytest.approx(60 + began, abs=0.1))
    await hall.settle(1)
    again = Waiter(hall.board, "queue:sales", leg=waiter.leg)
    await hall.settle()
    assert again.rounds[0].queue["position"] == 3


# Beside the session ------------------------------------------------------------------------------


async def test_a_consultation_is_connected_when_the_agent_has_the_caller(hall: Hall) -> None:
    waiter = await hall.waiter(type_="consultation")
    connected = asyncio.create_task(waiter.transfer.connected())
    await hall.settle()
    assert not connected.done()
    await hall.answers()
    assert connected.done()
    assert await connected is None


async def test_a_consultation_that_fails_says_how(hall: Hall) -> None:
    waiter = await hall.waiter("agent:bob", "consultation")
    await hall.settle()
    assert await waiter.transfer.connected() == TransferResult("queue_no_agents")


async def test_the_ringing_of_where_he_is_sent_on_goes_on(hall: Hall) -> None:
    await hall.centre.present("ann", Presence.ON_BREAK)
    waiter = await hall.waiter("queue:short", "blind")
    waiter.elsewhere = TransferResult("connection.disconnect.transfer")
    await hall.settle(30 + ROUND + 5)
    assert await hall.outcome(waiter) == "connection.disconnect.transfer"
