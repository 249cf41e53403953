"""What the web needs of the other rooms."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol

from vxml_server.queues import Board, Definition, Kind, Presence, Report, Standing
from vxml_server.store import CallRecord, Cursor, EventRecord, Page


class CallDirectory(Protocol):
    """The calls that are running in this process, as they are now."""

    def active(self) -> Sequence[CallRecord]:
        """All of them, in any order."""

    def get(self, call_id: str) -> CallRecord | None:
        """The running call of that id."""

    def hang_up(self, call_id: str) -> bool:
        """Asks the call to end (hung up by the platform), without waiting; False if none runs."""


class CallHistory(Protocol):
    """The calls that are kept (`store.Store`). Raises `StoreError` when it does not answer."""

    async def calls(
        self,
        state: Literal["active", "ended"] | None = None,
        limit: int = 50,
        cursor: Cursor | None = None,
    ) -> Page: ...

    async def call(self, call_id: str) -> CallRecord | None: ...

    async def events(
        self,
        *,
        after: int = 0,
        call_id: str | None = None,
        queue: str | None = None,
        agent: str | None = None,
        limit: int = 1000,
    ) -> tuple[EventRecord, ...]: ...


class EventFeed(Protocol):
    """The event log as it grows (`store.Feed`)."""

    @property
    def last(self) -> int:
        """The number of the newest fact."""

    def batches(self, after: int) -> AsyncGenerator[Sequence[EventRecord], None]:
        """Every fact with a number over `after`, those to come included, some at a time."""


class Centre(Protocol):
    """The contact centre (`queues.ContactCentre`). What changes raises `StoreError`."""

    @property
    def board(self) -> Board:
        """Queues, agents, callers and offers as they are now."""

    def now(self) -> float:
        """Seconds since the epoch."""

    def today(self) -> str:
        """The day of the agents' counters, as an ISO date."""

    def standing(self, entry_id: str) -> Standing | None:
        """How a waiting caller stands."""

    async def present(self, agent: str, presence: Presence, reason: str = "", by: str = "") -> None:
        """An agent signs in or out, or takes a break; `by` is who says so. Raises `NoSuchAgent`."""

    async def release(self, agent: str) -> bool:
        """Ends an agent's wrap-up; False when there is none."""

    async def set_pin(self, agent: str, pin: str) -> None:
        """Makes or replaces an agent's PIN. Raises `NoSuchAgent` and `BadPin`."""

    async def remove_pin(self, agent: str) -> bool:
        """False when there is none."""

    async def define(self, definition: Definition) -> bool:
        """Makes or replaces a definition; True when there was none. Raises `IsDeclared`."""

    async def undefine(self, kind: Kind, name: str) -> bool:
        """Removes a definition; False when there is none. Raises `IsDeclared`."""

    def is_declared(self, kind: Kind, name: str) -> bool:
        """Whether the settings alone may change it."""


class Statistics(Protocol):
    """What the event log adds up to (`queues.Summaries`)."""

    def service_levels(self) -> Mapping[str, float]:
        """The service level of each queue today, as it was a moment ago."""

    async def report(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        minutes: int | None = None,
        *,
        queue: str | None = None,
        agent: str | None = None,
    ) -> Report:
        """The figures by intervals. Raises `TooManyIntervals` and `StoreError`."""
