"""A caller who is handed to a box, and what becomes of him there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

import pytest

from tests.calls.world import FakeEngine, FakeIncoming
from tests.voicemail.boxes import Boxes
from vxml_server.calls import Handover, Leg
from vxml_server.calls.voice import Ear
from vxml_server.clock import VirtualClock
from vxml_server.events import VoiceXmlEvent
from vxml_server.interpreter import Connection, Json, Outcome, TransferRequest, TransferResult
from vxml_server.queues import Box
from vxml_server.voicemail import DOCUMENTS, VoicemailTransfer, destination_of

HANGUP = "connection.disconnect.hangup"
HEARD = 12.0
"""Seconds that the document takes."""


class Guest:
    """A caller whose call is up; `comes` is what comes of the document that he hears."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.boxes = Boxes((Box("sales"), Box("Été_1", language="fr-CA")))
        self.call = FakeIncoming()
        self.leg = Leg(FakeEngine(self.clock), self.clock, 1)
        self.call.listener = self.leg
        self.leg.accept(self.call)
        self.leg.answer()
        self.call.ack()
        self.leg.events.take()
        self.comes: Outcome | Exception = Outcome("exit", "left")
        self.hangs_up = False
        self.heard: list[tuple[str, Mapping[str, Json]]] = []

    async def _converse(self, uri: str, variables: Mapping[str, Json]) -> Outcome:
        self.heard.append((uri.rpartition("/")[2], variables))
        await self.clock.sleep(HEARD)
        self.leg.channel.press("1")
        if self.hangs_up:
            self.call.bye()
            await asyncio.sleep(0)
        if isinstance(self.comes, Exception):
            raise self.comes
        return self.comes

    async def _transfer(self, request: TransferRequest) -> TransferResult:
        raise AssertionError("nobody is sent on from a box")

    def transfer(self, dest: str = "voicemail:sales", **request: object) -> VoicemailTransfer:
        handover = Handover(
            call_id="call-1",
            leg=self.leg,
            ear=Ear(self.leg, None),
            connection=Connection(),
            converse=self._converse,
            transfer=self._transfer,
        )
        asked = TransferRequest(dest, "bridge", **request)
        return VoicemailTransfer(self.boxes, self.clock, handover, asked, "fr")

    async def result(self, transfer: VoicemailTransfer) -> TransferResult:
        assert transfer.dial() is None
        running = asyncio.create_task(transfer.run())
        await self.clock.elapse(HEARD + 1)
        assert running.done()
        return running.result()


@pytest.fixture
async def guest() -> AsyncIterator[Guest]:
    made = Guest()
    yield made
    made.leg.hang_up()
    await made.clock.settle()


@pytest.mark.parametrize("word", ["left", "full", "none", "failed"])
async def test_what_the_document_returns_is_the_outcome(guest: Guest, word: str) -> None:
    guest.comes = Outcome("exit", word)
    transfer = guest.transfer(aai="42")
    result = await guest.result(transfer)
    assert (result.outcome, result.duration) == (f"voicemail_{word}", HEARD)
    assert guest.heard == [
        ("leave.fr.vxml", {"voicemail": {"box": "sales", "data": {"aai": "42"}}})
    ]
    record = transfer.record
    assert record is not None
    assert (record.destination, record.outcome) == ("voicemail:sales", f"voicemail_{word}")
    assert (record.duration_s, record.answered_at) == (HEARD, record.started_at)
    assert guest.leg.events.take_keys() == [], "keys were the document's"


@pytest.mark.parametrize(
    "comes",
    [Outcome("error", error="error.badfetch"), VoiceXmlEvent("error.badfetch", "no file")],
)
async def test_a_document_that_fails_has_kept_nothing(
    guest: Guest, comes: Outcome | Exception
) -> None:
    guest.comes = comes
    assert (await guest.result(guest.transfer())).outcome == "voicemail_failed"


async def test_a_message_that_is_kept_is_so_though_the_caller_could_not_be_told(
    guest: Guest,
) -> None:
    guest.comes = Outcome("error", "left", error="error.noresource")
    assert (await guest.result(guest.transfer())).outcome == "voicemail_left"


@pytest.mark.parametrize(("value", "known"), [("left", "left"), (None, "none"), ({}, "none")])
async def test_of_a_caller_who_has_hung_up_the_record_says_whether_he_left_a_message(
    guest: Guest, value: Json, known: str
) -> None:
    guest.hangs_up = True
    guest.comes = Outcome("hangup", value)
    transfer = guest.transfer()
    assert (await guest.result(transfer)).outcome == HANGUP
    assert transfer.record is not None
    assert transfer.record.outcome == f"voicemail_{known}"


async def test_who_has_gone_before_hears_nothing(guest: Guest) -> None:
    guest.call.bye()
    await guest.clock.settle()
    transfer = guest.transfer()
    assert (await guest.result(transfer)).outcome == HANGUP
    assert guest.heard == []
    assert transfer.record is not None
    assert transfer.record.answered_at is None


@pytest.mark.parametrize("dest", ["voicemail:", "voicemail:nobody", "voicemail:sales?x=1"])
async def test_a_destination_that_is_no_box_is_refused(guest: Guest, dest: str) -> None:
    transfer = guest.transfer(dest)
    refused = transfer.dial()
    assert refused is not None
    assert refused.outcome == "error.connection.baddestination"
    assert transfer.record is not None
    assert transfer.record.answered_at is None


@pytest.mark.parametrize(
    ("box", "lang", "document"),
    [
        ("sales", "en-GB", "leave.en.vxml"),
        ("sales", "FR", "leave.fr.vxml"),
        ("sales", "", "leave.fr.vxml"),
        ("sales", "de", "leave.en.vxml"),
        ("sales", "../x", "leave.en.vxml"),
        ("%C3%89t%C3%A9_1", "en", "leave.fr.vxml"),
    ],
)
async def test_the_box_says_the_language_or_the_callers_document_or_the_settings(
    guest: Guest, box: str, lang: str, document: str
) -> None:
    await guest.result(guest.transfer(f"voicemail:{box}", lang=lang))
    assert guest.heard[0][0] == document
    assert (DOCUMENTS / document).is_file()


async def test_whoever_waits_to_be_connected_is_so_when_the_document_begins(guest: Guest) -> None:
    transfer = guest.transfer()
    assert transfer.dial() is None
    waiting = asyncio.create_task(transfer.connected())
    await guest.clock.settle()
    assert not waiting.done()
    running = asyncio.create_task(transfer.run())
    await guest.clock.settle()
    assert waiting.done()
    assert waiting.result() is None
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert transfer.record is not None
    assert transfer.record.outcome == HANGUP


def test_a_box_has_a_destination() -> None:
    assert destination_of(Box("Été_1")) == "voicemail:%C3%89t%C3%A9_1"
