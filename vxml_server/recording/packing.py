"""From the spool's samples to the file that is kept: FLAC, WAV or Opus, encrypted or not.

The file is made when the conversation is over, from what is on disk, in pieces: neither its length
nor a crash on the way matters, for the samples stay in the spool. Nothing is ever written in the
clear when there is a key.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import soundfile

from vxml_server.audio import RATE
from vxml_server.recording.envelope import Keyring, SealedFile, Sealer
from vxml_server.recording.spool import Samples

Format = Literal["flac", "wav", "opus"]

SEALED_CHUNK = 1 << 16
"""Octets of a chunk of a file that is kept: what a range costs at most, twice, beyond itself."""
_LIBSNDFILE: dict[str, tuple[str, str]] = {
    "flac": ("FLAC", "PCM_16"),
    "wav": ("WAV", "PCM_16"),
    "opus": ("OGG", "OPUS"),
}
MEDIA_TYPES: dict[str, str] = {"flac": "audio/flac", "wav": "audio/wav", "opus": "audio/ogg"}
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Packed:
    """A file that is ready to be kept: `octets` of audio in `stored_octets` of file."""

    octets: int
    stored_octets: int
    checksum: str
    key_id: str
    seconds: float


def extension(form: str, key_id: str) -> str:
    """How the name of such a file ends."""
    return f".{form}.sealed" if key_id else f".{form}"


def pack(samples: Samples, path: Path, form: Format, keyring: Keyring) -> Packed:
    """Makes the file at `path`, anew, for our eyes only.

    Raises OSError, and `EnvelopeError` as the samples do.
    """
    path.unlink(missing_ok=True)
    path.touch(0o600)
    with path.open("r+b") as file:
        if keyring.first:
            sealed = SealedFile(file, Sealer(keyring, SEALED_CHUNK))
            frames = _encode(samples, sealed, form)
            sealed.close()
            octets = sealed.length
        else:
            frames = _encode(samples, file, form)
            octets = file.seek(0, os.SEEK_END)
        file.flush()
        os.fsync(file.fileno())
        stored, checksum = digest(file)
    return Packed(octets, stored, checksum, keyring.first, frames / RATE)


def digest(file: BinaryIO) -> tuple[int, str]:
    """Length and SHA-256 of an open file."""
    summed = hashlib.sha256()
    length = 0
    file.seek(0)
    while piece := file.read(_PIECE):
        summed.update(piece)
        length += len(piece)
    return length, summed.hexdigest()


def _encode(samples: Samples, file: SealedFile | BinaryIO, form: Format) -> int:
    """Samples of each channel that were encoded."""
    kind, coding = _LIBSNDFILE[form]
    frames = 0
    try:
        channels = samples.channels
        with soundfile.SoundFile(file, "w", RATE, channels, coding, format=kind) as sound:
            for piece in samples.pieces:
                block = np.frombuffer(piece, "<i2").reshape(-1, channels)
                sound.write(block)
                frames += len(block)
    except soundfile.SoundFileError as error:
        raise OSError(f"the audio cannot be encoded: {error}") from error
    return frames
