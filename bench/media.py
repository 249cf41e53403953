"""The RTP engine under load, against the bare socket calls of the same packets.

    python bench/media.py --channels 200 --seconds 5 [--mode play|bridge|idle]

A peer process sends a packet to each channel every 20 ms and notes, by kernel time stamps, when
packets come back. First a loop without any audio does the same receives and sends (the floor in
Python); then the engine. Both are pinned to one core, the peer to another. Printed is the CPU time
a tick takes of the thread, the ratio of the two, how late ticks were, and the gaps the peer saw.
Ratios travel between machines; milliseconds do not.
"""

from __future__ import annotations

import argparse
import multiprocessing as mp
import os
import random
import resource
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.queues import Queue

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the server has it

import numpy as np

from vxml_server.clock import SystemClock
from vxml_server.media import Codec, MediaEngine, Playback, Sound, Stream

HOST = "127.0.0.1"
OUR_PORTS = 40000
PEER_PORTS = 20000
TICK = 0.02
WARM_UP = 1.0
SO_TIMESTAMPNS = 35

Gaps = tuple[float, float, float, float]


class Nobody:
    """Listens and does nothing."""

    def key(self, key: str, source: str, at: float) -> None: ...
    def playback_ended(self, playback: Playback, samples_played: int, finished: bool) -> None: ...
    def media_lost(self, seconds: float) -> None: ...
    def media_resumed(self) -> None: ...


def udp(port: int) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setblocking(False)
    opened.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    opened.bind((HOST, port))
    return opened


def peer(ports: Sequence[int], seconds: float, results: Queue[Gaps | None]) -> None:
    """Sends to every port each 20 ms; gives (median, 99 %, largest gap in ms, share over 30)."""
    pin(-1)
    poll = select.epoll()
    sockets = [udp(PEER_PORTS + 2 * number) for number in range(len(ports))]
    number_of = {opened.fileno(): number for number, opened in enumerate(sockets)}
    for opened in sockets:
        poll.register(opened.fileno(), select.EPOLLIN)
    packet = bytearray(12) + np.random.default_rng(1).integers(0, 256, 160, np.uint8).tobytes()
    buffer = bytearray(2048)
    came: list[list[float]] = [[] for _ in ports]
    results.put(None)
    due = time.monotonic()
    for sequence in range(int(seconds / TICK)):
        struct.pack_into("!BBHII", packet, 0, 0x80, 0, sequence & 0xFFFF, 160 * sequence, 4711)
        for opened, port in zip(sockets, ports, strict=True):
            opened.sendto(packet, (HOST, port))
        due += TICK
        left = TICK
        while left > 0:
            # At least once: a peer that is behind must still see what came.
            left = due - time.monotonic()
            for ready, _ in poll.poll(max(0.0, left)):
                number = number_of[ready]
                _, notes, _, _ = sockets[number].recvmsg_into([buffer], 64)
                at, nanoseconds = struct.unpack("qq", notes[0][2])
                came[number].append(at + nanoseconds * 1e-9)
    for opened in sockets:
        opened.close()
    skip = int(WARM_UP / TICK)
    gaps = np.concatenate([np.diff(times[skip:]) for times in came]) * 1000
    median, most, largest = np.percentile(gaps, [50, 99, 100])
    results.put((float(median), float(most), float(largest), float((gaps > 30).mean())))


def pin(core: int) -> None:
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[core]})


class Bare:
    """The receives and sends of the engine without anything between them."""

    def __init__(self, channels: int) -> None:
        self.sockets = [udp(OUR_PORTS + 2 * number) for number in range(channels)]
        self.ports = [OUR_PORTS + 2 * number for number in range(channels)]
        self.busy = 0.0
        self.ticks = 0
        self._poll = select.epoll()
        self._by_number = {opened.fileno(): opened for opened in self.sockets}
        for opened in self.sockets:
            self._poll.register(opened.fileno(), select.EPOLLIN)
        self._stopping = False
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._thread.join()
        for opened in self.sockets:
            opened.close()

    def _run(self) -> None:
        packet, buffer = bytearray(172), bytearray(2048)
        addresses = [(HOST, PEER_PORTS + 2 * number) for number in range(len(self.sockets))]
        due = time.monotonic()
        while not self._stopping:
            while ready := self._poll.poll(0):
                for number, _ in ready:
                    self._by_number[number].recvmsg_into([buffer], 64)
            for opened, address in zip(self.sockets, addresses, strict=True):
                opened.sendto(packet, address)
            self.ticks += 1
            self.busy = time.thread_time()
            due += TICK
            time.sleep(max(0.0, due - time.monotonic()))


def measure(
    ports: Sequence[int], seconds: float, read: Callable[[], tuple[float, int]]
) -> tuple[float, Gaps]:
    """(CPU milliseconds a tick after the warm-up, gaps) with a peer for these ports."""
    results: Queue[Gaps | None] = mp.Queue()
    process = mp.Process(target=peer, args=(ports, seconds, results))
    process.start()
    results.get()
    time.sleep(WARM_UP)
    busy, ticks = read()
    time.sleep(max(0.5, seconds - 2 * WARM_UP))
    busy_after, ticks_after = read()
    gaps = results.get(timeout=seconds + 60)
    process.join()
    if gaps is None:
        raise AssertionError("the peer says that it is ready only once")
    return (busy_after - busy) * 1000 / max(1, ticks_after - ticks), gaps


def bare(channels: int, seconds: float) -> tuple[float, Gaps]:
    loop = Bare(channels)
    loop.start()
    try:
        return measure(loop.ports, seconds, lambda: (loop.busy, loop.ticks))
    finally:
        loop.stop()


def engine(channels: int, seconds: float, mode: str) -> tuple[float, Gaps]:
    media = MediaEngine(
        address=HOST,
        ports=range(OUR_PORTS, OUR_PORTS + 2 * channels),
        clock=SystemClock(),
        random=random.Random(),
        call_soon=lambda callback: callback(),
    )
    opened = [media.open(Nobody()) for _ in range(channels)]
    sound = Sound(np.random.default_rng(2).normal(0, 3000, 30 * 8000).astype(np.int16))
    for number, channel in enumerate(opened):
        channel.configure(Stream(HOST, PEER_PORTS + 2 * number, Codec.PCMU, 0, 0, 101, 101))
        if mode == "play":
            channel.play(sound, repeat=True)
    if mode == "bridge":
        for a, b in zip(opened[::2], opened[1::2], strict=True):
            media.bridge(a, b)
    media.start()

    def read() -> tuple[float, int]:
        statistics = media.statistics()
        return statistics.busy_seconds, statistics.ticks

    try:
        result = measure([channel.local_port for channel in opened], seconds, read)
        statistics = media.statistics()
        print(
            f"  ticks {statistics.ticks}, late {statistics.ticks_late}, "
            f"skipped {statistics.ticks_skipped}, dropped {dict(statistics.packets_dropped)}"
        )
        return result
    finally:
        media.stop()


def show(name: str, cpu_ms: float, gaps: Gaps) -> None:
    median, most, largest, over = gaps
    print(
        f"{name:>7}: {cpu_ms:6.2f} ms CPU a tick; gaps median {median:.1f}, 99 % {most:.1f}, "
        f"largest {largest:.1f} ms, over 30 ms {over:.3%}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--channels", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--mode", choices=["play", "bridge", "idle"], default="play")
    arguments = parser.parse_args()
    files = 6 * arguments.channels + 100
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, max(files, 8192)))
    sys.setswitchinterval(0.0005)
    pin(0)
    floor, gaps = bare(arguments.channels, arguments.seconds)
    show("bare", floor, gaps)
    cpu, gaps = engine(arguments.channels, arguments.seconds, arguments.mode)
    show("engine", cpu, gaps)
    print(f"  ratio: {cpu / floor:.2f} of the bare socket calls")


if __name__ == "__main__":
    main()
