"""Audio files as they come from a bad disk, a bad network, or somebody who means it."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from functools import lru_cache
from random import Random

import numpy as np
import soundfile

from vxml_server.audio import encode_alaw, encode_ulaw

_CONTAINERS = (
    ("WAV", "PCM_16"), ("WAV", "PCM_U8"), ("WAV", "PCM_24"), ("WAV", "FLOAT"), ("WAV", "ULAW"),
    ("WAV", "ALAW"), ("WAV", "IMA_ADPCM"), ("WAV", "GSM610"), ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"), ("AU", "ULAW"),
    ("AIFF", "PCM_16"),
)  # fmt: skip
_TYPES = {
    "WAV": "audio/x-wav",
    "FLAC": "audio/flac",
    "OGG": "audio/ogg",
    "MP3": "audio/mpeg",
    "AU": "audio/basic",
    "AIFF": "audio/aiff",
}
# What a field of a header may be set to: nothing, all of it, a sign, powers, near them.
_NUMBERS = (
    *(0, 1, 2, 3, 7, 8, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000),
    *(0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFF, 384_001, 4_000_000_000),
)
_GARBAGE = (
    b"\x00" * 64,
    b"\xff" * 64,
    b"RIFF",
    b"OggS",
    b"fLaC",
    b"data\xff\xff\xff\xff",
    b"<html>",
)


@dataclass(frozen=True, slots=True)
class File:
    kind: str
    data: bytes
    media_type: str


@lru_cache(maxsize=1)
def seeds() -> tuple[File, ...]:
    """A second of sound in every container and coding that is read."""
    time = np.arange(8000) / 8000
    sound = (np.sin(2 * np.pi * 440 * time) * np.sin(2 * np.pi * 3 * time) * 12000).astype(np.int16)
    files = []
    for container, coding in _CONTAINERS:
        buffer = io.BytesIO()
        soundfile.write(buffer, sound, 8000, format=container, subtype=coding)
        files.append(File(f"{container} {coding}", buffer.getvalue(), _TYPES[container]))
    return (
        *files,
        File("mu-law", encode_ulaw(sound).tobytes(), "audio/basic"),
        File("A-law", encode_alaw(sound).tobytes(), "audio/x-alaw-basic"),
        File("L16", sound.astype(">i2").tobytes(), "audio/L16;rate=8000"),
    )


def damaged(random: Random) -> File:
    seed = random.choice(seeds())
    data = seed.data
    for _ in range(random.choice((1, 1, 2, 4))):
        data = random.choice(_DAMAGES)(data, random)
    media_type = seed.media_type
    if random.random() < 0.2:
        media_type = random.choice(
            ("", "text/html", "audio/L16;rate=99999999;channels=300", "audio/x-wav", "audio/mpeg")
        )
    return File(seed.kind, data, media_type)


def _cut(data: bytes, random: Random) -> bytes:
    return data[: random.choice((random.randint(0, 64), random.randint(0, len(data))))]


def _headless(data: bytes, random: Random) -> bytes:
    return data[random.randint(0, min(100, len(data))) :]


def _flip(data: bytes, random: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(min(len(changed), random.choice((1, 5, 200)))):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _claim(data: bytes, random: Random) -> bytes:
    """Another number somewhere in the header: sizes of 4 GB, rates, channels, block lengths."""
    if len(data) < 64:
        return data
    at = random.randint(4, 60)
    layout = random.choice(("<I", ">I", "<H", ">H"))
    number = random.choice(_NUMBERS) & (0xFFFF if layout[1] == "H" else 0xFFFFFFFF)
    written = struct.pack(layout, number)
    return data[:at] + written + data[at + len(written) :]


def _erase(data: bytes, random: Random) -> bytes:
    at = random.randint(0, len(data))
    end = min(len(data), at + random.choice((4, 100, 3000)))
    return data[:at] + bytes(end - at) + data[end:]


def _stuff(data: bytes, random: Random) -> bytes:
    at = random.randint(0, min(len(data), random.choice((64, 100_000))))
    return data[:at] + random.choice(_GARBAGE) * random.choice((1, 3, 50)) + data[at:]


def _chain(data: bytes, random: Random) -> bytes:
    """One file behind another: what Ogg allows, and nobody else expects."""
    other = random.choice((data, random.choice(seeds()).data))
    return (data + other) * random.choice((1, 1, 8))


def _shuffle(data: bytes, random: Random) -> bytes:
    size = random.choice((16, 64, 512))
    blocks = [data[at : at + size] for at in range(0, len(data), size)]
    random.shuffle(blocks)
    return b"".join(blocks)


_DAMAGES = (
    _cut,
    _cut,
    _headless,
    _flip,
    _flip,
    _claim,
    _claim,
    _claim,
    _erase,
    _stuff,
    _chain,
    _shuffle,
)
