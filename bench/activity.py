"""When somebody speaks: recorded prompts and noise before the voice detector of the server.

    python bench/activity.py [--sensitivity 0.5] [--count 150] [--sounds FOLDER]

Needs Debian's asterisk-core-sounds-en-wav and -fr-wav. Prints two tables. The first: of twelve
lines of ten seconds that carry nothing but noise, from their first frame on, on how many speech
began; babble is so many prompts at once. The second: prompts at a level (dBFS while active) in
noise 15 dB under it, how many were not noticed, how long after the first sound the beginning was
told, and how much later than the last sound the detector still heard speech (milliseconds: median
and 95th percentile). Then what a frame costs. Random numbers come from a fixed seed. Ends with
status 1 when white noise, hum or the babble of many starts speech, or more than 2 % of the prompts
are missed.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vxml_server.audio import SpeechActivity, active_level_dbfs, decode

RATE, FRAME = 8000, 160
SECONDS, LINES = 10, 12
NOISE_LEVELS = (-30, -35, -40, -45, -50, -60)
SPEECH_LEVELS = (-20, -26, -32, -38, -42)
UNDER_SPEECH_DB = 15
QUIET_LINE_DBFS = -65
LEAD_SECONDS, TAIL_SECONDS = 1.5, 0.5

Wave = npt.NDArray[np.float64]
Noise = Callable[[float, float], Wave]


class Material:
    """Prompts, and noises made of random numbers or of prompts."""

    def __init__(self, folder: Path) -> None:
        self._random = random.Random(1)
        self._numbers = np.random.default_rng(1)
        found = sorted(
            path
            for language in ("en", "fr")
            for path in (folder / language).rglob("*.wav")
            if not any(word in path.stem for word in ("silence", "beep", "tone"))
        )
        self._prompts = [decode(path.read_bytes(), "audio/x-wav").pcm for path in found]
        self._prompts = [pcm for pcm in self._prompts if len(pcm) >= RATE // 3]

    def __len__(self) -> int:
        return len(self._prompts)

    def choose(self, count: int) -> list[Wave]:
        """Prompts of half a second to two seconds, at an active level of 0 dBFS."""
        short = [pcm for pcm in self._prompts if RATE // 2 < len(pcm) < 2 * RATE]
        return [_prompt(pcm) for pcm in self._random.sample(short, min(count, len(short)))]

    def white(self, seconds: float, dbfs: float) -> Wave:
        return _at(self._numbers.standard_normal(round(seconds * RATE)), dbfs)

    def pink(self, seconds: float, dbfs: float) -> Wave:
        spectrum = np.fft.rfft(self._numbers.standard_normal(round(seconds * RATE)))
        spectrum /= np.sqrt(np.maximum(1, np.arange(len(spectrum))))
        return _at(np.fft.irfft(spectrum, round(seconds * RATE)), dbfs)

    def hum(self, seconds: float, dbfs: float) -> Wave:
        at = np.arange(round(seconds * RATE)) / RATE
        waves = [np.sin(2 * np.pi * 50 * k * at + k) / k for k in (1, 2, 3, 4, 5, 7)]
        return _at(np.sum(waves, axis=0), dbfs)

    def babble(self, voices: int) -> Noise:
        def make(seconds: float, dbfs: float) -> Wave:
            mixed = np.zeros(round(seconds * RATE))
            for _ in range(voices):
                talk: list[Wave] = []
                while sum(map(len, talk)) < len(mixed) + RATE:
                    talk.append(_prompt(self._random.choice(self._prompts)))
                mixed += np.concatenate(talk)[RATE // 2 :][: len(mixed)]
            return _at(mixed, dbfs)

        return make

    def quiet(self, seconds: float, dbfs: float) -> Wave:
        """A line with nothing on it, whatever the speech."""
        return self.white(seconds, QUIET_LINE_DBFS)


def _prompt(pcm: npt.NDArray[np.int16]) -> Wave:
    return pcm.astype(np.float64) * 10 ** (-active_level_dbfs(pcm) / 20)


def _at(wave: Wave, dbfs: float) -> Wave:
    return wave * (32768 * 10 ** (dbfs / 20) / float(np.sqrt(np.mean(wave**2))))


def heard(wave: Wave, sensitivity: float) -> list[bool]:
    pcm = np.clip(wave, -32768, 32767).astype(np.int16)
    activity = SpeechActivity(sensitivity)
    return [activity.feed(frame) for frame in pcm[: len(pcm) // FRAME * FRAME].reshape(-1, FRAME)]


def noise_alone(noise: Noise, sensitivity: float) -> Iterator[int]:
    for dbfs in NOISE_LEVELS:
        yield sum(any(heard(noise(SECONDS, dbfs), sensitivity)) for _ in range(LINES))


def in_noise(
    prompts: list[Wave], noise: Noise, dbfs: float, sensitivity: float
) -> tuple[int, list[float], list[float]]:
    """How many were missed, and milliseconds from the first and from the last sound."""
    missed, late, long = 0, [], []
    lead, tail = round(LEAD_SECONDS * RATE), round(TAIL_SECONDS * RATE)
    for prompt in prompts:
        speech = np.concatenate([np.zeros(lead), prompt * 10 ** (dbfs / 20), np.zeros(tail)])
        active = heard(speech + noise(len(speech) / RATE, dbfs - UNDER_SPEECH_DB), sensitivity)
        power = np.mean(speech[: len(speech) // FRAME * FRAME].reshape(-1, FRAME) ** 2, axis=1)
        sound = np.flatnonzero(power > power.max() * 10**-2.5)
        on = [place for place, is_on in enumerate(active) if is_on and place >= sound[0] - 5]
        if on:
            late.append((on[0] - sound[0]) * 20.0)
            long.append((on[-1] - sound[-1]) * 20.0)
        else:
            missed += 1
    return missed, late, long


def cost(sensitivity: float, material: Material) -> float:
    """Microseconds of CPU a frame, the best of five."""
    speech = np.concatenate([prompt * 10**-1.3 for prompt in material.choose(20)])
    frames = len(speech) // FRAME
    best = float("inf")
    for _ in range(5):
        began = time.process_time()
        heard(speech, sensitivity)
        best = min(best, (time.process_time() - began) / frames)
    return best * 1e6


def percentiles(values: list[float]) -> str:
    return "-" if not values else "/".join(f"{p:.0f}" for p in np.percentile(values, (50, 95)))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--sensitivity", type=float, default=0.5)
    parser.add_argument("--count", type=int, default=150, help="prompts of the second table")
    parser.add_argument("--sounds", type=Path, default=Path("/usr/share/asterisk/sounds"))
    chosen = parser.parse_args()
    material, sensitivity = Material(chosen.sounds), chosen.sensitivity
    if not len(material):
        print(f"no prompts below {chosen.sounds}", file=sys.stderr)
        return 2
    passed = True
    print(f"noise alone, sensitivity {sensitivity}: lines of {LINES} on which speech began")
    print(f"{'dBFS':12}" + "".join(f"{dbfs:>7}" for dbfs in NOISE_LEVELS))
    noises: dict[str, Noise] = {
        "white": material.white,
        "pink": material.pink,
        "hum": material.hum,
        **{f"babble of {voices}": material.babble(voices) for voices in (20, 6, 3)},
    }
    for name, noise in noises.items():
        starts = list(noise_alone(noise, sensitivity))
        # From six voices down one stands out now and then, and is speech.
        passed &= not any(starts) or name in {"babble of 6", "babble of 3"}
        print(f"{name:12}" + "".join(f"{count:>7}" for count in starts))
    prompts = material.choose(chosen.count)
    print(f"\n{len(prompts)} prompts, noise {UNDER_SPEECH_DB} dB under them:", end=" ")
    print("missed, ms to the beginning, ms beyond the end")
    print(f"{'dBFS':12}" + "".join(f"{dbfs:>22}" for dbfs in SPEECH_LEVELS))
    for name in ("quiet line", "white", "pink", "hum", "babble of 6"):
        noise = material.quiet if name == "quiet line" else noises[name]
        row = []
        for dbfs in SPEECH_LEVELS:
            missed, late, long = in_noise(prompts, noise, dbfs, sensitivity)
            passed &= missed <= 0.02 * len(prompts)
            row.append(f"{missed}  {percentiles(late)}  {percentiles(long)}")
        print(f"{name:12}" + "".join(f"{cell:>22}" for cell in row))
    print(f"\n{cost(sensitivity, material):.1f} us of CPU a frame")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
