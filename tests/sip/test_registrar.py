"""The registrar as telephones see it: passwords, names, domains, and where calls go."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.databases import BOTH
from tests.sip.peers import Owner, Phone, World
from tests.sip.registering import RegistrarWorld, Telephone
from vxml_server.sip.errors import InvalidUri
from vxml_server.sip.registrar import RegistrarSettings
from vxml_server.sip.uri import Destination
from vxml_server.store import StoreError

pytestmark = BOTH

NO_OPTIONS = RegistrarSettings(keep_alive=0)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[RegistrarWorld]:
    made = RegistrarWorld(tmp_path)
    await made.open(settings=NO_OPTIONS)
    yield made
    await made.close()


def ring(world: RegistrarWorld, user: str) -> list[Owner]:
    """Calls all telephones of a user."""
    owners = []
    for contact in world.registrar.location.contacts(user):
        owner = Owner()
        offer = owner.media.offer()
        owner.call = world.agent.invite(
            contact, from_="sip:queue@127.0.0.1", offer=offer, listener=owner
        )
        owners.append(owner)
    world.clock.advance(0.01)
    return owners


async def test_a_telephone_registers_with_its_password_and_is_rung(world: RegistrarWorld) -> None:
    alice = Telephone(world, "alice")
    response = await alice.register()
    assert alice.statuses() == [401, 200]
    assert response.headers.get("Contact") == "<sip:alice@127.0.0.7:5080>;expires=3600"
    ring(world, "alice")
    assert alice.methods() == ["INVITE"]
    assert alice.requests[0].uri == "sip:alice@127.0.0.7:5080"
    assert await world.facts() == ["added"]


@pytest.mark.parametrize("trusts", [False, True])
async def test_a_trusted_network_registers_without_a_password_only_if_the_settings_say_so(
    tmp_path: Path, trusts: bool
) -> None:
    world = RegistrarWorld(tmp_path, trusted=("127.0.0.0/8",))
    await world.open(settings=replace(NO_OPTIONS, trusts_networks=trusts))
    try:
        alice = Telephone(world, "alice")
        alice.send(alice.ask())
        await world.settle()
        assert alice.statuses() == ([200] if trusts else [401])
        assert len(world.registrar.location.all()) == trusts
    finally:
        await world.close()


async def test_a_wrong_password_is_challenged_again_and_binds_nothing(
    world: RegistrarWorld,
) -> None:
    thief = Telephone(world, "alice", password="guessed")
    await thief.register()
    assert thief.statuses() == [401, 401]
    assert world.registrar.location.all() == ()


async def test_a_user_registers_no_name_but_his_own(world: RegistrarWorld) -> None:
    bob = Telephone(world, "bob")
    response = await bob.register({"To": "<sip:alice@127.0.0.1>"})
    assert (response.status, response.reason) == (403, "Not your name")
    assert world.registrar.location.all() == ()


@pytest.mark.parametrize(
    ("uri", "to"),
    [
        ("sip:elsewhere.example", "<sip:alice@127.0.0.1>"),
        ("sip:127.0.0.1", "<sip:alice@elsewhere.example>"),
        ("tel:+1", "<sip:alice@127.0.0.1>"),
    ],
)
async def test_a_domain_that_is_not_ours_is_not_found(
    world: RegistrarWorld, uri: str, to: str
) -> None:
    alice = Telephone(world, "alice")
    assert (await alice.register({"To": to}, uri=uri)).status in {404, 416}


async def test_a_domain_of_the_settings_is_ours(tmp_path: Path) -> None:
    world = RegistrarWorld(tmp_path)
    await world.open(settings=replace(NO_OPTIONS, domains=("Example.test.",)))
    try:
        alice = Telephone(world, "alice")
        response = await alice.register({"To": "<sip:alice@example.TEST>"}, uri="sip:example.test")
        assert response.status == 200
    finally:
        await world.close()


async def test_a_telephone_behind_a_nat_is_called_where_it_registered_from(
    world: RegistrarWorld,
) -> None:
    alice = Telephone(world, "alice")
    alice.contact = "<sip:alice@192.168.1.20:5060>"
    await alice.register()
    [owner] = ring(world, "alice")
    invite = alice.requests[0]
    assert invite.uri == "sip:alice@192.168.1.20:5060"
    # The rest of the dialog goes there too.
    answer = invite.response(200, tag="a")
    answer.headers.add("Contact", alice.contact)
    alice.send(answer)
    assert owner.names() == ["answered"]
    assert owner.call is not None
    owner.call.bye()
    world.clock.advance(0.01)
    assert alice.methods() == ["INVITE", "ACK", "BYE"]


async def test_a_contact_with_a_name_is_called_where_it_registered_from(
    world: RegistrarWorld,
) -> None:
    alice = Telephone(world, "alice")
    alice.contact = "<sip:alice@phone.invalid>"
    await alice.register()
    ring(world, "alice")
    assert alice.requests[0].uri == "sip:alice@phone.invalid"


async def test_a_telephone_on_a_connection_is_called_over_it(world: RegistrarWorld) -> None:
    at = Destination("tcp", "127.0.0.7", 40000)
    alice = Telephone(world, "alice", at)
    alice.contact = "<sip:alice@127.0.0.7:5090;transport=tcp>"
    await alice.register()
    [owner] = ring(world, "alice")
    assert alice.methods() == ["INVITE"]
    assert owner.call is not None
    owner.call.hang_up()
    # Without the connection it is called at its contact.
    world.network.connections.discard(at)
    there = Phone(world.network, Destination("tcp", "127.0.0.7", 5090), alice.server)
    world.network.connections.discard(there.at)
    ring(world, "alice")
    assert there.methods() == ["INVITE"]


async def test_a_path_is_the_route_of_calls(world: RegistrarWorld) -> None:
    alice = Telephone(world, "alice")
    alice.contact = "<sip:alice@10.9.9.9:5062>"
    response = await alice.register({"Path": "<sip:127.0.0.7:5080;lr>", "Supported": "path"})
    assert response.headers.lines("Path") == ["<sip:127.0.0.7:5080;lr>"]
    ring(world, "alice")
    invite = alice.requests[0]
    assert invite.uri == "sip:alice@10.9.9.9:5062"
    assert invite.headers.lines("Route") == ["<sip:127.0.0.7:5080;lr>"]


async def test_a_path_to_somebody_else_sends_nothing_there(world: RegistrarWorld) -> None:
    victim = Phone(world.network, Destination("udp", "127.0.0.99", 5060), world.server)
    alice = Telephone(world, "alice")
    await alice.register({"Path": "<sip:127.0.0.99:5060;lr>"})
    ring(world, "alice")
    assert victim.requests == []
    assert alice.methods() == ["INVITE"]


async def test_all_telephones_of_a_user_are_rung_the_preferred_first(
    world: RegistrarWorld,
) -> None:
    desk = Telephone(world, "alice")
    desk.contact += ";q=0.2"
    soft = Telephone(world, "alice", Destination("udp", "127.0.0.8", 5080))
    await desk.register()
    response = await soft.register()
    assert len(response.headers.values("Contact")) == 2
    hosts = [uri.partition("@")[2] for uri in world.registrar.location.contacts("alice")]
    assert [host.partition(":")[0] for host in hosts] == ["127.0.0.8", "127.0.0.7"]


async def test_a_register_that_comes_twice_is_done_once(world: RegistrarWorld) -> None:
    alice = Telephone(world, "alice")
    await alice.register()
    again = alice.ask()
    alice.send(again)
    alice.send(again)
    await world.settle()
    assert world.registrar.counters.accepted == 2
    assert alice.statuses() == [401, 200, 200]
    # It comes again when the answer was lost.
    alice.send(again)
    assert alice.statuses() == [401, 200, 200, 200]
    assert world.registrar.counters.accepted == 2


async def test_what_registered_is_rung_after_a_restart(world: RegistrarWorld) -> None:
    await Telephone(world, "alice").register()
    await world.restart(NO_OPTIONS)
    assert len(world.registrar.location.contacts("alice")) == 1


async def test_a_restart_asks_for_no_password_again_but_for_a_new_nonce(
    world: RegistrarWorld,
) -> None:
    alice = Telephone(world, "alice")
    await alice.register()
    world.agent._door._digest._secret = b"another process"
    await alice.register()
    assert alice.statuses() == [401, 200, 401, 200]
    assert "stale=true" in alice.responses[2].headers.get("WWW-Authenticate")
    assert world.agent.door_counters.wrong_passwords == 0


async def test_a_telephone_that_has_gone_is_not_called(world: RegistrarWorld) -> None:
    alice = Telephone(world, "alice")
    await alice.register()
    [contact] = world.registrar.location.contacts("alice")
    await alice.register({"Contact": "*", "Expires": "0"})
    assert world.registrar.location.contacts("alice") == ()
    with pytest.raises(InvalidUri):
        world.agent.invite(contact, from_="sip:q@127.0.0.1", offer=None, listener=Owner())
    assert await world.facts() == ["added", "removed"]


async def test_other_workers_learn_of_a_registration_and_of_its_end(
    world: RegistrarWorld,
) -> None:
    other = await world.open("other", NO_OPTIONS)
    alice = Telephone(world, "alice")
    await alice.register({"Expires": "60"})
    await world.settle(1)
    assert len(other.location.contacts("alice")) == 1
    # A refresh is not told, and found when it matters.
    await world.settle(50)
    await alice.register({"Expires": "60"})
    await world.settle(30)
    assert len(other.location.contacts("alice")) == 1
    await world.settle(60)
    assert other.location.contacts("alice") == ()
    assert await world.facts() == ["added", "expired"]


async def test_a_database_that_is_away_is_a_500_and_nothing_is_bound(
    world: RegistrarWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = Telephone(world, "alice")

    async def fails(*_: object) -> None:
        raise StoreError("away")

    monkeypatch.setattr(world.registrar.location, "_changed", fails)
    response = await alice.register()
    assert (response.status, response.headers.get("Retry-After")) == (500, "5")
    assert world.registrar.location.contacts("alice") == ()


async def test_a_call_says_which_user_makes_it(world: RegistrarWorld) -> None:
    alice = Telephone(world, "alice")
    await alice.register()
    invite = alice.request("INVITE", call_id="out", headers={"From": "<sip:alice@x>;tag=1"})
    alice._digest.authorize(invite)
    alice.send(invite)
    assert [call.user for call in world.board.calls] == ["alice"]


async def test_without_a_registrar_register_is_not_allowed() -> None:
    plain = World()
    plain.phone.send(plain.phone.request("REGISTER"))
    assert plain.phone.statuses() == [405]
