"""The conditions of `bench/dtmf.py`: what is sent, how the line spoils it, and what is asked.

Every condition sends strings of random keys on many channels, each with its own phases and its own
place within the frame of 20 ms, through G.711. What is asked of *heard* keys is the share that
arrived, by edit distance: a key that is missing, wrong or too many is one error. What is asked of
*accepted* ones is how many were heard at all of those that are none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np
import numpy.typing as npt

from vxml_server.audio import decode_alaw, decode_ulaw, encode_alaw, encode_ulaw
from vxml_server.dtmf import KEYS, tone

FRAME = 160
RATE = 8000
LAST_PAUSE = 1600  # samples
FULL_SCALE = 32768
OVERLOAD_DBM0 = 3.17

Floats = npt.NDArray[np.float64]
Change = Callable[[np.random.Generator, Floats], Floats]
Number = float | Callable[[np.random.Generator], float]
Lines = list[Floats]


@dataclass(frozen=True)
class Trial:
    """`samples` int16 [n, frames * 160], what was `sent` on each, and which frames are `lost`."""

    samples: npt.NDArray[np.int16]
    sent: list[str]
    lost: npt.NDArray[np.bool_] | None = None  # [n, frames]
    reported: bool = True  # that they are


@dataclass(frozen=True)
class Digits:
    """What is dialled: a number, or how to draw one for every key."""

    on: Number = 100  # ms
    off: Number = 100
    level: Number = -10  # dBm0 of the louder tone
    twist: Number = 0  # dB of the high tone above the low one
    deviation: Number = 0  # of the low tone; of the high one too unless that is given
    deviation_high: Number | None = None
    offset: Number = 0  # Hz
    hole: float = 0  # ms of silence somewhere within the tone
    noise: Number | None = None  # dB under the power of both tones, during key and pause
    count: int = 5  # keys a string

    def lines(self, random: np.random.Generator, n: int) -> tuple[Lines, list[str], list[int]]:
        """(samples, keys, start of the first key) of `n` strings."""
        lines, sent, starts = [], [], []
        for _ in range(n):
            keys = "".join(random.choice(list(KEYS), self.count))
            start = int(random.integers(400, 560))
            parts = [np.zeros(start)]
            for key in keys:
                samples = self._tone(key, random)
                pause = np.zeros(_samples(_draw(self.off, random)))
                spoilt = np.concatenate((samples, pause))
                if self.noise is not None:
                    below = 10 ** (-_draw(self.noise, random) / 20)
                    spoilt += random.normal(0, samples.std() * below, len(spoilt))
                parts.append(spoilt)
            lines.append(np.concatenate((*parts, np.zeros(LAST_PAUSE))))
            sent.append(keys)
            starts.append(start)
        return lines, sent, starts

    def _tone(self, key: str, random: np.random.Generator) -> Floats:
        twist = _draw(self.twist, random)
        low = _draw(self.deviation, random)
        high = low if self.deviation_high is None else _draw(self.deviation_high, random)
        samples = tone(
            key,
            _draw(self.on, random),
            _draw(self.level, random) - max(twist, 0),
            twist,
            deviation=(low, high),
            offset_hz=_draw(self.offset, random),
            phases=(random.uniform(0, 2 * math.pi), random.uniform(0, 2 * math.pi)),
        ).astype(float)
        if self.hole:
            length = _samples(self.hole)
            start = random.integers(160, len(samples) - 160 - length)
            samples[start : start + length] = 0
        return samples


@dataclass(frozen=True)
class Condition:
    """`target`: at least so many percent heard; with `accepts`, at most so many accepted.

    A target of None asks for no less than the other detector hears.
    """

    group: str
    name: str
    target: float | None
    digits: Digits = field(default_factory=Digits)
    change: Change | None = None
    accepts: bool = False
    law: str = "u"
    loss: float = 0  # of the frames; 1: one frame within every digit
    reported: bool = True

    def trial(self, random: np.random.Generator, n: int) -> Trial:
        lines, sent, starts = self.digits.lines(random, n)
        frames = max(len(line) for line in lines) // FRAME + 1
        samples = np.zeros((n, frames * FRAME))
        for row, line in zip(samples, lines, strict=True):
            row[: len(line)] = line
        if self.change is not None:
            samples = self.change(random, samples)
        lost = self._lost(random, starts, samples.shape[1] // FRAME) if self.loss else None
        return Trial(through(samples, self.law), sent, lost, self.reported)

    def _lost(
        self, random: np.random.Generator, starts: list[int], frames: int
    ) -> npt.NDArray[np.bool_]:
        if self.loss < 1:
            return random.random((len(starts), frames)) < self.loss
        lost = np.zeros((len(starts), frames), np.bool_)
        on, off = (_samples(_draw(value, random)) for value in (self.digits.on, self.digits.off))
        for row, start in zip(lost, starts, strict=True):
            for number in range(self.digits.count):
                first = -(-(start + number * (on + off)) // FRAME)
                row[first + random.integers(0, on // FRAME - 1)] = True
        return lost


def through(samples: Floats, law: str = "u") -> npt.NDArray[np.int16]:
    """What comes out of a line that codes with G.711."""
    pcm = np.clip(np.rint(samples), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
    return decode_ulaw(encode_ulaw(pcm)) if law == "u" else decode_alaw(encode_alaw(pcm))


def errors(sent: str, heard: str) -> int:
    """Edit distance: keys missing, wrong, or too many."""
    row = list(range(len(heard) + 1))
    for i, key in enumerate(sent, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (key != other))
    return row[-1]


def rms_of(level_dbm0: float) -> float:
    """Root mean square, in int16 units, of a signal with the power of a sine of that level."""
    return float(FULL_SCALE * 10 ** ((level_dbm0 - OVERLOAD_DBM0) / 20) / math.sqrt(2))


def noise(below: float, level: float = -10) -> Change:
    """White noise `below` decibels under the power of both tones at `level` dBm0."""
    rms = rms_of(level) * math.sqrt(2) * 10 ** (-below / 20)
    return lambda random, samples: samples + random.normal(0, rms, samples.shape)


def impulses(above: float, level: float) -> Change:
    """Five clicks a second of a few ms, with peaks up to `above` decibels over those of a tone."""
    shape = np.exp(-np.arange(40) / 8)

    def change(random: np.random.Generator, samples: Floats) -> Floats:
        struck = samples.copy()
        for row in struck:
            for place in random.integers(0, len(row) - 40, len(row) * 5 // RATE):
                peak = rms_of(level) * math.sqrt(2) * 10 ** (random.uniform(-6, above) / 20)
                row[place : place + 40] += peak * shape * random.uniform(-1, 1, 40)
        return struck

    return change


def tones(frequencies: Sequence[float], level: float) -> Change:
    """Steady tones of that level each, as dial tones are."""

    def change(random: np.random.Generator, samples: Floats) -> Floats:
        time = np.arange(samples.shape[1]) / RATE
        for frequency in frequencies:
            phase = random.uniform(0, 2 * math.pi, (len(samples), 1))
            wave = np.sin(2 * math.pi * frequency * time + phase)
            samples = samples + rms_of(level) * math.sqrt(2) * wave
        return samples

    return change


def echo(delay_ms: float, below: float) -> Change:
    def change(_: np.random.Generator, samples: Floats) -> Floats:
        delay = _samples(delay_ms)
        echoed = samples.copy()
        echoed[:, delay:] += samples[:, :-delay] * 10 ** (-below / 20)
        return echoed

    return change


def speech(recording: npt.NDArray[np.int16], active_rms: float, below: float) -> Change:
    """A talker `below` decibels under the power of both tones at -10 dBm0, who never rests."""

    def change(random: np.random.Generator, samples: Floats) -> Floats:
        gain = rms_of(-10) * math.sqrt(2) * 10 ** (-below / 20) / active_rms
        starts = random.integers(0, len(recording) - samples.shape[1], len(samples))
        return samples + gain * np.stack(
            [recording[start : start + samples.shape[1]] for start in starts]
        )

    return change


def _samples(duration_ms: float) -> int:
    return round(duration_ms * RATE / 1000)


def _draw(value: Number, random: np.random.Generator) -> float:
    return value(random) if callable(value) else value


def _either(*values: float) -> Callable[[np.random.Generator], float]:
    return lambda random: float(random.choice(values))


def _between(low: float, high: float) -> Callable[[np.random.Generator], float]:
    return lambda random: float(random.uniform(low, high))


def conditions() -> Iterator[Condition]:
    """All that need no recording."""
    short = Digits(on=50, off=50)
    for law in "ua":
        yield Condition("nominal", f"{law}-law, 100/100 ms", 100, law=law)
        yield Condition("nominal", f"{law}-law, pauses of 40 ms", 100, Digits(off=40), law=law)
        yield Condition("nominal", f"{law}-law, 40/40 ms", 100, Digits(40, 40, count=10), law=law)
    for level in (0, -5, -10, -15, -20, -25, -30, -35):
        yield Condition("level", f"{level} dBm0", 100, Digits(on=50, off=50, level=level))
    for level in (-45, -50, -55):
        yield Condition("level", f"{level} dBm0", 0, Digits(level=level), accepts=True)

    for on in (40, 100):
        for low, high in ((0.015, 0.015), (-0.015, -0.015), (0.015, -0.015), (-0.015, 0.015)):
            digits = Digits(on=on, deviation=low, deviation_high=high)
            yield Condition("deviation", f"{low:+.1%} {high:+.1%}, {on} ms", 99.5, digits)
        for sign in (1, -1):
            digits = Digits(on=on, deviation=0.015 * sign, offset=2 * sign)
            yield Condition(
                "deviation", f"{0.015 * sign:+.1%} {2 * sign:+} Hz, {on} ms", 99, digits
            )
    for low, high in (
        *((sign * both, sign * both) for both in (0.035, 0.05) for sign in (1, -1)),
        *((sign * 0.035, 0.0) for sign in (1, -1)),
        *((0.0, sign * 0.035) for sign in (1, -1)),
    ):
        digits = Digits(deviation=low, deviation_high=high)
        yield Condition("deviation", f"{low:+.1%} {high:+.1%}", 0.5, digits, accepts=True)
    digits = Digits(on=40, deviation=0.035)
    yield Condition("deviation", "+3.5% +3.5%, 40 ms", 0.5, digits, accepts=True)

    # Twist is normal when the line has taken more of the high tone, and reverse otherwise.
    for twist in (-4, -8, -10, 4, 6):
        name = f"high tone {abs(twist)} dB {'above' if twist > 0 else 'below'} the low one"
        yield Condition("twist", name, 99.5, Digits(on=50, off=50, twist=twist))

    yield Condition("duration", "40 ms", 99.8, Digits(on=40))
    yield Condition("duration", "45 ms", 99.8, Digits(on=45))
    for on in (10, 15, 20, 23):
        yield Condition("duration", f"{on} ms", 0.5, Digits(on=on), accepts=True)
    for hole in (5, 10):
        yield Condition("duration", f"interrupted by {hole} ms", 99.5, Digits(hole=hole))

    for below, target in ((20, 100), (15, 100), (12, 100), (9, 100), (6, 99.5), (3, 95)):
        yield Condition("noise", f"S/N {below} dB, 50 ms", target, short, noise(below))
    digits = Digits(on=50, off=50, level=-22)
    yield Condition("noise", "impulses to +12 dB", 99.5, digits, impulses(12, -22))

    for dial in ((350, 440), (425,), (400,), (450,)):
        name = "+".join(map(str, dial))
        for level in (-10, -15):
            yield Condition(
                "dial tone",
                f"{name} Hz at -10, digit at {level} dBm0",
                99.5,
                Digits(level=level),
                tones(dial, -10),
            )
        digits = Digits(on=40, off=40, level=-12, deviation=_either(0.015, -0.015))
        yield Condition("dial tone", f"{name} Hz, 40/40 ms, 1.5 %", 99, digits, tones(dial, -10))
    for delay in (5, 10, 20, 30):
        yield Condition("echo", f"{delay} ms at -6 dB", 97, change=echo(delay, 6))

    yield Condition("loss", "1 %, reported", 99.5, loss=0.01)
    yield Condition("loss", "3 %, 200 ms, reported", 99, Digits(on=200), loss=0.03)
    yield Condition("loss", "a frame in each digit, reported", 98, loss=1)
    yield Condition("loss", "1 %, not reported", None, loss=0.01, reported=False)
    yield Condition("loss", "3 %, 200 ms, not reported", None, Digits(on=200), loss=0.03,
                    reported=False)  # fmt: skip
    yield Condition("loss", "a frame in each digit, not reported", None, loss=1, reported=False)

    for below, target in ((20, 98), (15, 95)):
        off_by = _either(0.015, -0.015)
        limits = Digits(40, 40, -20, _either(-8, 4), off_by, off_by, count=10, noise=below)
        yield Condition("joint", f"all limits, S/N {below} dB", target, limits)
    off_by = _between(-0.015, 0.015)
    anything = Digits(
        on=_between(40, 120),
        off=_between(40, 120),
        level=_between(-30, -3),
        twist=_between(-8, 4),
        deviation=off_by,
        deviation_high=off_by,
        noise=_between(20, 40),
    )
    yield Condition("joint", "random conditions, S/N >= 20 dB", 99.8, anything)


def speech_conditions(recording: npt.NDArray[np.int16], active_rms: float) -> Iterator[Condition]:
    for below, target in ((10, 99.5), (6, 98)):
        change = speech(recording, active_rms, below)
        yield Condition("speech", f"{below} dB below the digit", target, change=change)


def call_progress(random: np.random.Generator) -> Iterator[tuple[str, npt.NDArray[np.int16]]]:
    """(name, int16 [n, frames * 160]) of signals in which there is no key."""
    seconds = 4
    time = np.arange(seconds * RATE) / RATE

    def steady(*frequencies: float, level: float = -10) -> Floats:
        phases = random.uniform(0, 2 * math.pi, len(frequencies))
        waves = [
            np.sin(2 * math.pi * f * time + p) for f, p in zip(frequencies, phases, strict=True)
        ]
        return np.asarray(rms_of(level) * math.sqrt(2) * np.sum(waves, axis=0))

    def cadence(samples: Floats, on: float, off: float) -> Floats:
        return samples * ((time % (on + off)) < on)

    progress = [
        cadence(steady(*frequencies, level=level), on, off)
        for level in (-20, -10, -3)
        for frequencies, on, off in (
            ((350, 440), 9, 0), ((425,), 9, 0), ((400,), 9, 0), ((450,), 9, 0),
            ((440, 480), 2, 4), ((480, 620), 0.5, 0.5), ((480, 620), 0.25, 0.25),
            ((425,), 0.5, 0.5), ((400, 450), 0.4, 0.2), ((950,), 0.33, 0.1), ((1400,), 0.33, 0.1),
            ((1800,), 0.33, 0.1), ((1004,), 9, 0), ((1100,), 0.5, 3), ((2100,), 9, 0),
            ((2600,), 9, 0), ((913.8,), 0.274, 0.01), ((1370.6,), 0.38, 0.01),
            ((1776.7,), 0.38, 0.01), ((350, 440, 480, 620), 9, 0),
        )
    ]  # fmt: skip
    yield "call progress", through(np.stack(progress))
    yield "FSK", through(
        np.stack(
            [
                _keyed(random, mark, space, baud, seconds) * rms_of(level) * math.sqrt(2)
                for level in (-20, -10, -3)
                for mark, space, baud in (
                    (980, 1180, 300), (1650, 1850, 300), (1270, 1070, 300), (2225, 2025, 300),
                    (1300, 2100, 1200), (1300, 1700, 600), (390, 450, 75), (1200, 2200, 1200),
                )
            ]
        )
    )  # fmt: skip
    # Two members of one group are a single tone as far as keys go.
    groups = ((697, 770, 852, 941), (1209, 1336, 1477, 1633))
    singles = [steady(f, level=level) for level in (-20, -10, 0) for group in groups for f in group]
    pairs = [steady(group[i], group[j]) for group in groups for i in range(4) for j in range(i)]
    sweeps = [steady(float(f)) for f in range(300, 3400, 50)]
    yield "single tones", through(np.stack(singles + pairs + sweeps))


def _keyed(
    random: np.random.Generator, mark: float, space: float, baud: float, seconds: int
) -> Floats:
    """Random bits, frequency-shift keyed, with continuous phase."""
    bits = random.integers(0, 2, seconds * RATE)
    which = bits[(np.arange(seconds * RATE) * baud / RATE).astype(int)]
    return np.sin(2 * math.pi * np.cumsum(np.where(which, mark, space)) / RATE)


def rows_of(
    recordings: Sequence[npt.NDArray[np.int16]], rows: int
) -> tuple[npt.NDArray[np.int16], list[list[tuple[int, int]]]]:
    """Recordings laid out behind one another on a few rows, whole frames each.

    Returns int16 [rows, frames * 160] and for each row the (first sample, number of the recording).
    """
    lengths = [0] * rows
    places: list[list[tuple[int, int]]] = [[] for _ in range(rows)]
    for number, recording in zip(count(), recordings, strict=False):
        row = lengths.index(min(lengths))
        places[row].append((lengths[row], number))
        lengths[row] += -(-len(recording) // FRAME) * FRAME
    samples = np.zeros((rows, max(lengths)), np.int16)
    for row, placed in enumerate(places):
        for start, number in placed:
            samples[row, start : start + len(recordings[number])] = recordings[number]
    return samples, places
