"""What the store is told and what it answers: frozen data, times aware and in UTC.

Durations come from the monotonic clock of who measured them and are stored as told, never computed
from two stored times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"
Direction = Literal["inbound", "outbound"]
EndReason = Literal["exit", "disconnect", "hangup", "error"]
HungUpBy = Literal["caller", "application", "platform"]


@dataclass(frozen=True, slots=True)
class LegRecord:
    """A transfer: where to, how (`bridge`, `blind`, `consultation`) and how it came out.

    `outcome` is the form item's value or the event of VoiceXML 2.0 section 2.3.7; `answered_at` is
    None if nobody answered; `duration_s` counts from the answer.
    """

    destination: str
    type: str
    outcome: str
    started_at: datetime
    answered_at: datetime | None
    ended_at: datetime
    duration_s: float


@dataclass(frozen=True, slots=True)
class CallEnd:
    """How a call ended: reason as in the dialogue contract, and what the media saw.

    `duration_s` counts from the answer (0 when there was none), `packets_lost` those the caller
    sent and we did not get, `jitter_ms` is RFC 3550's estimate at the end.
    """

    ended_at: datetime
    duration_s: float
    end_reason: EndReason
    hung_up_by: HungUpBy
    packets_lost: int | None = None
    jitter_ms: float | None = None


@dataclass(frozen=True, slots=True)
class CallRecord:
    """A call as the contract shows it. While it is active the fields of its end are None."""

    id: str
    sip_call_id: str
    direction: Direction
    from_uri: str
    to_uri: str
    application: str
    started_at: datetime
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    duration_s: float | None = None
    end_reason: EndReason | None = None
    hung_up_by: HungUpBy | None = None
    codec: str | None = None
    packets_lost: int | None = None
    jitter_ms: float | None = None
    legs: tuple[LegRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class NewEvent:
    """A fact, to be appended to the log. `data` is what JSON can hold.

    It is about a call, a queue, an agent, or several of them; "" where it is not.
    """

    call_id: str
    at: datetime
    name: str
    data: Mapping[str, Json] = field(default_factory=dict)
    queue: str = ""
    agent: str = ""


@dataclass(frozen=True, slots=True)
class EventRecord:
    """A fact in the log. `seq` grows, is never used twice, and may have gaps; no fact appears
    later below one that was read."""

    seq: int
    call_id: str
    at: datetime
    name: str
    data: Mapping[str, Json]
    queue: str = ""
    agent: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Some calls, newest first; `cursor` asks for those after them, None when there are no more."""

    calls: tuple[CallRecord, ...]
    cursor: str | None
