"""What a caller's phone sends, as a pcap file that SIPp plays: talk, keys, in one RTP stream.

A `Script` is what the caller does: a number is so many seconds of silence, a string is keys pressed
one after the other, samples are said. The stream never pauses, as a phone's does not.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.integration import audio

Script = tuple[float | str | audio.Samples, ...]

KEY_SECONDS = 0.1
PAUSE_SECONDS = 0.1
EVENT_CODES = "0123456789*#ABCD"
"""Position is the event code (RFC 4733 table 3)."""


@dataclass(slots=True)
class CallerAudio:
    """An RTP stream in the making. `write` makes the file."""

    payload_type: int = audio.PCMU
    event_type: int = 101
    samples_per_packet: int = 160
    packets: list[tuple[float, bytes]] = field(default_factory=list)
    """Seconds after the start, and the RTP packet."""
    _clock: int = 0

    def say(self, samples: audio.Samples) -> CallerAudio:
        """Sound, cut into packets; the last is filled up with silence."""
        size = self.samples_per_packet
        samples = np.concatenate([samples, np.zeros(-len(samples) % size, np.int16)])
        for start in range(0, len(samples), size):
            payload = audio.encode(samples[start : start + size], self.payload_type)
            self._send(self.payload_type, False, self._clock, payload)
            self._clock += size
        return self

    def press(self, key: str) -> CallerAudio:
        """A key as a telephone event (RFC 4733 section 2.5), its end sent three times."""
        start, code = self._clock, EVENT_CODES.index(key)
        size, length = self.samples_per_packet, round(KEY_SECONDS * audio.RATE)
        for duration in range(size, length, size):
            event = struct.pack("!BBH", code, 10, duration)
            self._send(self.event_type, duration == size, start, event)
            self._clock += size
        for _ in range(3):
            self._send(self.event_type, False, start, struct.pack("!BBH", code, 0x8A, length))
        self._clock = start + -(-length // size) * size
        return self

    def write(self, path: Path) -> None:
        """A pcap file of Ethernet frames; SIPp puts in its own addresses and ports."""
        with path.open("wb") as file:
            file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
            for at, packet in self.packets:
                frame = _frame(packet)
                microseconds = round(at * 1e6)
                seconds, rest = divmod(microseconds, 1_000_000)
                file.write(struct.pack("<IIII", seconds, rest, len(frame), len(frame)) + frame)

    def _send(self, payload_type: int, marker: bool, timestamp: int, payload: bytes) -> None:
        header = struct.pack(
            "!BBHII",
            0x80,
            payload_type | marker << 7,
            (40000 + len(self.packets)) & 0xFFFF,
            (3_000_000_000 + timestamp) & 0xFFFFFFFF,
            0x5EED5EED,
        )
        self.packets.append((self._clock / audio.RATE, header + payload))


def _frame(packet: bytes) -> bytes:
    udp = struct.pack("!HHHH", 6000, 6000, 8 + len(packet), 0) + packet
    address = bytes((127, 0, 0, 1))
    size = 20 + len(udp)
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, size, 0, 0, 64, 17, 0, address, address)
    return bytes(12) + b"\x08\x00" + ip + udp


def as_events(script: Script, stream: CallerAudio | None = None) -> CallerAudio:
    """The script with keys as telephone events between packets of sound."""
    return _perform(script, stream or CallerAudio(), CallerAudio.press)


def as_tones(script: Script, stream: CallerAudio | None = None) -> CallerAudio:
    """The script with keys as tone pairs in the sound."""
    return _perform(
        script,
        stream or CallerAudio(),
        lambda stream, key: stream.say(audio.key_tones(key, KEY_SECONDS)),
    )


def _perform(
    script: Script, stream: CallerAudio, press: Callable[[CallerAudio, str], CallerAudio]
) -> CallerAudio:
    for part in script:
        if isinstance(part, str):
            for key in part:
                press(stream, key).say(audio.silence(PAUSE_SECONDS))
        else:
            stream.say(audio.silence(part) if isinstance(part, float) else part)
    return stream
