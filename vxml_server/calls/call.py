"""One call: a leg, an interpreter session, and its record.

The rule that must hold: whatever happens (the caller gives up before the answer, the application
fails, the operator intervenes, the process drains), the call ends once, its leg and its transfers
are gone, and its record is complete.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from urllib.parse import unquote

import structlog

from vxml_server.calls.handover import Handover, MakeTransferral, Transferral, scheme_of
from vxml_server.calls.leg import Leg
from vxml_server.calls.mailbox import Ended, Ending
from vxml_server.calls.platform import CallPlatform
from vxml_server.calls.recorded import Consent, Conversation, Recorded, Records, user_part
from vxml_server.calls.redirection import redirections
from vxml_server.calls.rendering import PromptRenderer, SoundCache
from vxml_server.calls.spool import Spool
from vxml_server.calls.transfer import HANGUP, TRANSFERRED, Line, Transfer
from vxml_server.calls.voice import Ear, Recogniser
from vxml_server.clock import Clock, Timer
from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import Fetcher, Prefetcher
from vxml_server.interpreter import (
    Connection,
    DocumentStore,
    GrammarStore,
    Json,
    Limits,
    Objects,
    Outcome,
    Session,
    TransferRequest,
    TransferResult,
)
from vxml_server.sip import IncomingCall
from vxml_server.store import CallEnd, CallRecord, HungUpBy, NewEvent, Store
from vxml_server.tts import Synthesizer

_log = structlog.get_logger(__name__)
# How long an application may go on after its caller has gone (VoiceXML 2.0 section 1.5.4 has it
# clean up; it does not say for how long).
FINAL_PROCESSING = 30.0
# A document that dials again whenever it is refused must not keep the loop to itself (seconds).
REFUSED_PAUSE = 0.2
# What of a session's trace is kept in the event log; the rest, in which there may be secrets of the
# caller, only while the application asks for it (the property vxml-server.trace).
_KEPT = frozenset({"log", "throw", "record", "transfer", "end"})


@dataclass(frozen=True, slots=True)
class Resources:
    """What all calls share."""

    clock: Clock
    line: Line
    fetcher: Fetcher
    synthesizer: Synthesizer
    sounds: SoundCache
    documents: DocumentStore
    grammars: GrammarStore
    store: Store
    language: str
    properties: dict[str, str]
    limits: Limits
    spool: Spool
    recogniser: Recogniser | None = None
    """None hears no voice."""
    destinations: Mapping[str, MakeTransferral] = field(default_factory=dict)
    """Who takes callers beside telephones, by scheme (`queue`)."""
    objects: Callable[[IncomingCall, CallRecord], Objects] = lambda call, record: {}
    """What a call's `<object>`s may be."""
    records: Records | None = None
    """Records callers and the telephones that they are put through to; None records nobody."""


class Call:
    """A call from the INVITE to the record. `run` it once."""

    def __init__(
        self,
        resources: Resources,
        incoming: IncomingCall,
        leg: Leg,
        record: CallRecord,
    ) -> None:
        self.leg = leg
        self._resources = resources
        self._connection = connection_of(incoming)
        self._called = user_part(incoming.request_uri)
        self._objects = resources.objects(incoming, record)
        self._record = record
        self._answered_at = 0.0
        self._is_answer_told = False
        self._fetcher = resources.fetcher.session()
        self._platform: CallPlatform | None = None
        self._session: Session | None = None
        self._spool = resources.spool.of_call(record.id)
        self._ear = Ear(leg, resources.recogniser)
        self._consent = Consent()
        self._transfers: set[asyncio.Task[TransferResult]] = set()
        self._interpreting: asyncio.Task[Outcome] | None = None
        self._final_processing: Timer | None = None
        self._hung_up_by: HungUpBy | None = None

    @property
    def id(self) -> str:
        return self._record.id

    @property
    def record(self) -> CallRecord:
        return self._record

    def hang_up(self, by: HungUpBy = "platform") -> None:
        """Ends the call from outside; the application still gets its hang-up event."""
        self._hung_up_by = self._hung_up_by or by
        self.leg.hang_up()

    def abandon(self) -> None:
        """Ends the call at once, its application too."""
        self.hang_up()
        if self._interpreting is not None:
            self._interpreting.cancel()

    async def run(self) -> CallRecord:
        """Runs the application and sees the call to its end. Raises nothing."""
        resources = self._resources
        resources.store.call_started(self._record)
        outcome: Outcome | None = None
        try:
            outcome = await self._interpret()
            await self._finish()
        except asyncio.CancelledError:
            outcome = outcome or Outcome("hangup")
        except VoiceXmlEvent as event:
            outcome = Outcome("error", error=event.name, message=event.message)
        except Exception:
            # A defect of ours; the caller is let go, the record says so, the log has the trace.
            _log.exception("the session failed", call=self.id)
        finally:
            if self._final_processing is not None:
                self._final_processing.cancel()
            try:
                await self._end_transfers()
            finally:
                self._fetcher.close()
                self._spool.close()
                self._end(outcome or Outcome("error", error="error.internal"))
        return self._record

    async def _interpret(self) -> Outcome:
        with closing(Prefetcher(self._fetcher)) as prefetcher:
            self._session, self._platform = self._new_session(prefetcher, {})
            self._interpreting = asyncio.create_task(
                self._session.run(self._record.application), name=f"session {self.id}"
            )
            self.leg.when_ended(self._on_leg_ended)
            return await self._interpreting

    def _new_session(
        self, prefetcher: Prefetcher, variables: Mapping[str, Json], *, is_beside: bool = False
    ) -> tuple[Session, CallPlatform]:
        resources = self._resources
        renderer = PromptRenderer(prefetcher, resources.synthesizer, resources.sounds)
        platform = CallPlatform(
            self.leg,
            clock=resources.clock,
            renderer=renderer,
            observer=self._observe,
            answer=self._send_answer,
            transfer=(
                _refuse_transfer if is_beside else lambda request: self._transfer(request, renderer)
            ),
            spool=self._spool,
            ear=self._ear,
        )
        session = Session(
            platform,
            prefetcher,
            connection=self._connection,
            observer=self._observe,
            variables=variables,
            default_lang=resources.language,
            default_properties=resources.properties,
            documents=resources.documents,
            grammars=resources.grammars,
            limits=resources.limits,
            prefetch=prefetcher.prefetch,
            objects=self._objects,
        )
        return session, platform

    async def _converse(self, uri: str, variables: Mapping[str, Json]) -> Outcome:
        """Runs a document beside the application's: what is heard in a queue, for one."""
        with closing(Prefetcher(self._fetcher)) as prefetcher:
            session, _ = self._new_session(prefetcher, variables, is_beside=True)
            return await session.run(uri)

    async def _finish(self) -> None:
        """A caller who was handed on talks as long as they like; the call lasts as long."""
        if running := [task for task in self._transfers if not task.done()]:
            await asyncio.wait(running)
        if self._platform is not None:
            await self._platform.linger()

    # The leg -----------------------------------------------------------------------------------

    def _send_answer(self) -> None:
        if self._record.answered_at is not None:
            return
        self.leg.when_up(self._tell_answered)
        self.leg.answer()
        self._answered_at = self._resources.clock.monotonic()
        self._record = replace(self._record, answered_at=self._resources.clock.utc_now())

    def _tell_answered(self) -> None:
        """Tells that the call was answered, once: when the codec is known, or at its end."""
        answered_at = self._record.answered_at
        if answered_at is not None and not self._is_answer_told:
            self._is_answer_told = True
            self._record = replace(self._record, codec=self.leg.codec)
            self._resources.store.call_answered(self.id, answered_at, self.leg.codec)

    def _on_leg_ended(self, ended: Ended) -> None:
        if self._interpreting is None or self._interpreting.done():
            return
        if self._record.answered_at is None:
            self._interpreting.cancel()
        else:
            self._final_processing = self._resources.clock.call_later(
                FINAL_PROCESSING, self._interpreting.cancel
            )

    # Transfers ---------------------------------------------------------------------------------

    async def _transfer(
        self, request: TransferRequest, renderer: PromptRenderer, hops: int = 0
    ) -> TransferResult:
        """Section 2.3.7: a bridge is waited for to its end, a consultation to its answer."""
        is_ours = scheme_of(request.dest) not in self._resources.destinations
        recorded = self._recorded(request) if is_ours else None
        if recorded is not None and not await self._tell(recorded):
            return TransferResult(HANGUP)
        transfer = self._transferral(request, renderer, hops, recorded)
        if (refused := transfer.dial()) is not None:
            self._transferred(transfer)
            await self._resources.clock.sleep(REFUSED_PAUSE)
            return refused
        running = asyncio.create_task(transfer.run(), name=f"transfer {self.id}")
        self._transfers.add(running)
        running.add_done_callback(lambda _: self._transferred(transfer))
        if request.type == "bridge":
            return await asyncio.shield(running)
        if request.type == "consultation" and (failed := await transfer.connected()) is not None:
            return failed
        return TransferResult(TRANSFERRED)

    def _transferral(
        self,
        request: TransferRequest,
        renderer: PromptRenderer,
        hops: int,
        recorded: Recorded | None,
    ) -> Transferral:
        make = self._resources.destinations.get(scheme_of(request.dest))
        if make is None:
            line = self._resources.line
            return Transfer(line, self.leg, renderer, self._ear, request, recorded)
        handover = Handover(
            call_id=self.id,
            leg=self.leg,
            ear=self._ear,
            connection=self._connection,
            converse=self._converse,
            transfer=lambda onwards: self._transfer(onwards, renderer, hops + 1),
            hops=hops,
            recorded=self._recorded,
        )
        return make(handover, request)

    def _recorded(self, request: TransferRequest, queue: str = "") -> Recorded | None:
        """Who records what the caller and another telephone are going to say, if anybody does.
        Other destinations than telephones see to it themselves."""
        records = self._resources.records
        if records is None:
            return None
        return records(
            Conversation(
                call_id=self.id,
                # Whoever is not in a queue is put through to a number or an address.
                direction="inbound" if queue else "outbound",
                caller=user_part(self._record.from_uri),
                number=user_part(self._record.to_uri),
                called=self._called,
                application=self._record.application,
                queue=queue,
                destination="" if queue else _number(request.dest),
                language=request.lang,
                data={"aai": request.aai} if request.aai else {},
                consent=self._consent,
            )
        )

    async def _tell(self, recorded: Recorded) -> bool:
        """Tells the caller that he is recorded; whether he is still there."""
        try:
            await recorded.notice(self._converse)
        except BaseException:
            recorded.close()
            raise
        if self.leg.end is not None:
            recorded.close()
        return self.leg.end is None

    def _transferred(self, transfer: Transferral) -> None:
        if transfer.record is not None:
            legs = (*self._record.legs, transfer.record)
            self._record = replace(self._record, legs=legs)
            self._resources.store.leg_ended(self.id, transfer.record)

    async def _end_transfers(self) -> None:
        """Nothing outlives the call."""
        for task in self._transfers:
            task.cancel()
        for failed in await asyncio.gather(*self._transfers, return_exceptions=True):
            if isinstance(failed, Exception):
                _log.error("a transfer failed", call=self.id, exc_info=failed)

    # The record --------------------------------------------------------------------------------

    def _observe(self, kind: str, record: dict[str, Json]) -> None:
        if _log.is_enabled_for(logging.DEBUG):
            _log.debug(kind, call=self.id, **{f"vxml_{key}": item for key, item in record.items()})
        if kind in _KEPT or (self._session is not None and self._session.is_traced):
            now = self._resources.clock.utc_now()
            self._resources.store.append([NewEvent(self.id, now, f"vxml.{kind}", record)])

    def _end(self, outcome: Outcome) -> None:
        resources = self._resources
        hung_up_by = self._who_hung_up(outcome)
        self.leg.hang_up()
        self._tell_answered()
        statistics = self.leg.statistics()
        answered = self._record.answered_at is not None
        duration = resources.clock.monotonic() - self._answered_at if answered else 0.0
        end = CallEnd(
            ended_at=resources.clock.utc_now(),
            duration_s=round(duration, 3),
            end_reason=outcome.reason,
            hung_up_by=hung_up_by,
            packets_lost=statistics.packets_lost,
            jitter_ms=round(statistics.jitter_ms, 2),
        )
        resources.store.call_ended(self.id, end)
        self._record = replace(
            self._record,
            ended_at=end.ended_at,
            duration_s=end.duration_s,
            end_reason=end.end_reason,
            hung_up_by=end.hung_up_by,
            packets_lost=end.packets_lost,
            jitter_ms=end.jitter_ms,
        )
        _log.info(
            "call ended",
            call=self.id,
            reason=outcome.reason,
            hung_up_by=hung_up_by,
            duration=end.duration_s,
            error=outcome.error or None,
            message=outcome.message or None,
        )

    def _who_hung_up(self, outcome: Outcome) -> HungUpBy:
        if self._hung_up_by is not None:
            return self._hung_up_by
        ended = self.leg.end
        if ended is not None and ended.ending is Ending.REMOTE:
            return "caller"
        if (ended is not None and ended.ending is Ending.FAILURE) or outcome.reason == "error":
            return "platform"
        return "application"


async def _refuse_transfer(request: TransferRequest) -> TransferResult:
    """Who hears a document beside the application's is in other hands already."""
    return TransferResult(
        f"error.unsupported.transfer.{request.type}", message="the caller is being transferred"
    )


def _number(dest: str) -> str:
    """Whom a destination calls: a user part, or what stands in a tel: URI."""
    return user_part(dest) or dest.rpartition(":")[2].partition(";")[0]


def connection_of(incoming: IncomingCall) -> Connection:
    """`session.connection` of a SIP call (VoiceXML 2.0 section 5.1.4, RFC 5552 section 2.4).

    `aai` is what a User-to-User header says, or the Request-URI's parameter of that name.
    """
    return Connection(
        local_uri=incoming.local_uri,
        remote_uri=incoming.remote_uri,
        aai=_user_to_user(incoming.headers.get("User-to-User"))
        or _uri_parameter(incoming.request_uri, "aai"),
        originator="remote",
        protocol_name="sip",
        protocol_version="2.0",
        headers={name.lower(): value for name, value in incoming.headers.items()},
        redirect=redirections(incoming.headers, incoming.request_uri),
    )


def _user_to_user(value: str) -> str | None:
    """The text of a User-to-User header (RFC 7433): hexadecimal, or as it stands."""
    if not value:
        return None
    data, _, parameters = value.partition(";")
    if "encoding=hex" in parameters.replace(" ", "").lower():
        try:
            return bytes.fromhex(data.strip()).decode("utf-8", "replace")
        except ValueError:
            return data.strip()
    return data.strip()


def _uri_parameter(uri: str, name: str) -> str | None:
    """A parameter of a SIP URI, unescaped."""
    for parameter in uri.rpartition("@")[2].partition("?")[0].split(";")[1:]:
        key, _, value = parameter.partition("=")
        if key.lower() == name:
            return unquote(value)
    return None
