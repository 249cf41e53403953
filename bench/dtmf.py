"""The key detector under the standards' conditions, in speech, and at work, beside libspandsp's.

    python bench/dtmf.py [--speech PATH ...] [--channels 400] [--only WORD ...] [--no-throughput]

Prints a row for each condition: what is asked, what our detector and libspandsp's did with the same
samples in the same run, and whether ours passes. `*` marks what libspandsp does not pass. Random
numbers come from a fixed seed. PATH is an audio file, or a folder whose WAV files are all taken:
talk-off is over every one of them, and digits under speech use every second. `--half` restricts
talk-off to the even (tuned on) or odd (reported) half; `--speeds` plays them at other speeds as
well, which are voices of other pitches. Throughput is in seconds of one channel a
CPU-second, the best of several turns; libspandsp is fed one second a call, so that calling it costs
nothing. Ends with status 1 when a condition fails, 2 when nothing was measured.
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import os
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the server has it

import dtmf_spandsp as spandsp
import numpy as np
import numpy.typing as npt
from dtmf_conditions import (
    FRAME,
    RATE,
    Condition,
    Trial,
    call_progress,
    conditions,
    errors,
    noise,
    rms_of,
    rows_of,
    speech_conditions,
    through,
)

from vxml_server.audio import active_level_dbfs, decode, resample
from vxml_server.dtmf import KEYS, DtmfBank, DtmfDetector, dial, silence, tone
from vxml_server.events import VoiceXmlEvent

TALK_ROWS = 50
TURNS = 25
LATENCIES = 200
Pcm = npt.NDArray[np.int16]
Listen = Callable[[Pcm, npt.NDArray[np.bool_] | None], list[str]]


@dataclass(frozen=True)
class Row:
    group: str
    name: str
    asked: str
    ours: str
    theirs: str
    passed: bool
    they_pass: bool | None


def listen(samples: Pcm, lost: npt.NDArray[np.bool_] | None) -> list[str]:
    """What our bank hears in int16 [n, frames * 160]."""
    return ["".join(key for _, key in found) for found in found_in(samples, lost)]


def found_in(
    samples: Pcm, lost: npt.NDArray[np.bool_] | None = None
) -> list[list[tuple[int, str]]]:
    """(frame, key) of what our bank hears, by row."""
    bank = DtmfBank(len(samples))
    found: list[list[tuple[int, str]]] = [[] for _ in samples]
    for tick in range(samples.shape[1] // FRAME):
        frame = samples[:, tick * FRAME : (tick + 1) * FRAME]
        for row, key in enumerate(bank.feed(frame, None if lost is None else lost[:, tick])):
            if key:
                found[row].append((tick, key))
    return found


class Bench:
    def __init__(self, arguments: argparse.Namespace) -> None:
        self.channels: int = arguments.channels
        self.seed: int = arguments.seed
        self.turns: int = arguments.turns
        self.only: list[str] = arguments.only
        self.throughput: bool = not arguments.no_throughput
        self.library: ctypes.CDLL | None = None
        try:
            self.library = spandsp.load()
        except spandsp.Missing as missing:
            print(f"skipped: {missing}", file=sys.stderr)
        self.recordings = _read(arguments.speech)
        self.half: str = arguments.half
        self.speeds: list[float] = arguments.speeds
        if not self.recordings:
            print("skipped: talk-off and speech under digits (no --speech PATH)", file=sys.stderr)

    def rows(self) -> Iterator[Row]:
        for condition in itertools.chain(conditions(), self._speech_conditions()):
            if self._is_wanted(condition.group, condition.name):
                yield self._heard(condition)
        yield from self._talk_off()
        if self._is_wanted("other", "call progress FSK tones"):
            for name, samples in call_progress(self._random("progress")):
                yield self._none("no key", name, samples)
        if self._is_wanted("latency", "median"):
            yield self._latency()
        if self.throughput and self._is_wanted("throughput", "channels"):
            yield from self._throughput()

    def _is_wanted(self, group: str, name: str) -> bool:
        return not self.only or any(word in f"{group} {name}" for word in self.only)

    def _random(self, name: str) -> np.random.Generator:
        """By name, so that a condition is the same whichever others run."""
        return np.random.default_rng((self.seed, zlib.crc32(name.encode())))

    def _theirs(self, samples: Pcm, lost: npt.NDArray[np.bool_] | None) -> list[str] | None:
        if self.library is None:
            return None
        bank = spandsp.Bank(self.library, len(samples))
        try:
            return bank.listen(samples, lost)
        finally:
            bank.close()

    # Conditions --------------------------------------------------------------------------------

    def _heard(self, condition: Condition) -> Row:
        trial = condition.trial(self._random(condition.name), self.channels)
        pcm, lost = trial.samples, trial.lost
        if lost is not None:
            pcm = np.where(np.repeat(lost, FRAME, axis=1), 0, pcm).astype(np.int16)
        reported = lost if trial.reported else None
        ours = _score(condition, trial, listen(pcm, reported))
        heard = self._theirs(pcm, reported)
        theirs = None if heard is None else _score(condition, trial, heard)
        target = condition.target if condition.target is not None else theirs or 0.0

        def is_good(percent: float) -> bool:
            return percent <= target if condition.accepts else percent >= target

        sign = "<=" if condition.accepts else ">="
        return Row(
            condition.group,
            condition.name,
            f"{sign} {target:g} %" if condition.target is not None else ">= libspandsp",
            f"{ours:.2f}",
            "" if theirs is None else f"{theirs:.2f}",
            is_good(ours),
            None if theirs is None else is_good(theirs),
        )

    def _speech_conditions(self) -> Iterator[Condition]:
        recordings = self._half("odd")
        if recordings:
            joined = np.concatenate(recordings)
            level = active_level_dbfs(joined)
            needed = 4 * RATE
            if len(joined) > needed and np.isfinite(level):
                yield from speech_conditions(joined, 32768 * 10 ** (level / 20))

    def _half(self, half: str) -> list[Pcm]:
        recordings = [recording for _, recording in self.recordings]
        return {"all": recordings, "even": recordings[::2], "odd": recordings[1::2]}[half]

    def _talk_off(self) -> Iterator[Row]:
        if not self.recordings or not self._is_wanted("talk-off", "speech music"):
            return
        names = [name for name, _ in self.recordings]
        names = {"all": names, "even": names[::2], "odd": names[1::2]}[self.half]
        for speed in (1.0, *self.speeds):
            recordings = self._half(self.half)
            if speed != 1:
                recordings = [resample(recording, RATE * speed, RATE) for recording in recordings]
            hours = sum(map(len, recordings)) / RATE / 3600
            samples, places = rows_of(recordings, min(TALK_ROWS, len(recordings)))
            for row, found in enumerate(found_in(samples)):
                for tick, key in found:
                    start, which = [p for p in places[row] if p[0] <= tick * FRAME][-1]
                    at = tick * FRAME / RATE - start / RATE
                    print(f"false key {key} in {names[which]} at {at:.2f} s", file=sys.stderr)
            name = f"{hours:.2f} h, {len(recordings)} recordings"
            if speed != 1:
                name += f", at {speed:g} x"
            yield self._none("talk-off", name, samples)

    def _none(self, group: str, name: str, samples: Pcm) -> Row:
        ours = sum(map(len, listen(samples, None)))
        heard = self._theirs(samples, None)
        theirs = None if heard is None else sum(map(len, heard))
        return Row(
            group,
            name,
            "0 keys",
            str(ours),
            "" if theirs is None else str(theirs),
            ours == 0,
            None if theirs is None else theirs == 0,
        )

    # Time --------------------------------------------------------------------------------------

    def _latency(self) -> Row:
        random = self._random("latency")
        late: dict[str, list[float]] = {"ours": [], "theirs": []}
        for number in range(LATENCIES):
            onset = int(random.integers(400, 560))
            key = tone(KEYS[number % 16], phases=(random.uniform(0, 6), random.uniform(0, 6)))
            line = np.zeros(12 * FRAME)
            line[onset : onset + len(key)] = key
            pcm = through(line)[np.newaxis]
            for who, ticks in (("ours", found_in(pcm)[0]), ("theirs", self._ticks(pcm))):
                if ticks:
                    late[who].append(((ticks[0][0] + 1) * FRAME - onset) * 1000 / RATE)
        ours = float(np.median(late["ours"])) if late["ours"] else float("inf")
        theirs = float(np.median(late["theirs"])) if late["theirs"] else None
        return Row(
            "latency",
            "median from onset",
            "<= 45 ms",
            f"{ours:.1f}",
            "" if theirs is None else f"{theirs:.1f}",
            ours <= 45,
            None if theirs is None else theirs <= 45,
        )

    def _ticks(self, pcm: Pcm) -> list[tuple[int, str]]:
        """When libspandsp hears a key, by feeding it longer and longer beginnings."""
        if self.library is None:
            return []
        bank = spandsp.Bank(self.library, 1)
        try:
            frames = range(pcm.shape[1] // FRAME)
            heard = [
                bank.listen(pcm[:, n * FRAME : (n + 1) * FRAME].copy(), None)[0] for n in frames
            ]
        finally:
            bank.close()
        return [(tick, keys) for tick, keys in enumerate(heard) if keys]

    def _throughput(self) -> Iterator[Row]:
        cases: list[tuple[int, float, float | None, float | None]] = [
            (1000, 0.15, None, 2.0),
            (1000, 0.02, 60_000, None),
            (100, 0.02, 25_000, 1.1),
            (1, 0.0, 800, None),
            (1, 1.0, 800, None),
        ]
        for n, dialling, least, ratio in cases:
            pcm = self._load(n, dialling)
            ours, theirs = self._speeds(pcm)
            asked = []
            passed = True
            if least is not None:
                asked.append(f"{least:,.0f}")
                passed &= ours >= least
            if ratio is not None:
                asked.append(f"{ratio:g} x libspandsp")
                passed &= theirs is None or ours >= ratio * theirs
            yield Row(
                "throughput",
                f"{n} channels, {dialling:.0%} dialling",
                ">= " + ", ".join(asked),
                f"{ours:,.0f}",
                "" if theirs is None else f"{theirs:,.0f}",
                passed,
                None,
            )
            if self.recordings and n > 1:
                ours, theirs = self._speeds(self._talking(pcm))
                yield Row(
                    "throughput",
                    "... and 40 % of the others talk",
                    "",
                    f"{ours:,.0f}",
                    "" if theirs is None else f"{theirs:,.0f}",
                    True,
                    None,
                )

    def _load(self, n: int, dialling: float) -> Pcm:
        """Two seconds of `n` channels: noise of a line, and five keys a second on some."""
        random = self._random("load")
        samples = np.zeros((n, 2 * RATE))
        for row in samples[: round(n * dialling)]:
            start = int(random.integers(0, 1600))
            keys = dial("".join(random.choice(list(KEYS), 10)), level_dbm0=-12)
            row[start:] = keys[: len(row) - start]
        return through(noise(43, -10)(random, samples))

    def _talking(self, pcm: Pcm) -> Pcm:
        random = self._random("talking")
        joined = np.concatenate([recording for _, recording in self.recordings])
        gain = rms_of(-18) / (32768 * 10 ** (active_level_dbfs(joined) / 20))
        samples = pcm.astype(float)
        for row in range(round(0.6 * len(samples)), len(samples)):
            start = int(random.integers(0, len(joined) - samples.shape[1]))
            samples[row] += gain * joined[start : start + samples.shape[1]]
        return through(samples)

    def _speeds(self, pcm: Pcm) -> tuple[float, float | None]:
        """Channel-seconds a CPU-second of ours and of libspandsp, turn by turn."""
        n, length = pcm.shape
        frames = [
            np.ascontiguousarray(pcm[:, start : start + FRAME]) for start in range(0, length, FRAME)
        ]
        halves = [np.ascontiguousarray(pcm[:, half : half + RATE]) for half in (0, RATE)]
        detector, bank = DtmfDetector(), DtmfBank(n)
        theirs = spandsp.Bank(self.library, n) if self.library is not None else None
        repeats = max(1, 40 // n)

        def feed_ours() -> None:
            for _ in range(repeats):
                if n == 1:
                    for frame in frames:
                        detector.feed(frame[0])
                else:
                    for frame in frames:
                        bank.feed(frame)

        def feed_theirs() -> None:
            if theirs is not None:
                for _ in range(repeats):
                    for half in halves:
                        theirs.feed_rows(half)
                    theirs.drain()

        seconds = n * length / RATE * repeats
        turns = [(_cpu(feed_ours), _cpu(feed_theirs)) for _ in range(self.turns)]
        if theirs is not None:
            theirs.close()
        ours = seconds / min(turn[0] for turn in turns)
        return ours, seconds / min(turn[1] for turn in turns) if self.library is not None else None


def _cpu(work: Callable[[], None]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _score(condition: Condition, trial: Trial, heard: Sequence[str]) -> float:
    sent = sum(map(len, trial.sent))
    if condition.accepts:
        return 100 * sum(map(len, heard)) / sent
    wrong = sum(errors(s, h) for s, h in zip(trial.sent, heard, strict=True))
    return max(0.0, 100 * (1 - wrong / sent))


def _read(paths: Sequence[Path]) -> list[tuple[str, Pcm]]:
    """(path, samples at 8 kHz) of every recording that can be read, in order of their names."""
    files = [
        file
        for path in paths
        for file in (sorted(path.rglob("*.wav")) if path.is_dir() else [path])
    ]
    recordings = []
    for file in files:
        try:
            pcm = decode(file.read_bytes(), max_duration=3600).pcm
        except VoiceXmlEvent as error:
            print(f"skipped: {file}: {error}", file=sys.stderr)
            continue
        recordings.append((str(file), np.concatenate((pcm, silence(20)))))
    return recordings


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--speech", type=Path, nargs="+", default=[], metavar="PATH")
    parser.add_argument("--half", choices=("all", "even", "odd"), default="all")
    parser.add_argument("--speeds", type=float, nargs="+", default=[], metavar="FACTOR",
                        help="talk-off with all recordings played so fast, too")  # fmt: skip
    parser.add_argument("--channels", type=int, default=400, help="strings of keys a condition")
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD", help="part of a name")
    parser.add_argument("--no-throughput", action="store_true")
    parser.add_argument("--turns", type=int, default=TURNS, help="of a throughput measurement")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    bench = Bench(arguments)
    rows = []
    group = ""
    print(f"{'':40} {'asked':>22} {'ours':>10} {'libspandsp':>11}")
    for row in bench.rows():
        if row.group != group:
            group = row.group
            print(group)
        verdict = "pass" if row.passed else "FAIL"
        star = "*" if row.they_pass is False else " "
        print(f"  {row.name:38} {row.asked:>22} {row.ours:>10} {row.theirs:>10}{star} {verdict}",
              flush=True)  # fmt: skip
        rows.append(row)
    if not rows:
        print("nothing was measured", file=sys.stderr)
        return 2
    failed = [row for row in rows if not row.passed]
    compared = [row for row in rows if row.they_pass is not None]
    print(f"\n{len(rows) - len(failed)} of {len(rows)} pass", end="")
    if compared:
        print(f"; libspandsp passes {sum(bool(r.they_pass) for r in compared)} of {len(compared)}")
    else:
        print("; libspandsp was not there")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
