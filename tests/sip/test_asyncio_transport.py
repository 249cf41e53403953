"""Real sockets on 127.0.0.1. Time-outs are virtual; what the kernel does is waited for."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.sip.peers import Owner, Switchboard, answer_at_once
from tests.waiting import until
from vxml_server.clock import VirtualClock
from vxml_server.sip import asyncio_transport
from vxml_server.sip.asyncio_transport import AsyncioNetwork, TcpTransport, UdpTransport
from vxml_server.sip.errors import InvalidUri
from vxml_server.sip.transport import Transport
from vxml_server.sip.uri import Destination
from vxml_server.sip.user_agent import UserAgent

OPTIONS = (
    b"OPTIONS sip:a@127.0.0.1 SIP/2.0\r\n"
    b"Via: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bKopt\r\n"
    b"From: <sip:b@127.0.0.1>;tag=b\r\nTo: <sip:a@127.0.0.1>\r\n"
    b"Call-ID: o\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)


class Ear:
    """A receiver that keeps what comes."""

    def __init__(self) -> None:
        self.heard: list[tuple[bytes, str, int]] = []
        self.failures: list[str] = []

    def received(self, data: bytes, transport: Transport, host: str, port: int) -> None:
        self.heard.append((data, host, port))


@asynccontextmanager
async def listening(
    protocol: str, clock: VirtualClock | None = None
) -> AsyncIterator[tuple[Transport, Ear]]:
    ear = Ear()
    address = Destination(protocol, "127.0.0.1", 0)
    transport = await AsyncioNetwork().listen(address, ear, clock or VirtualClock())
    try:
        yield transport, ear
    finally:
        await transport.close()


async def test_a_datagram_goes_from_one_transport_to_another() -> None:
    async with listening("udp") as (one, _), listening("udp") as (other, ear):
        assert other.port != 0
        one.send(b"\r\n\r\n", other.host, other.port, print)  # a keep-alive is not told
        one.send(b"hello", other.host, other.port, print)
        await until(lambda: ear.heard)
        assert ear.heard == [(b"hello", one.host, one.port)]
        assert one.connected("10.0.0.1", 1)
    one.send(b"after close", other.host, other.port, print)


@pytest.mark.skipif(not hasattr(socket, "SO_DOMAIN"), reason="the kernel tells this on Linux")
async def test_a_port_where_nobody_listens_is_told_of() -> None:
    async with listening("udp") as (transport, ear):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
            closed.bind(("127.0.0.1", 0))
            port = closed.getsockname()[1]
        failures: list[str] = []
        others: list[str] = []
        transport.send(b"x", transport.host, transport.port, others.append)
        transport.send(b"x", "127.0.0.1", port, failures.append)
        await until(lambda: failures)
        assert "refused" in failures[0]
        assert others == []
        await until(lambda: ear.heard)


async def test_udp_over_ipv6() -> None:
    ear = Ear()
    try:
        transport = await UdpTransport.bind("::1", 0, ear)
    except OSError:
        pytest.skip("no IPv6 here")
    transport.send(b"six", "::1", transport.port, print)
    await until(lambda: ear.heard)
    assert ear.heard[0][1] == "::1"
    await transport.close()


async def test_a_taken_address_is_an_os_error() -> None:
    for protocol in ("udp", "tcp"):
        async with listening(protocol) as (transport, ear):
            again = Destination(protocol, transport.host, transport.port)
            with pytest.raises(OSError, match="in use"):
                await AsyncioNetwork().listen(again, ear, VirtualClock())


async def test_other_protocols_are_not_spoken_yet() -> None:
    with pytest.raises(InvalidUri):
        await AsyncioNetwork().listen(Destination("tls", "127.0.0.1", 0), Ear(), VirtualClock())


async def test_a_wildcard_address_advertises_what_the_peer_sees() -> None:
    transport = await UdpTransport.bind("0.0.0.0", 0, Ear())
    assert transport.advertised("127.0.0.1") == "127.0.0.1"
    assert transport.advertised("127.0.0.1") == "127.0.0.1"
    # The kernel refuses this one: nothing better is known.
    assert transport.advertised("255.255.255.255") == "0.0.0.0"
    for number in range(1030):
        transport.advertised(f"127.0.{number // 250}.{number % 250 + 1}")
    assert len(transport._own._known) == 1024
    await transport.close()


async def test_messages_over_tcp_use_one_connection_both_ways() -> None:
    async with listening("tcp") as (one, back), listening("tcp") as (other, ear):
        one.send(OPTIONS, other.host, other.port, print)
        one.send(OPTIONS, other.host, other.port, print)
        await until(lambda: len(ear.heard) == 2)
        message, host, port = ear.heard[0]
        assert message == OPTIONS
        assert port != one.port
        assert other.connected(host, port)
        other.send(OPTIONS, host, port, print)
        await until(lambda: back.heard)
        assert back.heard[0][2] == other.port
    one.send(OPTIONS, other.host, other.port, print)


async def test_a_connection_that_is_refused_is_told_of() -> None:
    async with listening("tcp") as (transport, _):
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            port = closed.getsockname()[1]
        failures: list[str] = []
        transport.send(OPTIONS, "127.0.0.1", port, failures.append)
        assert failures == []
        await until(lambda: failures)
        assert failures[0].startswith("no connection")
        assert not transport.connected("127.0.0.1", port)


async def test_a_connection_that_takes_too_long_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = VirtualClock()

    async def never(*args: object, **more: object) -> None:
        await asyncio.Event().wait()

    async with listening("tcp", clock) as (transport, _):
        monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", never)
        failures: list[str] = []
        transport.send(OPTIONS, "127.0.0.1", 9, failures.append)
        await clock.elapse(5.1)
        assert failures == ["no connection in time"]
        transport.send(OPTIONS, "127.0.0.1", 9, failures.append)
        await clock.settle()
    assert failures == ["no connection in time"]


async def connected(transport: Transport) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(transport.host, transport.port)


async def test_a_ping_is_answered_with_a_pong() -> None:
    async with listening("tcp") as (transport, ear):
        reader, writer = await connected(transport)
        writer.write(b"\r\n\r\n" + OPTIONS)
        assert await reader.readexactly(2) == b"\r\n"
        await until(lambda: ear.heard)
        writer.close()
        await writer.wait_closed()
        await until(lambda: not transport.connected(*ear.heard[0][1:]))


@pytest.mark.parametrize("beginning", [b"", b"OPTIONS sip:a"])
async def test_a_peer_that_does_not_finish_a_message_is_cut_off(beginning: bytes) -> None:
    clock = VirtualClock()
    async with listening("tcp", clock) as (transport, _):
        reader, writer = await connected(transport)
        writer.write(beginning)
        await until(lambda: clock.next_due() is not None)
        clock.advance(10.1)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()


async def test_a_peer_that_has_finished_its_message_is_not_cut_off() -> None:
    clock = VirtualClock()
    async with listening("tcp", clock) as (transport, ear):
        _, writer = await connected(transport)
        writer.write(OPTIONS[:30])
        await until(lambda: clock.next_due() is not None)
        writer.write(OPTIONS[30:])
        await until(lambda: ear.heard)
        assert clock.next_due() is None
        writer.close()


async def test_a_stream_that_cannot_be_cut_is_closed_after_its_answer() -> None:
    async with listening("tcp") as (transport, ear):
        reader, writer = await connected(transport)
        writer.write(OPTIONS.replace(b"Length: 0", b"Length: -1"))
        assert await reader.read() == b""
        assert len(ear.heard) == 1
        writer.close()


async def test_a_peer_that_reads_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio_transport, "MAX_UNSENT", 100_000)
    async with listening("tcp") as (transport, ear):
        _, writer = await connected(transport)
        writer.write(OPTIONS)
        await until(lambda: ear.heard)
        _, host, port = ear.heard[0]
        failures: list[str] = []
        for _ in range(300):
            if transport.connected(host, port):
                transport.send(b"x" * 65536, host, port, failures.append)
                await asyncio.sleep(0)
        await until(lambda: not transport.connected(host, port))
        writer.close()


async def test_too_many_connections_are_not_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio_transport, "MAX_CONNECTIONS", 0)
    async with listening("tcp") as (transport, _):
        reader, writer = await connected(transport)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()


async def test_a_connection_that_breaks_is_told_to_who_sent_over_it() -> None:
    async with listening("tcp") as (transport, ear):
        _, writer = await connected(transport)
        writer.write(OPTIONS)
        await until(lambda: ear.heard)
        _, host, port = ear.heard[0]
        failures: list[str] = []
        transport.send(b"x", host, port, failures.append)
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"  # close with a reset
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()
        await until(lambda: failures)
        assert failures[0].startswith("connection lost")


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
async def test_a_whole_call_over_real_sockets(protocol: str) -> None:
    clock = VirtualClock()
    board = Switchboard(policy=answer_at_once)
    agents = [UserAgent(clock=clock, random=random.Random(seed), handler=board) for seed in (1, 2)]
    for agent in agents:
        await agent.start([f"{protocol}://127.0.0.1:0"])
    port = agents[1].addresses[0].rpartition(":")[2]
    ear = Owner()
    call = agents[0].invite(
        f"sip:b@127.0.0.1:{port};transport={protocol}",
        from_="sip:a@127.0.0.1",
        offer=ear.media.offer(),
        listener=ear,
    )
    await until(lambda: board.owners and board.owners[0].names() == ["acknowledged"])
    assert ear.names() == ["answered"]
    call.bye()
    clock.advance(0)
    await until(lambda: agents[1].active_dialogs == 0 and agents[0].active_dialogs == 0)
    clock.advance(0)
    assert board.owners[0].names()[-1] == "ended"
    clock.advance(100)
    assert all(agent.idle for agent in agents)
    for agent in agents:
        await agent.stop()


async def test_nothing_is_left_of_a_closed_transport() -> None:
    before = asyncio.all_tasks()
    async with listening("tcp") as (one, _), listening("tcp") as (other, ear):
        assert isinstance(one, TcpTransport)
        one.send(OPTIONS, other.host, other.port, print)
        await until(lambda: ear.heard)
        one.send(OPTIONS, "127.0.0.1", 9, print)
    await until(lambda: asyncio.all_tasks() == before)
