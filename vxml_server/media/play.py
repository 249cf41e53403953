"""What a channel plays: sounds, playbacks in a queue, and how far each got.

The rule: samples leave the queue in the order of `append`, without a gap between two playbacks, and
every playback that was appended is told ended exactly once.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vxml_server.audio import decode_alaw, decode_ulaw, encode_alaw, encode_ulaw
from vxml_server.media.stream import FRAME, SAMPLE_RATE, Codec

DECODE = {Codec.PCMU: decode_ulaw, Codec.PCMA: decode_alaw}
ENCODE = {Codec.PCMU: encode_ulaw, Codec.PCMA: encode_alaw}
SILENCE = {codec: encode(np.zeros(FRAME, np.int16)).tobytes() for codec, encode in ENCODE.items()}
"""A frame of silence in each code."""

FIRST_ROOM = 4 * SAMPLE_RATE
"""Samples there is room for in a sound that grows; the room doubles when it is full."""

_ids = itertools.count(1)


class Sound:
    """Linear audio, 8 kHz, and its G.711 forms, which are made once and kept.

    Shared freely between channels and threads: a prompt cache keeps `Sound`s.
    """

    __slots__ = ("_encoded", "pcm")

    def __init__(self, pcm: NDArray[np.int16] | Sequence[int]) -> None:
        """`pcm` is one-dimensional, 16 bit, and must not change any more; else ValueError."""
        self.pcm: NDArray[np.int16] = _samples(pcm)
        self._encoded: dict[Codec, bytes] = {}

    def __len__(self) -> int:
        """Samples."""
        return len(self.pcm)

    @property
    def is_complete(self) -> bool:
        """Whether nothing is added any more; read it before the length."""
        return True

    @property
    def seconds(self) -> float:
        return len(self) / SAMPLE_RATE

    def prepare(self, codec: Codec) -> None:
        """Encodes what is there, so that the media thread only copies.

        Two threads that do so at once do the work twice, with one result.
        """
        self._octets(codec)

    def octets(self, codec: Codec, start: int, end: int) -> bytes | memoryview:
        """Samples `start` to `end`, encoded: one octet a sample."""
        return memoryview(self._octets(codec))[start:end]

    def samples(self, start: int, end: int) -> NDArray[np.int16]:
        """Samples `start` to `end`."""
        return self.pcm[start:end]

    def _octets(self, codec: Codec) -> bytes:
        octets = self._encoded.get(codec)
        if octets is None:
            octets = self._encoded[codec] = ENCODE[codec](self.pcm).tobytes()
        return octets


class GrowingSound(Sound):
    """A sound that is still being made: `append`, then `finish` once, on the loop's thread.

    It is played meanwhile; where the player has overtaken the maker there is silence. The rule: the
    media thread never waits and never sees a sample that is not written yet. So what is there is
    never moved, only copied to a larger place, and the length is told last.
    """

    __slots__ = ("_codes", "_is_complete", "_length")

    def __init__(self, pcm: NDArray[np.int16] | Sequence[int] = ()) -> None:
        super().__init__(np.zeros(FIRST_ROOM, np.int16))
        self._codes: dict[Codec, NDArray[np.uint8]] = {}
        self._length = 0
        self._is_complete = False
        self.append(pcm)

    def __len__(self) -> int:
        """Samples so far."""
        return self._length

    @property
    def is_complete(self) -> bool:
        return self._is_complete

    def append(self, pcm: NDArray[np.int16] | Sequence[int]) -> None:
        """Adds samples, in all the codes that are wanted so far. ValueError after `finish`."""
        if self._is_complete:
            raise ValueError("the sound is finished")
        samples = _samples(pcm)
        end = self._length + len(samples)
        if end > len(self.pcm):
            room = max(end, 2 * len(self.pcm))
            self.pcm = _with_room(self.pcm, self._length, room)
            for codec, codes in self._codes.items():
                self._codes[codec] = _with_room(codes, self._length, room)
        self.pcm[self._length : end] = samples
        for codec, codes in self._codes.items():
            codes[self._length : end] = ENCODE[codec](samples)
        self._length = end

    def finish(self) -> None:
        """Nothing is added any more; twice is harmless."""
        self._is_complete = True

    def prepare(self, codec: Codec) -> None:
        if codec not in self._codes:
            codes = np.zeros(len(self.pcm), np.uint8)
            codes[: self._length] = ENCODE[codec](self.pcm[: self._length])
            self._codes[codec] = codes

    def octets(self, codec: Codec, start: int, end: int) -> bytes | memoryview:
        codes = self._codes.get(codec)
        if codes is None:  # the far end has changed its mind; preparing is the loop's business
            return ENCODE[codec](self.pcm[start:end]).tobytes()
        return codes.data[start:end]


def _samples(pcm: NDArray[np.int16] | Sequence[int]) -> NDArray[np.int16]:
    samples = np.ascontiguousarray(pcm, np.int16)
    if samples.ndim != 1:
        raise ValueError(f"a sound has one dimension, not {samples.ndim}")
    return samples


Values = TypeVar("Values", np.int16, np.uint8)


def _with_room(values: NDArray[Values], length: int, room: int) -> NDArray[Values]:
    """The first `length` values in an array of `room`. The old one stays with who reads it."""
    larger = np.zeros(room, values.dtype)
    larger[:length] = values[:length]
    return larger


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


class _Turn:
    """A playback in the queue, and how far it is."""

    __slots__ = ("place", "playback", "played")

    def __init__(self, playback: Playback) -> None:
        self.playback = playback
        self.place = 0  # the next sample of its sound
        self.played = 0  # samples taken of it, repetitions included


class PlayQueue:
    """Playbacks in a row, taken out frame by frame, in the media thread."""

    __slots__ = ("_last", "_waiting", "ended", "underruns")

    def __init__(self) -> None:
        self._waiting: deque[_Turn] = deque()  # the first is the one that sounds
        self._last: Ended | None = None  # the last that sounded and is over
        self.ended: list[Ended] = []
        """What is over; who takes frames also takes these away."""
        self.underruns = 0
        """Frames with silence in them because a sound had not been made in time."""

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def current(self) -> Playback | None:
        return self._waiting[0].playback if self._waiting else None

    def progress(self, playback: Playback) -> int:
        """Samples taken so far of a playback that does not repeat. From any thread.

        What is over is noted before it leaves the queue, so it is always found in one place.
        """
        try:
            turn = self._waiting[0]
        except IndexError:
            pass
        else:
            if turn.playback is playback:
                return turn.played
        last = self._last
        if last is None or playback.id > last.playback.id:
            return 0
        return last.samples_played if playback is last.playback else len(playback.sound)

    def append(self, playback: Playback) -> None:
        """An empty sound ends when its turn comes, which may be now."""
        if self._waiting or not _is_over(playback.sound):
            self._waiting.append(_Turn(playback))
        else:
            self.ended.append(Ended(playback, 0, finished=True))

    def take(self, codec: Codec) -> bytes | memoryview:
        """The next frame, encoded; silence after the last sample."""
        frame = self._whole()
        if frame is not None:
            sound, start = frame
            return sound.octets(codec, start, start + FRAME)
        octets = b"".join(
            sound.octets(codec, start, end) for sound, start, end in self._pieces(FRAME)
        )
        return octets + SILENCE[codec][len(octets) :]

    def take_linear(self) -> NDArray[np.int16]:
        """The next frame as samples, zeros after the last one."""
        samples = np.zeros(FRAME, np.int16)
        filled = 0
        for sound, start, end in self._pieces(FRAME):
            samples[filled : filled + end - start] = sound.samples(start, end)
            filled += end - start
        return samples

    def stop(self, unsent: int = 0) -> None:
        """Ends everything. `unsent` samples were taken last, and thrown away before they left."""
        for number, turn in enumerate(self._waiting):
            played = max(0, turn.played - unsent) if number == 0 else 0
            ended = Ended(turn.playback, played, finished=False)
            self._last = ended if number == 0 else self._last
            self.ended.append(ended)
        self._waiting.clear()

    def _whole(self) -> tuple[Sound, int] | None:
        """(sound, place) if the next frame lies in one sound and does not end it."""
        if not self._waiting:
            return None
        turn = self._waiting[0]
        sound, start = turn.playback.sound, turn.place
        if start + FRAME >= len(sound):
            return None
        turn.place = start + FRAME
        turn.played += FRAME
        return sound, start

    def _pieces(self, wanted: int) -> list[tuple[Sound, int, int]]:
        """(sound, start, end) of up to `wanted` samples, through the ends of sounds."""
        pieces = []
        while wanted and self._waiting:
            turn = self._waiting[0]
            sound, start = turn.playback.sound, turn.place
            is_complete = sound.is_complete
            length = len(sound)
            end = min(length, start + wanted)
            if end > start:
                pieces.append((sound, start, end))
                wanted -= end - start
                turn.place = end
                turn.played += end - start
            if end == length and is_complete:
                self._next()
            elif wanted:
                # Its maker is behind: what is missing is silence, and nothing is left out.
                self.underruns += 1
                break
        return pieces

    def _next(self) -> None:
        """The sound that sounds is at its end: once more, or on to the next that is not empty."""
        turn = self._waiting[0]
        turn.place = 0
        if turn.playback.repeat and len(turn.playback.sound):
            return
        while self._waiting:
            turn = self._waiting[0]
            self._last = Ended(turn.playback, turn.played, finished=True)
            self.ended.append(self._last)
            self._waiting.popleft()
            if self._waiting and not _is_over(self._waiting[0].playback.sound):
                break


def _is_over(sound: Sound) -> bool:
    """Whether nothing comes of a sound at all."""
    return sound.is_complete and not len(sound)
