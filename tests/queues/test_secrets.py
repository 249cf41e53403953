from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.databases import BOTH, url_of
from tests.queues.killable import SteppedClock
from vxml_server.clock import VirtualClock
from vxml_server.queues import secrets
from vxml_server.queues.secrets import (
    FIRST_DELAY,
    FREE_TRIES,
    LAST_DELAY,
    BadPin,
    Key,
    Pins,
    TooManyTries,
)
from vxml_server.store import Store

pytestmark = BOTH


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def store(tmp_path: Path, clock: VirtualClock) -> AsyncIterator[Store]:
    made = await Store.open(url_of(tmp_path), clock)
    yield made
    await made.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes cost nothing: not those of tests of what is kept."""
    monkeypatch.setattr(secrets, "_COST", 2)


@pytest.fixture
async def pins(store: Store, clock: VirtualClock) -> Pins:
    made = Pins(store, clock, lambda count: b"\x01" * count)
    await made.set("ann", "4711")
    return made


async def test_the_right_pin_is_right_and_others_are_wrong(pins: Pins) -> None:
    assert await pins.check("ann", "4711")
    assert not await pins.check("ann", "4712")
    assert not await pins.check("ann", "é\ud800")
    assert not await pins.check("bob", "4711"), "who has none"
    await pins.set("ann", "123456")
    assert not await pins.check("ann", "4711")
    assert await pins.check("ann", "123456")
    assert await pins.remove("ann")
    assert not await pins.remove("ann")
    assert not await pins.check("ann", "123456")


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("pin", ["", "123", "1234567890123", "12a4", "١٢٣٤", "12 4"])
async def test_what_is_no_pin_is_refused(pins: Pins, pin: str) -> None:
    with pytest.raises(BadPin, match="4 to 12 digits"):
        await pins.set("ann", pin)


async def test_the_database_has_no_pin_in_it(pins: Pins, store: Store) -> None:
    async with store.reading() as connection:
        rows = (await connection.execute(text("SELECT * FROM agent_pins"))).all()
    assert len(rows) == 1
    assert "4711" not in str(rows)


async def wrong(pins: Pins, times: int) -> None:
    for _ in range(times):
        assert not await pins.check("ann", "0000")


@pytest.mark.usefixtures("quick")
async def test_after_some_wrong_ones_even_the_right_one_is_not_looked_at(
    pins: Pins, clock: VirtualClock
) -> None:
    await wrong(pins, FREE_TRIES)
    with pytest.raises(TooManyTries) as refused:
        await pins.check("ann", "4711")
    assert refused.value.seconds == FIRST_DELAY
    clock.advance(FIRST_DELAY - 1)
    with pytest.raises(TooManyTries):
        await pins.check("ann", "4711")
    clock.advance(1)
    assert await pins.check("ann", "4711")
    await wrong(pins, FREE_TRIES - 1)
    assert await pins.check("ann", "4711"), "the right one begins the count anew"


@pytest.mark.usefixtures("quick")
async def test_each_further_wrong_one_costs_twice_the_time_up_to_an_hour(
    pins: Pins, clock: VirtualClock
) -> None:
    await wrong(pins, FREE_TRIES)
    delays = []
    for _ in range(8):
        with pytest.raises(TooManyTries) as refused:
            await pins.check("ann", "0000")
        delays.append(refused.value.seconds)
        clock.advance(refused.value.seconds)
        await wrong(pins, 1)
    assert delays == [60, 120, 240, 480, 960, 1920, 3600, 3600]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("back", [LAST_DELAY / 2, LAST_DELAY, LAST_DELAY + 1.0, 86_400.0])
async def test_whoever_sets_the_clock_back_nobody_waits_for_longer_than_the_last_delay(
    store: Store, back: float
) -> None:
    clock = SteppedClock()
    pins = Pins(store, clock, lambda count: b"\x01" * count)
    await pins.set("ann", "4711")
    await wrong(pins, FREE_TRIES)
    clock.ahead = -back
    try:
        assert not await pins.check("ann", "0000")
    except TooManyTries as refused:
        assert refused.seconds <= LAST_DELAY
        clock.advance(refused.seconds)
        assert not await pins.check("ann", "0000")
    with pytest.raises(TooManyTries) as again:
        await pins.check("ann", "4711")
    assert again.value.seconds == 2 * FIRST_DELAY, "what was tried before counts still"
    clock.advance(2 * FIRST_DELAY)
    others = [Key(b"1", b"2")]
    assert await pins.check("ann", "4711", others), "and takes back no more than itself"
    assert not await pins.check("ann", "0000")
    with pytest.raises(TooManyTries):
        await pins.check("ann", "4711")


@pytest.mark.usefixtures("quick")
async def test_a_new_pin_ends_the_waiting(pins: Pins) -> None:
    await wrong(pins, FREE_TRIES)
    await pins.set("ann", "2222")
    assert await pins.check("ann", "2222")


@pytest.mark.usefixtures("quick")
async def test_many_at_a_time_and_another_worker_have_no_more_tries(
    pins: Pins, clock: VirtualClock, tmp_path: Path
) -> None:
    other_store = await Store.open(url_of(tmp_path), clock, worker="other")
    other = Pins(other_store, clock, lambda count: b"\x02" * count)
    tries = [one.check("ann", "0000") for one in (pins, other) for _ in range(6)]
    found = await asyncio.gather(*tries, return_exceptions=True)
    assert found.count(False) == FREE_TRIES
    assert sum(isinstance(one, TooManyTries) for one in found) == 12 - FREE_TRIES
    await other_store.close()
