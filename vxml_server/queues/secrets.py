"""The PINs by which telephones know agents: hashed, and not to be found by trying.

The rules that must hold: a PIN is never kept or logged, only its scrypt hash (RFC 7914) with a salt
of its own; a try is counted before it is judged, in the database, so that neither many calls at a
time nor several workers nor a restart give more tries.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Callable

from sqlalchemy import delete, insert, select, update

from vxml_server.clock import Clock
from vxml_server.store import Store, queue_tables

LENGTHS = (4, 12)
"""Digits of a PIN: at least, at most."""
FREE_TRIES = 5
"""So many wrong PINs may be tried one after the other."""
FIRST_DELAY, LAST_DELAY = 60.0, 3600.0
"""Seconds then until the next may be; twice as many after each that is wrong too, to the last."""
_SALT = 16


class BadPin(ValueError):
    """Not a PIN."""


class TooManyTries(Exception):
    """No PIN is judged now, right or wrong. `seconds` is how long it takes until one is."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"too many wrong PINs; wait {seconds:.0f} s")
        self.seconds = seconds


class Pins:
    """The PINs of all agents. Everything raises `StoreError` when the database does not answer."""

    def __init__(self, store: Store, clock: Clock, salt: Callable[[int], bytes]) -> None:
        """`salt` makes so many unpredictable octets."""
        self._store = store
        self._clock = clock
        self._salt = salt

    async def set(self, agent: str, pin: str) -> None:
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
        table = queue_tables.pins
        async with self._store.transaction() as connection:
            done = await connection.execute(
                update(table).where(table.c.agent == agent).values(values)
            )
            if done.rowcount == 0:
                await connection.execute(insert(table).values(agent=agent, **values))

    async def remove(self, agent: str) -> bool:
        """False when there is none."""
        table = queue_tables.pins
        async with self._store.transaction() as connection:
            done = await connection.execute(delete(table).where(table.c.agent == agent))
        return done.rowcount > 0

    async def check(self, agent: str, pin: str) -> bool:
        """Whether this is the agent's PIN; one without a PIN has none that is right.

        Raises `TooManyTries`, without having looked at the PIN.
        """
        table = queue_tables.pins
        now = self._clock.utc_now().timestamp()
        mine = table.c.agent == agent
        async with self._store.transaction() as connection:
            # Of several at a time each takes its own try: the row is locked from here on.
            found = (
                await connection.execute(
                    update(table)
                    .where(mine & (table.c.not_before <= now))
                    .values(failures=table.c.failures + 1)
                    .returning(table.c.salt, table.c.hash, table.c.failures)
                )
            ).first()
            if found is not None:
                later = {"not_before": now + _delay(found.failures)}
                await connection.execute(update(table).where(mine).values(later))
        if found is None:
            await self._refuse(agent, now)
            # As long as for one who has a PIN, so that nobody learns who does.
            await _hash(pin, b"")
            return False
        given = await _hash(pin, bytes.fromhex(found.salt))
        if not hmac.compare_digest(given, bytes.fromhex(found.hash)):
            return False
        async with self._store.transaction() as connection:
            forgotten = {"failures": 0, "not_before": 0.0}
            await connection.execute(update(table).where(mine).values(forgotten))
        return True

    async def _refuse(self, agent: str, now: float) -> None:
        table = queue_tables.pins
        async with self._store.reading() as connection:
            query = select(table.c.not_before).where(table.c.agent == agent)
            found = (await connection.execute(query)).first()
        if found is not None:
            raise TooManyTries(max(0.0, found.not_before - now))


def _delay(failures: int) -> float:
    """Seconds after so many tries, counted as wrong, until the next one."""
    over = failures - FREE_TRIES
    return min(FIRST_DELAY * 2.0 ** min(over, 16), LAST_DELAY) if over >= 0 else 0.0


async def _hash(pin: str, salt: bytes) -> bytes:
    return await asyncio.to_thread(_scrypt, pin, salt)


def _scrypt(pin: str, salt: bytes) -> bytes:
    """16 MiB and some 50 ms."""
    return hashlib.scrypt(pin.encode("utf-8", "replace"), salt=salt, n=1 << 14, r=8, p=1)
