"""A caller's way through a queue: what he hears, who takes him, and every way in which it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from tests.calls.fake_sip import FakeOutgoing
from tests.queues.contact_centre import agent, queue
from tests.queues.test_centre import World, state
from tests.queues.waiters import ROUND, Switchboard, Tape, Waiter, failure, names, thrown
from vxml_server.asr import Understood, VoiceEnding, VoiceResult
from vxml_server.clock import VirtualClock
from vxml_server.grammar import builtin, phrase
from vxml_server.interpreter import ActiveGrammar, InputProperties, Outcome, TransferResult
from vxml_server.queues.patience import LOOK
from vxml_server.queues.rows import Presence
from vxml_server.queues.treatment import Returned, returned
from vxml_server.queues.waiting import MAX_OVERFLOWS

STAR = ActiveGrammar(builtin("builtin:dtmf/boolean?y=*;n=9"), "dtmf", "transfer", None)
DEFINITIONS = [
    agent("ann", max_no_answer=0),
    agent("bob"),
    queue("sales", ["ann", "bob"], strategy="top_down"),
    queue("all", ["ann", "bob"], strategy="ring_all"),
    queue(
        "short",
        ["ann"],
        max_wait=30.0,
        announcement="We are sorry.",
        overflow="queue:all",
        treatment="own.vxml",
        hold_music="song.wav",
    ),
    queue("empty", ["bob"], max_wait_no_agents=10.0),
    queue("full", ["bob"], max_waiting=1, overflow="sip:night@watch"),
]


class Hall:
    """One worker with ann signed in, and its callers."""

    def __init__(self, world: World, board: Switchboard) -> None:
        self.world = world
        self.board = board
        self.centre = board.centre

    async def waiter(self, dest: str = "queue:sales", type_: str = "bridge", **values) -> Waiter:
        made = Waiter(self.board, dest, type_, **values)
        await self.settle()
        return made

    async def settle(self, seconds: float = 0.0) -> None:
        await self.world.settle(seconds)

    async def result(self, waiter: Waiter) -> TransferResult:
        """What became of him, which needs no more time, and that nothing is left of him."""
        assert waiter.running is not None
        await asyncio.wait([waiter.running], timeout=5)
        assert waiter.running.done()
        assert not waiter.is_bridged
        assert not waiter.hears
        mine = waiter.transfer._entry
        assert mine not in self.centre.board.entries
        assert waiter.transfer.record is not None
        return waiter.running.result()

    async def outcome(self, waiter: Waiter) -> str:
        return (await self.result(waiter)).outcome

    async def telephone(self, user: str) -> FakeOutgoing:
        """The newest call to a telephone, once it is made."""
        for _ in range(50):
            if self.board.has_rung(user):
                break
            await self.settle()
        return self.board.telephone(user)

    async def answers(self, user: str = "ann") -> FakeOutgoing:
        telephone = await self.telephone(user)
        telephone.ring()
        telephone.answer()
        await self.settle()
        return telephone

    async def bridged(self, dest: str = "queue:sales", type_: str = "bridge", **values) -> Waiter:
        made = await self.waiter(dest, type_, **values)
        await self.answers()
        assert made.is_bridged
        return made


@pytest.fixture
async def hall(tmp_path: Path) -> AsyncIterator[Hall]:
    world = World(VirtualClock(), tmp_path)
    centre = await world.worker()
    await centre.declare(DEFINITIONS)
    await centre.present("ann", Presence.AVAILABLE)
    board = Switchboard(world.clock, centre)
    yield Hall(world, board)
    await board.close()
    await world.close()


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


# With an agent -----------------------------------------------------------------------------------


async def test_an_agent_who_answers_has_the_caller_who_hears_nothing_else_then(hall: Hall) -> None:
    waiter = await hall.waiter(aai="Zoë")
    assert waiter.hears
    telephone = await hall.answers()
    assert waiter.is_bridged
    assert not waiter.hears
    assert not waiter.leg.channel.is_playing
    assert state(hall.centre, "ann") == "talking"
    assert telephone.headers["User-to-User"] == "5a6fc3ab;encoding=hex"
    assert telephone.headers["X-Queue"] == "sales"
    await hall.settle(30)
    telephone.bye()
    await hall.settle()
    assert await hall.result(waiter) == TransferResult("far_end_disconnect", pytest.approx(30))
    record = waiter.transfer.record
    assert (record.outcome, record.answered_at is not None) == ("far_end_disconnect", True)


async def test_a_caller_who_hangs_up_ends_the_conversation(hall: Hall) -> None:
    waiter = await hall.bridged()
    waiter.hang_up()
    await hall.settle()
    assert await hall.outcome(waiter) == "connection.disconnect.hangup"
    assert "BYE" in (await hall.telephone("ann")).sent
    assert state(hall.centre, "ann") == "wrapping_up"


async def test_a_conversation_ends_at_its_longest_time(hall: Hall) -> None:
    waiter = await hall.bridged(max_time=60.0)
    await hall.settle(60)
    assert await hall.outcome(waiter) == "maxtime_disconnect"
    assert "BYE" in (await hall.telephone("ann")).sent


async def test_an_agent_whose_network_is_gone_is_told_apart(hall: Hall) -> None:
    waiter = await hall.bridged()
    (await hall.telephone("ann")).lose()
    await hall.settle()
    assert await hall.outcome(waiter) == "network_disconnect"


async def test_the_caller_ends_a_conversation_by_a_key_of_the_transfers_grammars(
    hall: Hall,
) -> None:
    waiter = await hall.bridged(
        grammars=(STAR,), properties=InputProperties(interdigit_timeout=1.0, term_timeout=0.0)
    )
    waiter.press("5")
    await hall.settle(2)
    assert waiter.is_bridged
    waiter.press("*")
    await hall.settle(2)
    result = await hall.result(waiter)
    assert result.outcome == "near_end_disconnect"
    assert result.recognition is not None
    assert result.recognition.utterance == "*"
    assert "BYE" in (await hall.telephone("ann")).sent


async def test_the_caller_ends_a_conversation_by_voice(hall: Hall) -> None:
    words = ActiveGrammar(phrase("good bye", "en"), "voice", "transfer", None)
    waiter = await hall.bridged(grammars=(words,))
    found = Understood("good bye", 0.9, "good bye", 0)
    waiter.recogniser.current.tell(
        VoiceResult(VoiceEnding.MATCH, (found,), np.zeros(0, np.int16), 0.0, 1.0)
    )
    await hall.settle()
    assert await hall.outcome(waiter) == "near_end_disconnect"
    assert waiter.recogniser.waits[0].is_closed


async def test_keys_that_pass_no_bridge_are_pressed_at_the_other_end(hall: Hall) -> None:
    waiter = await hall.bridged()
    telephone = await hall.telephone("ann")
    waiter.call.info("7")
    telephone.info("8")
    await hall.settle()
    mine, theirs = hall.board.engine.channels[:2]
    assert (mine.keys_sent, theirs.keys_sent) == ("8", "7")


async def test_an_agent_who_drops_in_the_gap_gives_the_caller_back_to_what_he_heard(
    hall: Hall,
) -> None:
    waiter = await hall.waiter()
    telephone = await hall.telephone("ann")
    telephone.answer()
    telephone.bye()
    await hall.settle()
    assert not waiter.is_bridged
    assert waiter.hears
    assert [one.queue["round"] for one in waiter.rounds] == [0, 1]
    assert not waiter.running.done()
    await hall.settle(10.5)
    await hall.answers()
    assert waiter.is_bridged


async def test_a_limit_that_passed_in_the_gap_is_not_forgotten(hall: Hall) -> None:
    waiter = await hall.waiter("queue:short")
    await hall.settle(29.9)
    telephone = await hall.telephone("ann")
    telephone.answer()
    telephone.bye()
    await hall.settle(ROUND + 5)
    assert [one.dest for one in waiter.sent_on] == ["queue:all"]


async def test_of_two_telephones_that_answer_at_once_one_has_the_caller(hall: Hall) -> None:
    await hall.centre.present("bob", Presence.AVAILABLE)
    waiter = await hall.waiter("queue:all")
    (await hall.telephone("ann")).answer()
    (await hall.telephone("bob")).answer()
    await hall.settle()
    assert len(hall.board.engine.bridges) == 1
    talking = [name for name in ("ann", "bob") if state(hall.centre, name) == "talking"]
    assert len(talking) == 1
    (await hall.telephone(talking[0])).bye()
    await hall.settle()
    assert await hall.outcome(waiter) == "far_end_disconnect"


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
    await hall.centre.undefine("queue", "sales")
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


# Recording ---------------------------------------------------------------------------------------


async def test_the_notice_comes_before_the_waiting_and_the_recording_with_the_bridge(
    hall: Hall,
) -> None:
    tape = Tape()
    waiter = Waiter(hall.board, "queue:sales", recorded=tape)
    await hall.settle()
    assert tape.queue == "sales"
    assert tape.happened == ["notice"]
    telephone = await hall.answers()
    assert waiter.is_bridged
    assert tape.happened == ["notice", "agent ann", "start"]
    telephone.listener.key("4", "rfc4733", 0.0)
    await hall.settle()
    telephone.bye()
    assert await hall.outcome(waiter) == "far_end_disconnect"
    assert tape.happened == ["notice", "agent ann", "start", "key 4", "close"]


async def test_nobody_is_recorded_whom_no_agent_has_taken(hall: Hall) -> None:
    tape = Tape()
    waiter = Waiter(hall.board, "agent:bob", recorded=tape)
    assert await hall.outcome(waiter) == "queue_no_agents"
    assert tape.happened == ["notice", "close"]
