"""A caller with an agent: how it comes about, what ends it, and what is recorded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import numpy as np
import pytest

from tests.queues.hall import STAR, Hall
from tests.queues.waiters import ROUND, Tape, Waiter
from tests.queues.workers import state
from vxml_server.asr import Understood, VoiceEnding, VoiceResult
from vxml_server.calls import Converse
from vxml_server.clock import Clock
from vxml_server.grammar import phrase
from vxml_server.interpreter import ActiveGrammar, InputProperties, TransferResult
from vxml_server.queues.centre import LEAVE_PATIENCE
from vxml_server.queues.rows import Offer, Presence
from vxml_server.queues.telephony import Telephone
from vxml_server.queues.transitions import OfferEvent


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


async def test_waiting_again_is_no_time_with_an_agent(hall: Hall) -> None:
    waiter = await hall.bridged()
    await hall.settle(30)
    waiter.transfer.send_on("", "")
    await hall.centre.present("ann", Presence.ON_BREAK)
    (await hall.telephone("ann")).bye()
    await hall.settle(100)
    assert not waiter.is_bridged
    waiter.hang_up()
    await hall.settle()
    assert await hall.result(waiter) == TransferResult(
        "connection.disconnect.hangup", pytest.approx(30)
    )


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


# While the database is away ----------------------------------------------------------------------


def at_the_bridge(waiter: Waiter, do: Callable[[Offer], Awaitable[None]]) -> None:
    """What happens when the agent has answered, before he is bridged."""
    connect = waiter.transfer.connect

    async def connects(telephone: Telephone, offer: Offer) -> bool:
        await do(offer)
        return await connect(telephone, offer)

    waiter.transfer.connect = connects


async def bridged_without_a_database(hall: Hall) -> tuple[Waiter, Tape]:
    """A caller and ann, who talk; that she answered is stored, and no more."""

    async def freezes(offer: Offer) -> None:
        hall.freeze()

    tape = Tape()
    waiter = Waiter(hall.board, "queue:sales", recorded=tape)
    at_the_bridge(waiter, freezes)
    await hall.settle()
    await hall.answers()
    assert waiter.is_bridged
    assert state(hall.centre, "ann") == "ringing", "the bridge is not stored"
    return waiter, tape


async def told(hall: Hall) -> list[str]:
    """The log from the answer on."""
    facts = [fact for fact in await hall.world.facts() if not fact.startswith("agent.")]
    return facts[facts.index("offer.answered") + 1 :]


CONVERSATION = ["offer.bridged", "queue.connected", "offer.wrapping_up", "queue.left"]


async def test_what_two_say_is_recorded_also_before_the_bridge_is_stored(hall: Hall) -> None:
    waiter, tape = await bridged_without_a_database(hall)
    assert tape.happened == ["notice", "agent ann", "start"]
    await hall.settle(20)
    hall.thaw()
    await hall.settle(10)
    assert state(hall.centre, "ann") == "talking"
    (await hall.telephone("ann")).bye()
    await hall.settle()
    assert await hall.result(waiter) == TransferResult(
        "far_end_disconnect", pytest.approx(30, abs=1)
    )
    assert tape.happened == ["notice", "agent ann", "start", "close"]
    assert await told(hall) == CONVERSATION


async def test_an_agent_who_hangs_up_before_the_bridge_is_stored_keeps_nobody_waiting(
    hall: Hall,
) -> None:
    waiter, tape = await bridged_without_a_database(hall)
    await hall.settle(20)
    (await hall.telephone("ann")).bye()
    await hall.settle()
    assert tape.happened == ["notice", "agent ann", "start", "close"]
    await hall.settle(LEAVE_PATIENCE + 0.1)
    assert waiter.running.done()
    hall.thaw()
    await hall.settle(1)
    assert await hall.result(waiter) == TransferResult("far_end_disconnect", pytest.approx(20))
    assert await told(hall) == CONVERSATION
    assert state(hall.centre, "ann") == "wrapping_up"


async def test_an_agent_is_let_go_at_once_when_the_caller_hangs_up_before_the_bridge_is_stored(
    hall: Hall,
) -> None:
    waiter, tape = await bridged_without_a_database(hall)
    waiter.hang_up()
    await hall.settle()
    assert tape.happened == ["notice", "agent ann", "start", "stop"]
    assert "BYE" in (await hall.telephone("ann")).sent
    await hall.settle(2 * LEAVE_PATIENCE + 0.1)
    assert waiter.running.done()
    hall.thaw()
    await hall.settle(1)
    assert await hall.outcome(waiter) == "connection.disconnect.hangup"
    assert await told(hall) == CONVERSATION


async def test_the_end_of_a_conversation_keeps_nobody_waiting_for_the_database(hall: Hall) -> None:
    tape = Tape()
    waiter = await hall.bridged(recorded=tape)
    hall.freeze()
    (await hall.telephone("ann")).bye()
    await hall.settle()
    assert tape.happened[-1] == "close"
    await hall.settle(LEAVE_PATIENCE + 0.1)
    assert waiter.running.done()
    hall.thaw()
    await hall.settle(1)
    assert await hall.outcome(waiter) == "far_end_disconnect"
    assert await told(hall) == CONVERSATION


async def test_the_log_has_the_end_of_a_conversation_before_what_comes_after_it(hall: Hall) -> None:
    waiter = await hall.bridged()
    waiter.transfer.send_on("", "")
    hall.freeze()
    (await hall.telephone("ann")).bye()
    await hall.settle(1)
    assert not waiter.is_bridged
    hall.thaw()
    await hall.settle(1)
    assert waiter.hears
    assert (await told(hall))[:5] == [*CONVERSATION, "queue.entered"]


async def test_what_was_recorded_of_a_bridge_that_does_not_hold_ends_and_he_waits_on(
    hall: Hall,
) -> None:
    async def withdraws(offer: Offer) -> None:
        assert await hall.centre._replica.advance(offer.id, OfferEvent.WITHDRAW)

    tape = Tape()
    waiter = Waiter(hall.board, "queue:sales", recorded=tape)
    at_the_bridge(waiter, withdraws)
    await hall.settle()
    telephone = await hall.telephone("ann")
    await hall.centre.present("ann", Presence.ON_BREAK)
    telephone.answer()
    await hall.settle()
    assert "BYE" in telephone.sent
    assert tape.happened == ["notice", "agent ann", "start", "stop"]
    assert not waiter.is_bridged
    assert waiter.hears


async def test_nothing_is_recorded_of_an_agent_who_was_gone_before_the_bridge(hall: Hall) -> None:
    tape = Tape()
    waiter = Waiter(hall.board, "queue:sales", recorded=tape)
    await hall.settle()
    telephone = await hall.telephone("ann")
    telephone.answer()
    telephone.bye()
    await hall.settle()
    assert waiter.hears
    assert tape.happened == ["notice", "stop"]


async def test_the_notice_is_in_the_language_of_what_he_hears_while_he_waits(hall: Hall) -> None:
    tape = Tape()
    waiter = Waiter(hall.board, "queue:sales?language=fr", recorded=tape)
    await hall.settle()
    assert waiter.rounds[0].uri == "waiting.fr"
    assert tape.language == "fr"


class LongNotice(Tape):
    """Of which the notice takes its time."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        super().__init__()
        self._clock = clock
        self._seconds = seconds

    async def notice(self, converse: Converse) -> bool:
        await self._clock.sleep(self._seconds)
        return await super().notice(converse)


async def test_who_hears_the_notice_does_not_wait_yet(hall: Hall) -> None:
    tape = LongNotice(hall.world.clock, 12.0)
    waiter = Waiter(hall.board, "agent:ann", recorded=tape, connect_timeout=15.0)
    await hall.settle(26.5)
    assert not waiter.running.done()
    await hall.settle(1.0)
    assert await hall.outcome(waiter) == "queue_timeout"


async def test_who_hears_another_notice_where_he_was_moved_does_not_wait_yet(hall: Hall) -> None:
    await hall.centre.present("ann", Presence.ON_BREAK)
    tape = LongNotice(hall.world.clock, 40.0)
    tape._queues = ("short",)
    waiter = Waiter(hall.board, "queue:sales", recorded=tape)
    await hall.settle()
    waiter.transfer.move("short", keeps_place=False)
    await hall.settle(69.0)
    assert waiter.sent_on == []
    await hall.settle(2.0 + ROUND)
    assert [one.dest for one in waiter.sent_on] == ["queue:all"]


async def test_nobody_is_recorded_whom_no_agent_has_taken(hall: Hall) -> None:
    tape = Tape()
    waiter = Waiter(hall.board, "agent:bob", recorded=tape)
    assert await hall.outcome(waiter) == "queue_no_agents"
    assert tape.happened == ["notice", "close"]
