"""How guessing at passwords is slowed down."""

from __future__ import annotations

import random

from tests.databases import BOTH
from tests.sip.peers import PHONE, Phone, World
from vxml_server.clock import VirtualClock
from vxml_server.sip.core import UserAgentSettings
from vxml_server.sip.digest import DigestClient
from vxml_server.sip.interface import Credentials
from vxml_server.sip.registrar_limits import (
    FIRST_LOCK,
    LONGEST_LOCK,
    MAX_WRONG,
    QUIET,
    REMEMBERED,
    Lockouts,
)
from vxml_server.sip.uri import Destination

pytestmark = BOTH

USERS = {"alice": "secret", "bob": "other"}


class Guesser:
    """Somebody at `host` who tries passwords."""

    def __init__(self, world: World, host: str) -> None:
        at = Destination("udp", host, 5080)
        self.phone = Phone(world.network, at, world.server) if at != PHONE else world.phone
        self._calls = 0

    def tries(self, user: str, password: str) -> int:
        """The last answer to an OPTIONS with a password, 0 when there is none."""
        self.phone.responses.clear()
        digest = DigestClient(Credentials(user, password), random.Random(1))
        for _ in range(2):
            self._calls += 1
            request = self.phone.request("OPTIONS", call_id=f"{self.phone.at.host}{self._calls}")
            digest.authorize(request)
            self.phone.send(request)
            if self.phone.statuses()[-1:] == [401]:
                digest.challenged(self.phone.responses[-1])
        return (self.phone.statuses() or [0])[-1] if len(self.phone.statuses()) != 1 else 0


def a_world() -> World:
    return World(settings=UserAgentSettings(trusted=(), users=USERS))


def test_a_source_that_guesses_gets_no_answer_any_more_not_even_to_the_right_password() -> None:
    world = a_world()
    guesser = Guesser(world, "127.0.0.50")
    answers = [guesser.tries(f"user{number}", "guess") for number in range(MAX_WRONG)]
    assert answers == [401] * (MAX_WRONG - 1) + [0]
    assert guesser.tries("alice", "secret") == 0
    assert guesser.phone.responses == []
    assert world.agent.locked_out == (1, 0)
    # Others are not concerned.
    assert Guesser(world, "127.0.0.51").tries("alice", "secret") == 200
    world.clock.advance(FIRST_LOCK + 1)
    assert guesser.tries("alice", "secret") == 200


def test_a_name_that_is_guessed_at_from_everywhere_is_closed_but_to_its_owner() -> None:
    world = a_world()
    owner = Guesser(world, "127.0.0.10")
    assert owner.tries("alice", "secret") == 200
    for number in range(MAX_WRONG):
        Guesser(world, f"127.0.1.{number}").tries("alice", "guess")
    assert world.agent.locked_out == (0, 1)
    assert Guesser(world, "127.0.2.1").tries("alice", "secret") == 403
    assert Guesser(world, "127.0.2.2").tries("bob", "other") == 200
    assert owner.tries("alice", "secret") == 200
    world.clock.advance(FIRST_LOCK + 1)
    assert Guesser(world, "127.0.2.3").tries("alice", "secret") == 200


def test_who_is_right_in_between_starts_anew() -> None:
    world = a_world()
    clumsy = Guesser(world, "127.0.0.50")
    for _ in range(3):
        for _ in range(MAX_WRONG - 1):
            assert clumsy.tries(f"x{random.random()}", "guess") == 401
        assert clumsy.tries("bob", "other") == 200


def test_each_lock_lasts_twice_as_long_up_to_a_limit_and_is_forgotten_in_the_end() -> None:
    clock = VirtualClock()
    lockouts = Lockouts(clock)

    def lock() -> float:
        seconds = [lockouts.wrong("x") for _ in range(MAX_WRONG)]
        assert seconds[:-1] == [0.0] * (MAX_WRONG - 1)
        clock.advance(seconds[-1])
        assert not lockouts.is_locked("x")
        return seconds[-1]

    assert [lock() for _ in range(4)] == [FIRST_LOCK * factor for factor in (1, 2, 4, 8)]
    assert max(lock() for _ in range(9)) == LONGEST_LOCK
    clock.advance(QUIET + 1)
    assert lock() == FIRST_LOCK


def test_what_strangers_make_us_remember_is_bounded() -> None:
    lockouts = Lockouts(VirtualClock())
    for number in range(REMEMBERED + 100):
        lockouts.wrong(str(number))
    assert len(lockouts) == REMEMBERED


def test_a_network_of_64_bits_is_one_source() -> None:
    world = a_world()
    door = world.agent._door
    request = world.phone.request("OPTIONS")
    for _ in range(MAX_WRONG):
        door._was_wrong(door.sources, "2001:db8:1:2::/64", "source")
    assert door.ask(request, "2001:db8:1:2:aaaa::1")[0].name == "SILENCE"
    assert door.ask(request, "2001:db8:1:3::1")[0].name == "CHALLENGE"
