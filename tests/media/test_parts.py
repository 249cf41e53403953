"""The small parts: ports, the latch, streams, the pacer, concealment, the real network."""

from __future__ import annotations

import math
import random
import select
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.media.world import ramp, sine, stream_to
from vxml_server.media import Direction, NoPortsLeft, Sound
from vxml_server.media.conceal import FADE, FLAGGED, Concealment
from vxml_server.media.jitter import WHOLE
from vxml_server.media.latch import ABANDON, REBIND, Latch
from vxml_server.media.network import UdpNetwork
from vxml_server.media.pacer import CATCH_UP, TICK, Pacer
from vxml_server.media.play import Playback, PlayQueue
from vxml_server.media.ports import REST, PortPairs

# Ports


@given(st.integers(1, 65000), st.integers(2, 60))
def test_every_pair_is_given_out_once_and_lies_in_the_range(first: int, count: int) -> None:
    ports = range(first, min(first + count, 65536))
    pairs = PortPairs(ports, random.Random(1)) if len(ports) > 2 else None
    if pairs is None:
        return
    taken = [pairs.take(0.0) for _ in range(len(pairs))]
    assert len(set(taken)) == len(taken)
    assert all(port % 2 == 0 and port in ports and port + 1 in ports for port in taken)
    assert len(taken) == sum(p % 2 == 0 and p + 1 in ports for p in ports)
    with pytest.raises(NoPortsLeft):
        pairs.take(0.0)


def test_a_pair_rests_before_it_is_used_again() -> None:
    pairs = PortPairs(range(4000, 4002), random.Random(1))
    port = pairs.take(0.0)
    pairs.release(port, 10.0)
    with pytest.raises(NoPortsLeft):
        pairs.take(10.0 + REST - 0.01)
    assert pairs.take(10.0 + REST) == port


@pytest.mark.parametrize(
    "ports",
    [range(0), range(10), range(5, 6), range(5, 7), range(65000, 65537), range(2, 20, 2)],
)
def test_a_range_that_holds_no_pairs_is_refused(ports: range) -> None:
    with pytest.raises(ValueError):
        PortPairs(ports, random.Random(1))


# The latch

SIGNALLED, OTHER, THIRD = ("192.0.2.5", 5000), ("192.0.2.6", 6000), ("192.0.2.7", 7000)


def latch(source: tuple[str, int] | None = None) -> Latch:
    made = Latch()
    made.expect(SIGNALLED)
    if source is not None:
        for sequence in (1, 2):
            made.admits(source, 1, sequence, same_ssrc=False, silence=1000)
        assert made.source == source
    return made


def test_the_signalled_address_is_latched_at_once() -> None:
    made = latch()
    assert made.admits(SIGNALLED, 1, 1, same_ssrc=False, silence=1000)
    assert made.source == SIGNALLED


def test_another_address_shows_two_packets_in_sequence_first() -> None:
    made = latch()
    for sequence, admitted in ((65533, False), (7, False), (65535, False), (0, True)):
        assert made.admits(OTHER, 1, sequence, same_ssrc=False, silence=1000) is admitted
    assert made.source == OTHER


def test_two_strangers_do_not_vouch_for_each_other() -> None:
    made = latch()
    for sequence in range(10):
        for source in (OTHER, THIRD):
            assert not made.admits(source, 1, sequence, same_ssrc=False, silence=1000)


@pytest.mark.parametrize(
    ("same_ssrc", "silence", "admitted"),
    [
        (True, REBIND - 1, False),
        (True, REBIND, True),
        (False, REBIND, False),
        (False, ABANDON - 1, False),
        (False, ABANDON, True),
    ],
)
def test_a_latched_address_is_left_only_after_silence(
    same_ssrc: bool, silence: int, admitted: bool
) -> None:
    made = latch(OTHER)
    made.admits(THIRD, 1, 8, same_ssrc=same_ssrc, silence=silence)
    assert made.admits(THIRD, 1, 9, same_ssrc=same_ssrc, silence=silence) is admitted
    assert made.source == (THIRD if admitted else OTHER)


def test_the_same_agreement_again_keeps_the_latch_and_another_one_opens_it() -> None:
    made = latch(OTHER)
    made.expect(SIGNALLED)
    assert made.source == OTHER
    made.expect(THIRD)
    assert made.source is None


# Streams


@pytest.mark.parametrize(
    "changes",
    [
        {"ptime_ms": 25},
        {"payload_type_send": 128},
        {"event_payload_type_receive": -1},
        {"remote_port": 65536},
        {"remote_rtcp_port": -1},
        {"remote_address": "telephone.example"},
    ],
)
def test_a_stream_that_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        stream_to(**changes)


def test_control_goes_to_the_next_port_unless_it_was_named() -> None:
    assert stream_to(5000).remote_rtcp == ("198.51.100.7", 5001)
    assert stream_to(5000, remote_rtcp_port=9).remote_rtcp == ("198.51.100.7", 9)
    assert stream_to(65535).remote_rtcp == ("198.51.100.7", 65535)


def test_a_stream_to_nowhere_does_not_send() -> None:
    assert stream_to().sends
    assert not stream_to(0).sends
    assert not stream_to(remote_address="::").sends
    assert not stream_to(direction=Direction.RECVONLY).sends


# Sounds


def test_a_sound_has_one_dimension() -> None:
    with pytest.raises(ValueError):
        Sound(np.zeros((2, 2), np.int16))
    assert Sound(ramp(4000)).seconds == 0.5


def test_linear_frames_pass_the_ends_of_sounds() -> None:
    queue = PlayQueue()
    queue.append(Playback(Sound(ramp(100))))
    queue.append(Playback(Sound(ramp(100))))
    expected = np.concatenate([ramp(100), ramp(100), np.zeros(120, np.int16)])
    assert np.array_equal(np.concatenate([queue.take_linear(), queue.take_linear()]), expected)
    assert not queue


# The pacer


class Time:
    """A clock whose sleep oversleeps by what it is told."""

    def __init__(self) -> None:
        self.now = 100.0
        self.over: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds + (self.over.pop(0) if self.over else 0.0)


def test_ticks_do_not_drift() -> None:
    time = Time()
    time.over = [0.003, 0.0, 0.012, 0.001] * 250
    pacer = Pacer(time.monotonic, time.sleep)
    for number in range(1000):
        now, skipped = pacer.wait()
        assert skipped == 0
        assert -1e-9 <= now - 100 - number * TICK < 0.0121
    assert pacer.late == 250
    assert sum(count for _, count in pacer.histogram) == 1000
    assert dict(pacer.histogram)[20.0] == 250
    assert math.isinf(pacer.histogram[-1][0])


@pytest.mark.parametrize(
    ("stall", "skipped"), [(1, 0), (CATCH_UP, 0), (CATCH_UP + 3, 3), (500, 496)]
)
def test_a_stall_is_made_good_up_to_a_limit(stall: int, skipped: int) -> None:
    time = Time()
    pacer = Pacer(time.monotonic, time.sleep)
    pacer.wait()
    time.now += TICK * (stall + 1) + 0.001
    assert pacer.wait()[1] == skipped
    at_once = 0
    while True:
        before = time.now
        pacer.wait()
        if time.now > before:
            break
        at_once += 1
    assert at_once == min(stall, CATCH_UP)
    assert pacer.skipped == skipped


# Concealment


def fill(
    concealment: Concealment, frame: NDArray[np.int16], present: int
) -> tuple[NDArray[np.int16], bool]:
    pcm, lost = concealment.fill(frame.reshape(1, 160).copy(), np.array([present], np.uint16))
    return pcm[0], bool(lost[0])


def test_a_gap_repeats_the_last_frame_more_and_more_quietly() -> None:
    concealment = Concealment(1)
    good = np.full(160, 10000, np.int16)
    assert fill(concealment, good, WHOLE)[1] is False
    levels, flags = [], []
    for _ in range(FLAGGED + 3):
        frame, lost = fill(concealment, np.full(160, 77, np.int16), 0)
        levels.append(int(np.abs(frame).max()))
        flags.append(lost)
    assert levels[0] == 10000
    assert levels[:FADE] == sorted(levels[:FADE], reverse=True)
    assert not any(levels[FADE:])
    assert flags == [True] * FLAGGED + [False] * 3
    frame, lost = fill(concealment, good, WHOLE)
    assert (frame.tolist(), lost) == (good.tolist(), False)


def test_what_came_of_a_frame_is_kept() -> None:
    concealment = Concealment(1)
    fill(concealment, np.full(160, 10000, np.int16), WHOLE)
    frame, lost = fill(concealment, np.full(160, -3000, np.int16), 0xFF00)
    assert lost
    assert (frame[:80] > 0).all()
    assert (frame[80:] == -3000).all()


def test_before_a_stream_began_nothing_is_lost() -> None:
    concealment = Concealment(1)
    frame, lost = fill(concealment, sine(0.02), 0)
    assert not frame.any()
    assert not lost
    fill(concealment, sine(0.02), WHOLE)
    concealment.reset(0)
    assert not fill(concealment, sine(0.02), 0)[0].any()


# The network


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_real_sockets_carry_packets_and_their_times(address: str) -> None:
    network = UdpNetwork()
    try:
        socket = network.bind(address, 0)
    except OSError:
        pytest.skip(f"no {address} on this machine")
    network.watch(socket)
    assert network.ready() == []
    here = socket.getsockname()  # type: ignore[attr-defined]
    socket.sendto(b"abc", here)
    assert network.ready() == [(socket.fileno(), select.POLLIN)]
    buffer = bytearray(10)
    size, notes, _, source = socket.recvmsg_into([buffer], 64)
    assert bytes(buffer[:size]) == b"abc"
    assert source == here
    assert len(notes) == 1
    with pytest.raises(OSError):
        network.bind(address, here[1])
    network.close(socket)
    assert network.ready() == []
