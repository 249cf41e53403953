"""The PINs by which telephones know people: hashed, and not to be found by trying.

The rules that must hold: a PIN is never kept or logged, only its scrypt hash (RFC 7914) with a salt
of its own; a try is counted before it is judged, in the database, so that neither many calls at a
time nor several workers nor a restart give more tries; nobody waits for longer than the last delay,
whatever was done to the clock meanwhile; where several PINs open one door, who knows
one of them has no more tries at the others than anybody.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import Table, delete, insert, select, update

from vxml_server.clock import Clock
from vxml_server.store import Store, Unstorable, queue_tables

LENGTHS = (4, 12)
"""Digits of a PIN: at least, at most."""
FREE_TRIES = 5
"""So many wrong PINs may be tried one after the other."""
FIRST_DELAY, LAST_DELAY = 60.0, 3600.0
"""Seconds then until the next may be; twice as many after each that is wrong too, to the last."""
FORGET_AFTER = 3600.0
"""Seconds without a wrong one after which one of them is forgotten, and then the next: no more may
be tried so than when the delay is the last."""
_SALT = 16
# Of scrypt (N): 16 MiB and some 50 ms for each guess.
_COST = 1 << 14


class BadPin(ValueError):
    """Not a PIN."""


class TooManyTries(Exception):
    """No PIN is judged now, right or wrong. `seconds` is how long it takes until one is."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"too many wrong PINs; wait {seconds:.0f} s")
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Key:
    """What a PIN is judged by."""

    salt: bytes
    hash: bytes


class Pins:
    """The PINs of all agents, or of whom `table` is about, by name.

    Everything raises `StoreError` when the database does not answer.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        salt: Callable[[int], bytes],
        table: Table = queue_tables.pins,
    ) -> None:
        """`salt` makes so many unpredictable octets."""
        self._store = store
        self._clock = clock
        self._salt = salt
        self._table = table
        (self._name,) = table.primary_key.columns

    async def set(self, name: str, pin: str) -> None:
        """Makes or replaces a PIN, and forgets wrong ones. Raises `BadPin`."""
        least, most = LENGTHS
        if not (pin.isascii() and pin.isdigit() and least <= len(pin) <= most):
            raise BadPin(f"expected {least} to {most} digits")
        salt = self._salt(_SALT)
        values = {
            "salt": salt.hex(),
            "hash": (await _hash(pin, salt)).hex(),
            "failures": 0,
            "not_before": 0.0,
        }
        table = self._table
        async with self._store.transaction() as connection:
            done = await connection.execute(update(table).where(self._name == name).values(values))
            if done.rowcount == 0:
                await connection.execute(insert(table).values({self._name: name, **values}))

    async def remove(self, name: str) -> bool:
        """False when there is none."""
        table = self._table
        mine = (self._name == name) & (table.c.hash != "")
        async with self._store.transaction() as connection:
            done = await connection.execute(delete(table).where(mine))
        return done.rowcount > 0

    async def keys(self, names: Collection[str]) -> list[Key]:
        """What the PINs of those who have one are judged by."""
        table = self._table
        query = select(table.c.salt, table.c.hash).where(
            self._name.in_(names) & (table.c.hash != "")
        )
        async with self._store.reading() as connection:
            return [_key(salt, hash_) for salt, hash_ in await connection.execute(query)]

    async def check(self, name: str, pin: str, others: Collection[Key] = ()) -> bool:
        """Whether this is the PIN of `name`, or one of `others`, who have a key to the same door.

        One without a PIN has none that is right. A wrong one is `name`'s, whoever gave it; a right
        one begins the count anew if it is the only one of that door, and else takes back no more
        than its own try. Raises `TooManyTries`, without having looked at the PIN.
        """
        table = self._table
        now = self._clock.utc_now().timestamp()
        mine = self._name == name
        if others:
            await self._begin_to_count(name)
        async with self._store.transaction() as connection:
            # Of several at a time each takes its own try: the row is locked from here on.
            is_due = (table.c.not_before <= now) | (table.c.not_before > now + LAST_DELAY)
            found = (
                await connection.execute(
                    update(table)
                    .where(mine & is_due)
                    .values(failures=table.c.failures + 1)
                    .returning(table.c.salt, table.c.hash, table.c.failures, table.c.not_before)
                )
            ).first()
            if found is not None:
                # No delay is so long: the clock has been set back, and nobody knows how far.
                since = min(found.not_before, now)
                before = {"failures": found.failures - 1, "not_before": since}
                forgotten = int((now - since) // FORGET_AFTER)
                tries = max(0, found.failures - 1 - forgotten) + 1
                counted = {"failures": tries, "not_before": now + _delay(tries)}
                await connection.execute(update(table).where(mine).values(counted))
        if found is None:
            await self._refuse(name, now)
            # As long as for one who has a PIN, so that nobody learns who does.
            await _hash(pin, b"")
            return False
        keys = [key for key in (_key(found.salt, found.hash), *others) if key.hash]
        if not await _opens(pin, keys):
            return False
        if len(keys) == 1:
            before = {"failures": 0, "not_before": 0.0}
        else:
            # If others have been tried meanwhile, they are not to look older than they are.
            mine &= table.c.failures == tries
        async with self._store.transaction() as connection:
            await connection.execute(update(table).where(mine).values(before))
        return True

    async def _begin_to_count(self, name: str) -> None:
        """Who has no PIN of his own has tries that are counted all the same."""
        query = select(self._name).where(self._name == name)
        async with self._store.reading() as connection:
            if (await connection.execute(query)).first() is not None:
                return
        values = {self._name: name, "salt": "", "hash": "", "failures": 0, "not_before": 0.0}
        # Another may be faster.
        with suppress(Unstorable):
            async with self._store.transaction() as connection:
                await connection.execute(insert(self._table).values(values))

    async def _refuse(self, name: str, now: float) -> None:
        table = self._table
        async with self._store.reading() as connection:
            query = select(table.c.not_before).where(self._name == name)
            found = (await connection.execute(query)).first()
        if found is not None:
            raise TooManyTries(max(0.0, found.not_before - now))


def _delay(failures: int) -> float:
    """Seconds after so many tries, counted as wrong, until the next one."""
    over = failures - FREE_TRIES
    return min(FIRST_DELAY * 2.0 ** min(over, 16), LAST_DELAY) if over >= 0 else 0.0


def _key(salt: str, hash_: str) -> Key:
    return Key(bytes.fromhex(salt), bytes.fromhex(hash_))


async def _opens(pin: str, keys: Collection[Key]) -> bool:
    for key in keys:
        if hmac.compare_digest(await _hash(pin, key.salt), key.hash):
            return True
    return False


async def _hash(pin: str, salt: bytes) -> bytes:
    return await asyncio.to_thread(_scrypt, pin, salt)


def _scrypt(pin: str, salt: bytes) -> bytes:
    return hashlib.scrypt(pin.encode("utf-8", "replace"), salt=salt, n=_COST, r=8, p=1)
