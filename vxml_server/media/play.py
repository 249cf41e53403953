"""What a channel plays: sounds, playbacks in a queue, and how far each got.

The rule: samples leave the queue in the order of `append`, without a gap between two playbacks, and
every playback that was appended is told ended exactly once.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vxml_server.audio import decode_alaw, decode_ulaw, encode_alaw, encode_ulaw
from vxml_server.media.stream import FRAME, SAMPLE_RATE, Codec

DECODE = {Codec.PCMU: decode_ulaw, Codec.PCMA: decode_alaw}
ENCODE = {Codec.PCMU: encode_ulaw, Codec.PCMA: encode_alaw}
SILENCE = {codec: encode(np.zeros(FRAME, np.int16)).tobytes() for codec, encode in ENCODE.items()}
"""A frame of silence in each code."""

_ids = itertools.count(1)


class Sound:
    """Linear audio, 8 kHz, and its G.711 forms, which are made once and kept.

    Shared freely between channels and threads: a prompt cache keeps `Sound`s.
    """

    __slots__ = ("_encoded", "pcm")

    def __init__(self, pcm: NDArray[np.int16] | Sequence[int]) -> None:
        """`pcm` is one-dimensional, 16 bit, and must not change any more; else ValueError."""
        samples = np.ascontiguousarray(pcm, np.int16)
        if samples.ndim != 1:
            raise ValueError(f"a sound has one dimension, not {samples.ndim}")
        self.pcm: NDArray[np.int16] = samples
        self._encoded: dict[Codec, bytes] = {}

    def __len__(self) -> int:
        """Samples."""
        return len(self.pcm)

    @property
    def seconds(self) -> float:
        return len(self.pcm) / SAMPLE_RATE

    def encoded(self, codec: Codec) -> bytes:
        """One octet a sample. Two threads that ask at once do the work twice, with one result."""
        octets = self._encoded.get(codec)
        if octets is None:
            octets = self._encoded[codec] = ENCODE[codec](self.pcm).tobytes()
        return octets


@dataclass(frozen=True, slots=True, eq=False)
class Playback:
    """One call of `Channel.play`: compared by identity; `id` is unique in the process."""

    sound: Sound
    repeat: bool = False
    stop_on_key: bool = False
    stop_on_speech: bool = False
    id: int = field(default_factory=lambda: next(_ids))


@dataclass(frozen=True, slots=True)
class Ended:
    """A playback that is over; `ChannelListener.playback_ended` has the same words."""

    playback: Playback
    samples_played: int
    finished: bool


class PlayQueue:
    """Playbacks in a row, taken out frame by frame, in the media thread."""

    __slots__ = ("_place", "_played", "_waiting", "ended")

    def __init__(self) -> None:
        self._waiting: deque[Playback] = deque()  # the first is the one that sounds
        self._place = 0  # the next sample of the first one's sound
        self._played = 0  # samples taken of the first one, repetitions included
        self.ended: list[Ended] = []
        """What is over; who takes frames also takes these away."""

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def current(self) -> Playback | None:
        return self._waiting[0] if self._waiting else None

    def append(self, playback: Playback) -> None:
        """An empty sound ends when its turn comes, which may be now."""
        if len(playback.sound) or self._waiting:
            self._waiting.append(playback)
        else:
            self.ended.append(Ended(playback, 0, finished=True))

    def take(self, codec: Codec) -> bytes | memoryview:
        """The next frame, encoded; silence after the last sample."""
        frame = self._whole()
        if frame is not None:
            sound, start = frame
            return memoryview(sound.encoded(codec))[start : start + FRAME]
        octets = b"".join(
            sound.encoded(codec)[start:end] for sound, start, end in self._pieces(FRAME)
        )
        return octets + SILENCE[codec][len(octets) :]

    def take_linear(self) -> NDArray[np.int16]:
        """The next frame as samples, zeros after the last one."""
        samples = np.zeros(FRAME, np.int16)
        filled = 0
        for sound, start, end in self._pieces(FRAME):
            samples[filled : filled + end - start] = sound.pcm[start:end]
            filled += end - start
        return samples

    def stop(self, unsent: int = 0) -> None:
        """Ends everything. `unsent` samples were taken last, and thrown away before they left."""
        for number, playback in enumerate(self._waiting):
            played = max(0, self._played - unsent) if number == 0 else 0
            self.ended.append(Ended(playback, played, finished=False))
        self._waiting.clear()
        self._place = self._played = 0

    def _whole(self) -> tuple[Sound, int] | None:
        """(sound, place) if the next frame lies in one sound and does not end it."""
        if not self._waiting:
            return None
        sound, start = self._waiting[0].sound, self._place
        if start + FRAME >= len(sound):
            return None
        self._place = start + FRAME
        self._played += FRAME
        return sound, start

    def _pieces(self, wanted: int) -> list[tuple[Sound, int, int]]:
        """(sound, start, end) of up to `wanted` samples, through the ends of sounds."""
        pieces = []
        while wanted and self._waiting:
            sound, start = self._waiting[0].sound, self._place
            end = min(len(sound), start + wanted)
            pieces.append((sound, start, end))
            wanted -= end - start
            self._place = end
            self._played += end - start
            if end == len(sound):
                self._next()
        return pieces

    def _next(self) -> None:
        """The sound that sounds is at its end: once more, or on to the next that is not empty."""
        self._place = 0
        if self._waiting[0].repeat:
            return
        while self._waiting:
            playback = self._waiting.popleft()
            self.ended.append(Ended(playback, self._played, finished=True))
            self._played = 0
            if self._waiting and len(self._waiting[0].sound):
                break
