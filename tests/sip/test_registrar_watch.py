"""Whether registered telephones are still there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.databases import BOTH
from tests.sip.registering import RegistrarWorld, Telephone
from vxml_server.sip.registrar import RegistrarSettings
from vxml_server.sip.uri import Destination

pytestmark = BOTH

PERIOD = 40.0
TIMEOUT = 32.0
"""64*T1: when a request over UDP counts as unanswered."""
SETTINGS = RegistrarSettings(keep_alive=PERIOD)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[RegistrarWorld]:
    made = RegistrarWorld(tmp_path)
    await made.open(settings=SETTINGS)
    yield made
    await made.close()


def rings(world: RegistrarWorld, user: str = "alice") -> int:
    return len(world.registrar.location.contacts(user))


async def test_a_telephone_that_answers_is_asked_once_a_period(world: RegistrarWorld) -> None:
    alice = Telephone(world, "alice")
    await alice.register()
    await world.settle(PERIOD * 5)
    assert 4 <= alice.methods().count("OPTIONS") <= 6
    assert alice.requests[0].uri == "sip:alice@127.0.0.7:5080"
    assert rings(world) == 1
    assert await world.facts() == ["added"]


async def test_one_that_does_not_answer_twice_is_not_rung_until_it_does(
    world: RegistrarWorld,
) -> None:
    alice = Telephone(world, "alice")
    await alice.register()
    alice.answers = False
    await world.settle(PERIOD + TIMEOUT)
    assert rings(world) == 1, "one missed question is none"
    await world.settle(PERIOD + TIMEOUT)
    assert rings(world) == 0
    assert [one.reachable for one in world.registrar.location.bindings("alice")] == [False]
    alice.answers = True
    await world.settle(PERIOD + TIMEOUT)
    assert rings(world) == 1
    assert await world.facts() == ["added", "unreachable", "reachable"]


async def test_a_register_brings_it_back_at_once(world: RegistrarWorld) -> None:
    alice = Telephone(world, "alice")
    await alice.register()
    alice.answers = False
    await world.settle(2 * (PERIOD + TIMEOUT))
    assert rings(world) == 0
    await alice.register()
    assert rings(world) == 1
    assert await world.facts() == ["added", "unreachable", "reachable"]


async def test_what_is_unreachable_stays_so_for_other_workers_and_after_a_restart(
    world: RegistrarWorld,
) -> None:
    other = await world.open("other", SETTINGS)
    alice = Telephone(world, "alice")
    await alice.register()
    alice.answers = False
    await world.settle(2 * (PERIOD + TIMEOUT) + 1)
    assert other.location.contacts("alice") == ()
    await world.restart(SETTINGS)
    assert rings(world) == 0
    alice.answers = True
    await world.settle(PERIOD + TIMEOUT)
    assert rings(world) == 1


async def test_who_has_gone_is_not_asked_any_more(world: RegistrarWorld) -> None:
    alice = Telephone(world, "alice")
    await alice.register()
    await alice.register({"Expires": "0"})
    await world.settle(PERIOD * 3)
    assert "OPTIONS" not in alice.methods()
    assert world.registrar._watch._watched == {}


async def test_a_telephone_is_asked_by_the_worker_that_it_registered_with(
    world: RegistrarWorld,
) -> None:
    other = await world.open("other", SETTINGS)
    await Telephone(world, "alice").register()
    await world.settle(1)
    assert len(other.location.contacts("alice")) == 1
    assert other._watch._watched == {}
    assert len(world.registrar._watch._watched) == 1


async def test_a_connection_that_is_gone_is_no_answer(world: RegistrarWorld) -> None:
    at = Destination("tcp", "127.0.0.7", 40000)
    alice = Telephone(world, "alice", at)
    alice.contact = "<sip:alice@10.0.0.1;transport=tcp>"
    await alice.register()
    world.network.unreachable.add(at)
    await world.settle(PERIOD * 2 + 1)
    assert rings(world) == 0
