"""The location service: bindings in the database, shared by all processes (RFC 3261 section 10).

Every process has all bindings in memory, so that a telephone is found without waiting. What
changes is told in the log - `registration.added`, `.moved`, `.removed`, `.expired`, `.unreachable`,
`.reachable` - and read again by the others. A refresh that changes nothing but the time is not
told: the others look a binding up before they take it for expired.

The rule that must hold: the database decides. A request is ordered against the rows as they are in
the transaction that stores its outcome, and nothing is in memory that was not stored before.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from vxml_server.clock import Clock
from vxml_server.sip.registrar_bindings import Binding, Update, ordered
from vxml_server.sip.uri import Destination
from vxml_server.store import (
    EventRecord,
    Json,
    NewEvent,
    Store,
    StoreError,
    append_facts,
    fit,
    registration_tables,
)

logger = logging.getLogger(__name__)

RETRY = 1.0
"""Seconds before the database is asked again."""
SWEEP = 2.0
"""Seconds between two looks for what has expired."""
GRACE = 5.0
"""Seconds for which a binding that has expired in memory is still one: it may have been refreshed
by another process."""
_TABLE = registration_tables.registrations
Change = Callable[[Sequence[Binding]], Update]


class LocationService:
    """All bindings. `start` it, ask and change it, `stop` it. Used on one loop."""

    def __init__(self, store: Store, clock: Clock, worker: str) -> None:
        """`worker` is the name of this process among those that share the database."""
        self.worker = worker
        self.on_change: Callable[[str], object] = lambda user: None
        """Told whose bindings have changed."""
        self._store = store
        self._clock = clock
        self._bindings: dict[str, dict[str, Binding]] = {}
        self._by_id: dict[str, Binding] = {}
        self._following: asyncio.Task[None] | None = None
        self._sweeping: asyncio.Task[None] | None = None
        # What is read is taken before anything else is stored.
        self._turn = asyncio.Lock()

    # Life.

    async def start(self) -> None:
        """Reads all bindings and follows their changes. Raises `StoreError`."""
        async with self._store.transaction() as connection:
            seq = await append_facts(connection, ())
            rows = await connection.execute(select(_TABLE))
            found = [_binding(row) for row in rows]
        for binding in found:
            self._put(binding)
        self._following = asyncio.create_task(self._follow(seq), name="registrations follow")
        self._sweeping = asyncio.create_task(self._sweep(), name="registrations sweep")

    async def stop(self) -> None:
        """Leaves the bindings as they are: telephones are called again after a restart."""
        tasks = [task for task in (self._following, self._sweeping) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    # What there is.

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._clock.utc_now().timestamp()

    def bindings(self, user: str) -> tuple[Binding, ...]:
        """The telephones of a user, the preferred first, those that do not answer too."""
        limit = self.now() - GRACE
        own = self._bindings.get(user, {})
        return ordered([one for one in own.values() if one.expires_at > limit])

    def contacts(self, user: str) -> tuple[str, ...]:
        """What to call to ring all telephones of a user that answer."""
        return tuple(one.uri for one in self.bindings(user) if one.reachable)

    def binding(self, binding_id: str) -> Binding | None:
        return self._by_id.get(binding_id)

    def all(self) -> tuple[Binding, ...]:
        """Every binding, by user."""
        return tuple(one for user in sorted(self._bindings) for one in self.bindings(user))

    def count(self) -> tuple[int, int]:
        """How many bindings there are, and how many of them do not answer."""
        known = list(self._by_id.values())
        return len(known), sum(not one.reachable for one in known)

    def user_at(self, user: str, source: tuple[str, int]) -> bool:
        """Whether a telephone of `user` is registered from exactly that address and port."""
        return any((one.source.host, one.source.port) == source for one in self.bindings(user))

    # Changes.

    async def change(self, user: str, make: Change) -> Update:
        """Stores what `make` makes of the user's bindings that have not expired, and the facts.

        Raises what `make` raises, and `StoreError`; then nothing has changed.
        """
        async with self._turn:
            made, is_news = await self._changed(user, make)
        if is_news:
            self.on_change(user)
        return made

    async def _changed(self, user: str, make: Change) -> tuple[Update, bool]:
        now = self.now()
        async with self._store.transaction() as connection:
            # The first statement writes, so that the rows that are read next stay as they are.
            mine = _TABLE.c.user_name == user
            await connection.execute(update(_TABLE).where(mine).values(user_name=user))
            rows = await connection.execute(select(_TABLE).where(mine))
            before = {one.id: one for one in map(_binding, rows)}
            alive = [one for one in before.values() if one.expires_at > now]
            made = make(ordered(alive))
            gone = [one.id for one in made.removed]
            for binding in made.stored:
                await _write(connection, binding, is_new=binding.id not in before)
            if gone:
                await connection.execute(delete(_TABLE).where(_TABLE.c.id.in_(gone)))
            living = {one.id for one in alive}
            facts = [
                self._told(_change_of(before[one.id] if one.id in living else None, one), one, now)
                for one in made.stored
                if one.id not in living or _is_news(before[one.id], one)
            ]
            facts += [self._told("removed", one, now) for one in made.removed]
            if facts:
                await append_facts(connection, facts)
        for binding in made.stored:
            self._put(binding)
        for binding in made.removed:
            self._drop(binding)
        return made, bool(facts)

    async def mark(self, binding_id: str, *, reachable: bool) -> None:
        """A telephone has begun, or ceased, to answer. Raises `StoreError`."""
        async with self._turn:
            known = self._by_id.get(binding_id)
            if known is None or known.reachable == reachable:
                return
            changed = replace(known, reachable=reachable)
            async with self._store.transaction() as connection:
                same = (_TABLE.c.id == binding_id) & (_TABLE.c.reachable != reachable)
                set_ = update(_TABLE).where(same).values(reachable=reachable)
                if (await connection.execute(set_)).rowcount:
                    name = "reachable" if reachable else "unreachable"
                    await append_facts(connection, [self._told(name, changed, self.now())])
            self._put(changed)
        self.on_change(changed.user)

    async def _expire(self, users: Collection[str]) -> None:
        """Looks expired bindings up, and removes those that were not refreshed elsewhere."""
        now = self.now()
        async with self._store.transaction() as connection:
            old = (_TABLE.c.expires_at <= now) & _TABLE.c.user_name.in_(sorted(users))
            gone = await connection.execute(delete(_TABLE).where(old).returning(_TABLE))
            facts = [self._told("expired", _binding(row), now) for row in gone]
            if facts:
                await append_facts(connection, facts)
        await self._reread(users)

    async def _reread(self, users: Collection[str]) -> None:
        async with self._turn:
            async with self._store.reading() as connection:
                mine = select(_TABLE).where(_TABLE.c.user_name.in_(sorted(users)))
                found = [_binding(row) for row in await connection.execute(mine)]
            there = {one.id for one in found}
            for user in users:
                for known in list(self._bindings.get(user, {}).values()):
                    if known.id not in there:
                        self._drop(known)
            for one in found:
                self._put(one)
        for user in users:
            self.on_change(user)

    def _put(self, binding: Binding) -> None:
        self._bindings.setdefault(binding.user, {})[binding.id] = binding
        self._by_id[binding.id] = binding

    def _drop(self, binding: Binding) -> None:
        own = self._bindings.get(binding.user, {})
        own.pop(binding.id, None)
        if not own:
            self._bindings.pop(binding.user, None)
        self._by_id.pop(binding.id, None)

    # Others, and time.

    async def _follow(self, seq: int) -> None:
        async for events in self._store.feed.batches(seq):
            users = {user for event in events if (user := self._concerned(event))}
            if users:
                await self._patiently(partial(self._reread, users))

    def _concerned(self, event: EventRecord) -> str:
        """Whose bindings another process has changed, if that is what the fact says."""
        is_theirs = event.name.startswith("registration.") and event.data["worker"] != self.worker
        return str(event.data["user"]) if is_theirs else ""

    async def _sweep(self) -> None:
        while True:
            await self._clock.sleep(SWEEP)
            now = self.now()
            if late := {one.user for one in self._by_id.values() if one.expires_at <= now}:
                await self._patiently(partial(self._expire, late))

    async def _patiently(self, ask: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await ask()
            except StoreError as error:
                logger.warning("registrations: the database does not answer: %s", error)
                await self._clock.sleep(RETRY)
            else:
                return

    def _told(self, what: str, binding: Binding, now: float) -> NewEvent:
        data: dict[str, Json] = {
            "worker": self.worker,
            "user": binding.user,
            "contact": binding.contact,
            "source": str(binding.source),
        }
        return NewEvent("", datetime.fromtimestamp(now, UTC), f"registration.{what}", data)


def _is_news(before: Binding, after: Binding) -> bool:
    """Whether more has changed than the time."""
    return _essence(before) != _essence(after)


def _essence(one: Binding) -> tuple[object, ...]:
    return (one.contact, one.source, one.q, one.path, one.worker, one.reachable)


def _change_of(before: Binding | None, after: Binding) -> str:
    if before is None:
        return "added"
    return "reachable" if after.reachable and not before.reachable else "moved"


async def _write(connection: AsyncConnection, binding: Binding, *, is_new: bool) -> None:
    values = fit(
        _TABLE,
        {
            "id": binding.id,
            "user_name": binding.user,
            "contact": binding.contact,
            "protocol": binding.source.protocol,
            "host": binding.source.host,
            "port": binding.source.port,
            "expires_at": binding.expires_at,
            "call_id": binding.call_id,
            "cseq": binding.cseq,
            "q": binding.q,
            "path": list(binding.path),
            "worker": binding.worker,
            "registered_at": binding.registered_at,
            "user_agent": binding.user_agent,
            "reachable": binding.reachable,
        },
    )
    if is_new:
        await connection.execute(insert(_TABLE).values(values))
    else:
        await connection.execute(update(_TABLE).where(_TABLE.c.id == binding.id).values(values))


def _binding(row: Any) -> Binding:
    # A database row has no types of its own, hence Any.
    return Binding(
        id=row.id,
        user=row.user_name,
        contact=row.contact,
        source=Destination(row.protocol, row.host, row.port),
        expires_at=row.expires_at,
        call_id=row.call_id,
        cseq=row.cseq,
        q=row.q,
        path=tuple(row.path),
        worker=row.worker,
        registered_at=row.registered_at,
        user_agent=row.user_agent,
        reachable=row.reachable,
    )
