"""Who opens a box: its PIN, and those of its owners."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pytest

from tests.voicemail.world import ANN, SALES, World, world_of
from vxml_server.queues import Agent, ContactCentre, secrets
from vxml_server.queues.secrets import FORGET_AFTER, FREE_TRIES, Pins
from vxml_server.voicemail import BadPin, NoSuchBox, TooManyTries


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes cost nothing."""
    monkeypatch.setattr(secrets, "_COST", 2)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with world_of(tmp_path, runs=False) as made:
        yield made


@pytest.fixture
async def agents(world: World) -> Pins:
    """The PINs of ann and bob."""
    made = Pins(world.store, world.clock, lambda count: b"\x01" * count)
    await made.set("ann", "1111")
    await made.set("bob", "2222")
    return made


async def test_a_box_is_opened_by_its_pin_and_by_those_of_its_owners(
    world: World, agents: Pins
) -> None:
    check = world.voicemail.check_pin
    assert not await check("sales", "4711")
    await world.voicemail.set_pin("sales", "4711")
    for pin in ("4711", "1111", "2222"):
        assert await check("sales", pin)
    assert not await check("sales", "3333")
    assert not await check("ann", "1111"), "she is not an owner of that box"
    assert await world.voicemail.remove_pin("sales")
    assert not await world.voicemail.remove_pin("sales")
    assert not await check("sales", "4711")
    assert await check("sales", "1111")
    assert not await world.voicemail.remove_pin("sales"), "counting tries is no PIN"


async def test_who_is_no_owner_or_no_agent_any_more_opens_nothing(
    world: World, agents: Pins
) -> None:
    await world.define(replace(SALES, owners=("bob",)), ANN)
    assert not await world.voicemail.check_pin("sales", "1111")
    await world.define(SALES, ANN, agents=[Agent("ann", line="ann")])
    assert not await world.voicemail.check_pin("sales", "2222")


async def test_there_is_no_pin_of_a_box_that_does_not_exist(world: World, agents: Pins) -> None:
    with pytest.raises(NoSuchBox):
        await world.voicemail.set_pin("nobody", "4711")
    assert not await world.voicemail.check_pin("nobody", "4711")
    with pytest.raises(BadPin):
        await world.voicemail.set_pin("sales", "1")


@pytest.mark.parametrize("has_pin", [True, False])
async def test_tries_are_counted_for_the_box_and_not_for_its_owners(
    world: World, agents: Pins, has_pin: bool
) -> None:
    if has_pin:
        await world.voicemail.set_pin("sales", "4711")
    for _ in range(FREE_TRIES):
        assert not await world.voicemail.check_pin("sales", "9999")
    with pytest.raises(TooManyTries) as error:
        await world.voicemail.check_pin("sales", "1111")
    assert error.value.seconds == 60
    assert await agents.check("ann", "1111"), "nobody locks her out of her telephone so"
    world.clock.advance(60)
    assert await world.voicemail.check_pin("sales", "1111")


async def wrong(world: World, times: int) -> None:
    for _ in range(times):
        assert not await world.voicemail.check_pin("sales", "9999")


async def test_the_right_pin_of_one_owner_gives_no_more_tries_at_that_of_another(
    world: World, agents: Pins
) -> None:
    for _ in range(FREE_TRIES):
        assert await world.voicemail.check_pin("sales", "1111")
        await wrong(world, 1)
        # Within an hour, whoever opens it meanwhile.
        world.clock.advance(60)
    await wrong(world, 1)
    with pytest.raises(TooManyTries) as error:
        await world.voicemail.check_pin("sales", "1111")
    assert error.value.seconds == 120


async def test_of_the_wrong_pins_one_is_forgotten_each_hour(world: World, agents: Pins) -> None:
    await wrong(world, FREE_TRIES)
    world.clock.advance(60 + 2 * FORGET_AFTER - 100)
    assert await world.voicemail.check_pin("sales", "2222"), "which does not put that off"
    world.clock.advance(100)
    await wrong(world, 2)
    with pytest.raises(TooManyTries):
        await world.voicemail.check_pin("sales", "2222")


async def test_who_has_the_only_pin_of_a_box_begins_the_count_anew(world: World) -> None:
    await world.voicemail.set_pin("sales", "4711")
    await wrong(world, FREE_TRIES - 1)
    assert await world.voicemail.check_pin("sales", "4711")
    await wrong(world, FREE_TRIES - 1)
    assert await world.voicemail.check_pin("sales", "4711")


async def test_a_right_pin_that_is_given_while_others_are_tried_gives_no_more_tries(
    world: World, agents: Pins
) -> None:
    pins = ["1111", *["9999"] * (FREE_TRIES - 1)]
    tries = [world.voicemail.check_pin("sales", pin) for pin in pins]
    assert sorted(await asyncio.gather(*tries)) == [False] * (FREE_TRIES - 1) + [True]
    world.clock.advance(60)
    await wrong(world, 1)
    with pytest.raises(TooManyTries):
        await world.voicemail.check_pin("sales", "1111")


async def test_an_owner_who_opens_a_box_often_is_not_locked_out(world: World, agents: Pins) -> None:
    await world.voicemail.set_pin("sales", "4711")
    for _ in range(2 * FREE_TRIES):
        assert await world.voicemail.check_pin("sales", "2222")


async def test_many_tries_at_a_time_are_not_more_tries(world: World, agents: Pins) -> None:
    tries = [world.voicemail.check_pin("sales", f"{pin}") for pin in range(3000, 3012)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert results.count(False) <= FREE_TRIES
    assert sum(isinstance(result, TooManyTries) for result in results) >= 12 - FREE_TRIES


async def test_the_pin_of_a_box_goes_with_the_box(world: World) -> None:
    centre = ContactCentre(world.store, world.clock, random.Random(), worker="main", zone=UTC)
    await centre.start()
    await world.voicemail.set_pin("sales", "4711")
    await world.voicemail.set_pin("ann", "4711")
    assert await centre.undefine("box", "sales")
    await centre.define(SALES)
    # The other one comes into the file, and leaves it.
    for definitions in ([ANN], [], [ANN]):
        await centre.declare(definitions)
    assert centre.board.boxes == {"ann": ANN, "sales": SALES}
    assert not await world.voicemail.check_pin("sales", "4711")
    assert not await world.voicemail.check_pin("ann", "4711")
    await centre.stop()
