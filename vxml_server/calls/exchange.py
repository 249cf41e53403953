"""The exchange: takes calls from SIP, finds their application, keeps those that are running.

It is the SIP room's `CallHandler` and the web room's directory of active calls. The rule that must
hold: a call is in the directory from its INVITE until its record is complete.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from vxml_server.calls.call import Call, Resources
from vxml_server.calls.leg import Leg
from vxml_server.calls.recorded import user_part
from vxml_server.media import MediaEngine, NoPortsLeft
from vxml_server.settings import NumberRule, resolve_number
from vxml_server.sip import CallListener, IncomingCall, Rejection
from vxml_server.store import CallRecord

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class ExchangeCounters:
    """Numbers since the start, for metrics: calls by how they ended, and calls refused."""

    ended: dict[str, int] = field(default_factory=dict)
    refused: dict[int, int] = field(default_factory=dict)


class Exchange:
    """All calls of this process."""

    def __init__(
        self,
        *,
        resources: Resources,
        engine: MediaEngine,
        numbers: Sequence[NumberRule],
        random: random.Random,
    ) -> None:
        self.counters = ExchangeCounters()
        self._resources = resources
        self._engine = engine
        self._numbers = numbers
        self._random = random
        self._calls: dict[str, Call] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._empty = asyncio.Event()
        self._empty.set()

    # CallHandler -------------------------------------------------------------------------------

    def incoming(self, call: IncomingCall) -> CallListener | None:
        """Takes a new call: 404 for a number nobody has, 488 without a codec, 503 without ports."""
        number = user_part(call.request_uri)
        rule = resolve_number(self._numbers, number)
        if rule is None:
            _log.info("no application", number=number, source=call.source)
            self._refuse(call, 404)
            return None
        try:
            leg = Leg(self._engine, self._resources.clock, self.session_id())
        except NoPortsLeft:
            _log.error("no media ports left")
            self._refuse(call, 503, {"Retry-After": "5"})
            return None
        try:
            leg.accept(call)
        except Rejection as rejection:
            leg.close()
            self._refuse(call, rejection.status)
            return None
        except BaseException:
            leg.close()
            raise
        now = self._resources.clock.utc_now()
        record = CallRecord(
            id=uuid.UUID(int=self._random.getrandbits(128), version=4).hex,
            sip_call_id=call.sip_call_id,
            direction="inbound",
            from_uri=call.remote_uri,
            to_uri=call.local_uri,
            application=rule.application,
            started_at=now,
        )
        _log.info("call", call=record.id, number=number, caller=call.remote_uri)
        taken = Call(self._resources, call, leg, record)
        self._calls[taken.id] = taken
        self._empty.clear()
        task = asyncio.create_task(self._run(taken), name=f"call {taken.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        call.ring()
        return leg

    def _refuse(
        self, call: IncomingCall, status: int, headers: Mapping[str, str] | None = None
    ) -> None:
        self.counters.refused[status] = self.counters.refused.get(status, 0) + 1
        call.reject(status, headers=headers or {})

    async def _run(self, call: Call) -> None:
        try:
            record = await call.run()
            reason = record.end_reason or "error"
            self.counters.ended[reason] = self.counters.ended.get(reason, 0) + 1
        finally:
            del self._calls[call.id]
            if not self._calls:
                self._empty.set()

    def session_id(self) -> int:
        """A number for the o= line of a session description."""
        return self._random.getrandbits(62)

    # For the web and for shutting down ---------------------------------------------------------

    def active(self) -> Sequence[CallRecord]:
        """The records of the calls that are running, the oldest first."""
        return [call.record for call in self._calls.copy().values()]

    def get(self, call_id: str) -> CallRecord | None:
        """The record of a running call."""
        call = self._calls.get(call_id)
        return None if call is None else call.record

    def hang_up(self, call_id: str) -> bool:
        """Hangs up a running call; False when there is none of that id."""
        call = self._calls.get(call_id)
        if call is None:
            return False
        call.hang_up("platform")
        return True

    async def drained(self) -> None:
        """Returns when no call is running."""
        await self._empty.wait()

    async def hang_up_all(self) -> None:
        """Ends what is still running, and returns when all records are complete."""
        for call in list(self._calls.values()):
            call.abandon()
        await self.drained()
