"""Audio files as a document names them, decoded to what a channel plays: int16, mono, 8 kHz.

VoiceXML 2.0 appendix E requires headerless mu-law and A-law at 8 kHz and WAV (RIFF) with either;
everything else that authors send is read as libsndfile allows. The content decides what a file is,
and the media type only where the content cannot say: servers call a Sun file `audio/basic` and a
WAV `application/octet-stream`, and headerless samples look like nothing at all.

Files are untrusted: whatever is wrong with one ends in `error.badfetch` (the audio is damaged, or
larger than allowed) or `error.unsupported.format` (it is something this room does not read). Memory
is bounded by `max_duration`, not by what a header promises: files are read in blocks.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import Message
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import soundfile

from vxml_server.audio.g711 import decode_alaw, decode_ulaw, encode_alaw, encode_ulaw
from vxml_server.audio.resample import Resampler, to_float
from vxml_server.events import VoiceXmlEvent

RATE = 8000
MAX_DURATION = 3600.0  # seconds; 58 MB as int16
MAX_CHANNELS = 16
MIN_FILE_RATE = 1000
MAX_FILE_RATE = 384_000
BLOCK_FRAMES = 16_384

Samples = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True, eq=False)
class Audio:
    """Mono samples: `pcm` int16 [n], not to be written to, at `rate` Hz."""

    pcm: Samples
    rate: int = RATE

    def __post_init__(self) -> None:
        self.pcm.setflags(write=False)

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.pcm) / self.rate


def decode(data: bytes, media_type: str = "", *, max_duration: float = MAX_DURATION) -> Audio:
    """The audio of a file's bytes, mixed to mono and resampled to 8 kHz.

    `media_type` is the Content-Type the bytes came with, parameters included; it is needed only for
    headerless samples. Raises `VoiceXmlEvent`: `error.unsupported.format` for what is no audio this
    room reads, `error.badfetch` for damaged or empty audio and for more than `max_duration` s.
    """
    kind, parameters = _parse_media_type(media_type)
    if not data:
        raise VoiceXmlEvent("error.badfetch", "the audio file is empty")
    if _has_magic(data):
        return _decode_file(data, max_duration)
    if raw := _HEADERLESS.get(kind):
        return _collect(*raw(data, parameters), max_duration)
    if _is_mpeg(data):
        return _decode_file(data, max_duration)
    if kind in _FILE_TYPES:
        raise VoiceXmlEvent("error.badfetch", f"the file is not the {kind} it is said to be")
    said = f" ({kind})" if kind else ""
    raise VoiceXmlEvent("error.unsupported.format", f"the file is no audio known here{said}")


def encode_wav(pcm: Samples, rate: int = RATE) -> bytes:
    """A WAV file of 16-bit PCM; mono [n] or [n, channels] samples."""
    buffer = io.BytesIO()
    soundfile.write(buffer, pcm, rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def encode(pcm: Samples, media_type: str) -> bytes:
    """Samples at 8 kHz as a file of one of the types that VoiceXML 2.0 appendix E requires.

    `audio/x-wav` is mu-law in a RIFF; raises `error.unsupported.format` for any other type.
    """
    if media_type in {"audio/x-wav", "audio/wav"}:
        buffer = io.BytesIO()
        soundfile.write(buffer, pcm, RATE, format="WAV", subtype="ULAW")
        return buffer.getvalue()
    if media_type == "audio/basic":
        return encode_ulaw(pcm).tobytes()
    if media_type == "audio/x-alaw-basic":
        return encode_alaw(pcm).tobytes()
    raise VoiceXmlEvent("error.unsupported.format", f"no audio is written as {media_type!r}")


def _parse_media_type(media_type: str) -> tuple[str, dict[str, str]]:
    if not media_type.strip():
        return "", {}
    message = Message()
    message["Content-Type"] = " ".join(media_type.split())
    try:
        parameters = {str(name).lower(): str(value) for name, value in message.get_params([])[1:]}
    except Exception:  # of parameters that are none the standard library raises whatever comes
        parameters = {}
    return message.get_content_type().lower(), parameters


def _has_magic(data: bytes) -> bool:
    """Whether the first bytes name a container that is read here."""
    return (
        (data[:4] in {b"RIFF", b"RIFX", b"RF64"} and data[8:12] == b"WAVE")
        or (data[:4] == b"FORM" and data[8:12] in {b"AIFF", b"AIFC"})
        or data[:4] in {b".snd", b"dns.", b"fLaC", b"OggS"}
        or data[:3] == b"ID3"
    )


def _is_mpeg(data: bytes) -> bool:
    """Whether `data` begins with an MPEG audio frame header (ISO 11172-3 section 2.4.1.3).

    Eleven bits and a few impossible values make a weak sign, so headerless types are asked first.
    """
    if len(data) < 4 or data[0] != 0xFF or data[1] & 0xE0 != 0xE0:
        return False
    layer, bit_rate, rate = data[1] >> 1 & 3, data[2] >> 4, data[2] >> 2 & 3
    return layer != 0 and bit_rate != 15 and rate != 3


Blocks = Iterator[npt.NDArray[np.float32]]


class _Bytes(io.BytesIO):
    """A damaged file makes libsndfile seek before its beginning, and a callback must not raise."""

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        origin = {io.SEEK_CUR: self.tell(), io.SEEK_END: self.getbuffer().nbytes}.get(whence, 0)
        return super().seek(max(0, origin + offset))


def _decode_file(data: bytes, max_duration: float) -> Audio:
    try:
        with soundfile.SoundFile(_Bytes(data)) as file:
            return _collect(_read_blocks(file), file.samplerate, file.channels, max_duration)
    except (soundfile.SoundFileError, RuntimeError, ValueError, TypeError) as error:
        raise VoiceXmlEvent("error.badfetch", f"the audio file is damaged: {error}") from error


def _read_blocks(file: soundfile.SoundFile) -> Blocks:
    """Blocks [frames, channels] until the file gives no more."""
    while len(block := file.read(BLOCK_FRAMES, dtype="float32", always_2d=True)):
        yield block


def _collect(blocks: Blocks, rate: int, channels: int, max_duration: float) -> Audio:
    """Blocks of float32 [frames, channels] mixed, resampled and joined."""
    if not MIN_FILE_RATE <= rate <= MAX_FILE_RATE or not 1 <= channels <= MAX_CHANNELS:
        raise VoiceXmlEvent(
            "error.unsupported.format", f"{channels} channels at {rate} Hz are not supported"
        )
    resampler = Resampler(rate, RATE)
    limit = round(max_duration * RATE)
    parts: list[Samples] = []
    total = 0
    for block in blocks:
        bounded = np.clip(np.nan_to_num(block), -1.0, 1.0)
        parts.append(resampler.feed(bounded.mean(axis=1, dtype=np.float32)))
        total += len(parts[-1])
        if total > limit:
            raise VoiceXmlEvent(
                "error.badfetch", f"the audio lasts longer than the {max_duration:g} s allowed"
            )
    parts.append(resampler.finish())
    pcm = np.concatenate(parts)
    if not len(pcm):
        raise VoiceXmlEvent("error.badfetch", "the audio file holds no samples")
    return Audio(pcm)


# Headerless samples: (bytes, parameters of the media type) -> blocks, rate, channels.
Raw = tuple[Blocks, int, int]
Value = TypeVar("Value", bound=np.generic)


def _number(parameters: dict[str, str], name: str, default: int) -> int:
    value = parameters.get(name, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 8 else default


def _raw_g711(table: Callable[[npt.NDArray[np.uint8]], Samples]) -> Callable[..., Raw]:
    def read(data: bytes, parameters: dict[str, str]) -> Raw:
        rate = _number(parameters, "rate", RATE)
        channels = max(1, _number(parameters, "channels", 1))
        codes = np.frombuffer(data, np.uint8)
        return _cut(codes, channels, table), rate, channels

    return read


def _raw_l16(data: bytes, parameters: dict[str, str]) -> Raw:
    """RFC 2586: 16 bits, network byte order, the rate is a required parameter."""
    rate = _number(parameters, "rate", RATE)
    channels = max(1, _number(parameters, "channels", 1))
    samples = np.frombuffer(data[: len(data) // 2 * 2], ">i2")
    return _cut(samples, channels, lambda part: part.astype(np.int16)), rate, channels


def _cut(
    values: npt.NDArray[Value],
    channels: int,
    to_samples: Callable[[npt.NDArray[Value]], Samples],
) -> Blocks:
    frames = values[: len(values) // channels * channels].reshape(-1, channels)
    for start in range(0, len(frames), BLOCK_FRAMES):
        yield to_float(to_samples(frames[start : start + BLOCK_FRAMES]))


_HEADERLESS: dict[str, Callable[[bytes, dict[str, str]], Raw]] = {
    "audio/basic": _raw_g711(decode_ulaw),
    "audio/pcmu": _raw_g711(decode_ulaw),
    "audio/x-mulaw": _raw_g711(decode_ulaw),
    "audio/x-alaw-basic": _raw_g711(decode_alaw),
    "audio/pcma": _raw_g711(decode_alaw),
    "audio/x-alaw": _raw_g711(decode_alaw),
    "audio/l16": _raw_l16,
}

# Types whose files carry their own name: content without it is damaged, not unsupported.
_FILE_TYPES = frozenset(
    {
        *("audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"),
        *("audio/aiff", "audio/x-aiff", "audio/x-au", "audio/flac", "audio/x-flac"),
        *("audio/ogg", "audio/opus", "audio/mpeg", "audio/mp3", "audio/x-mp3", "audio/mpeg3"),
    }
)
