"""`<transfer dest="voicemail:sales">`: a caller is handed to a box, to leave a message there.

What he hears is a shipped VoiceXML document, which returns a word at its exit; that word, behind
`voicemail_`, is the outcome. The rules that must hold: a message that the caller has finished is
kept whatever becomes of his call; and a destination that is not a box is refused at once.
"""

from __future__ import annotations

import asyncio
from importlib import resources
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, unquote

import structlog

from vxml_server.calls import Handover
from vxml_server.clock import Clock
from vxml_server.events import VoiceXmlEvent
from vxml_server.interpreter import Json, TransferRequest, TransferResult
from vxml_server.queues import Box
from vxml_server.store import LegRecord

_log = structlog.get_logger(__name__)
VOICEMAIL = "voicemail"
"""The scheme of the destination."""
HANGUP = "connection.disconnect.hangup"
DOCUMENTS = Path(str(resources.files("vxml_server.voicemail"))) / "documents"
"""Where the shipped documents are."""
LANGUAGES = frozenset(path.name.split(".")[1] for path in DOCUMENTS.glob("leave.*.vxml"))
"""Those that they are in."""
LEFT, FULL, NONE, FAILED = "left", "full", "none", "failed"
"""What a document returns: a message is kept; the box is full; nothing was said, or it was taken
back; it could not be kept."""
_WORDS = (LEFT, FULL, NONE, FAILED)


class Boxes(Protocol):
    """What is needed of `Voicemail`."""

    def box(self, name: str) -> Box | None: ...


def destination_of(box: Box) -> str:
    """The destination that hands a caller to this box."""
    return f"{VOICEMAIL}:{quote(box.name)}"


def leaving(language: str) -> str:
    """The URI of the document in a language, in English when there is none in it."""
    primary = language.partition("-")[0].lower()
    chosen = primary if primary in LANGUAGES else "en"
    return (DOCUMENTS / f"leave.{chosen}.vxml").as_uri()


class VoicemailTransfer:
    """One caller's way into a box: a `Transferral`."""

    def __init__(
        self,
        boxes: Boxes,
        clock: Clock,
        handover: Handover,
        request: TransferRequest,
        language: str,
    ) -> None:
        """`language` is spoken where neither the box nor the caller's document has one."""
        self._boxes = boxes
        self._clock = clock
        self._handover = handover
        self._request = request
        self._language = language
        self._box: Box | None = None
        self._started_at = clock.utc_now()
        self._began = clock.monotonic()
        self._is_heard = asyncio.Event()
        self._outcome = ""
        self.record: LegRecord | None = None
        """What happened, once it is over."""

    def dial(self) -> TransferResult | None:
        name = unquote(self._request.dest.partition(":")[2])
        self._box = self._boxes.box(name)
        if self._box is not None:
            return None
        result = TransferResult("error.connection.baddestination", message=f"no box {name!r}")
        self._keep_record(result)
        return result

    async def connected(self) -> TransferResult | None:
        await self._is_heard.wait()
        return None

    async def run(self) -> TransferResult:
        result = TransferResult(HANGUP)
        try:
            result = await self._leave()
        finally:
            self._keep_record(result)
            self._is_heard.set()
        return result

    async def _leave(self) -> TransferResult:
        assert self._box is not None, "it was dialled"
        if self._has_gone():
            return TransferResult(HANGUP)
        self._is_heard.set()
        data: dict[str, Json] = {"aai": self._request.aai} if self._request.aai else {}
        variables: dict[str, Json] = {"voicemail": {"box": self._box.name, "data": data}}
        uri = leaving(self._box.language or self._request.lang or self._language)
        word: Json = FAILED
        try:
            outcome = await self._handover.converse(uri, variables)
            if outcome.reason == "error":
                _log.warning("leaving a message failed", box=self._box.name, why=outcome.message)
            if outcome.value in _WORDS:
                # Also when all that failed was to tell him so.
                word = outcome.value
            elif outcome.reason != "error":
                # He hung up where the document could not say any more.
                word = NONE
        except VoiceXmlEvent as event:
            _log.warning("leaving a message failed", box=self._box.name, why=str(event))
        # What was pressed for the document is not meant for the application.
        self._handover.leg.events.take_keys()
        self._outcome = f"{VOICEMAIL}_{word}"
        seconds = self._clock.monotonic() - self._began
        return TransferResult(HANGUP if self._has_gone() else self._outcome, seconds)

    def _has_gone(self) -> bool:
        return self._handover.leg.end is not None

    def _keep_record(self, result: TransferResult) -> None:
        self.record = LegRecord(
            destination=self._request.dest,
            type=self._request.type,
            # What became of the message, also when he has hung up after it.
            outcome=self._outcome or result.outcome,
            started_at=self._started_at,
            answered_at=self._started_at if self._is_heard.is_set() else None,
            ended_at=self._clock.utc_now(),
            duration_s=round(result.duration, 3),
        )
