"""What the web needs of the other rooms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

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
        self, *, after: int = 0, call_id: str | None = None, limit: int = 1000
    ) -> tuple[EventRecord, ...]: ...
