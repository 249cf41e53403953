"""What bench/speech.py listens to: real prompts, what they say, and what a line does to them.

The prompts are Debian's asterisk-core-sounds-en-wav and -fr-wav, 8 kHz, one speaker a language.
Their words stand in speech_words.json, by language, group and file. A clip is in the tuning half
or in the held-out half by the hash of its name, once for all.
"""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import numpy.typing as npt

from vxml_server.audio import active_level_dbfs, decode, decode_ulaw, encode_ulaw
from vxml_server.grammar import Grammar, builtin, load

Pcm = npt.NDArray[np.int16]
RATE = 8000
FRAME = 160
SOUNDS = Path("/usr/share/asterisk/sounds")
WORDS: Mapping[str, Mapping[str, Mapping[str, str]]] = json.loads(
    Path(__file__).with_name("speech_words.json").read_text("utf-8")
)
BEFORE, AFTER = 10, 10
"""Frames that an endpointer leaves before and after speech."""
DIGITS = "connected digits"
GAP = 0.15, 0.3
"""Seconds between two connected digits, from the last sound of one to the first of the next."""
CUT = 0.05, 0.1
"""Seconds that are cut off the start and the end of a digit to make it hard."""


@dataclass(frozen=True)
class Trial:
    """A clip and a grammar; `words` is what is said, "" when the grammar does not have it."""

    group: str
    clip: str
    words: str
    grammar: Grammar
    samples: Pcm
    held_out: bool


def is_held_out(clip: str) -> bool:
    return zlib.crc32(clip.encode()) % 2 == 1


@cache
def clip(lang: str, name: str) -> Pcm:
    """The samples of a prompt, cut as an endpointer would."""
    path = SOUNDS / lang / f"{name}.wav"
    return trimmed(decode(path.read_bytes(), "audio/x-wav").pcm)


def trimmed(samples: Pcm, before: int = BEFORE, after: int = AFTER) -> Pcm:
    """Without the silence around, but for some frames: as many as an endpointer leaves."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME).astype(np.float64)
    power = 10 * np.log10(np.square(frames).mean(axis=1) + 1)
    loud = np.flatnonzero(power > max(power.max() - 40, 25))
    first, last = max(0, loud[0] - before), loud[-1] + 1 + after
    return samples[first * FRAME : last * FRAME]


def is_installed(lang: str) -> bool:
    return (SOUNDS / lang / "digits" / "1.wav").exists()


def grammar_of(texts: Sequence[str], lang: str) -> Grammar:
    items = "".join(f"<item>{escape(text)}</item>" for text in texts)
    text = (
        f'<grammar xmlns="http://www.w3.org/2001/06/grammar" version="1.0" xml:lang="{lang}" '
        f'root="said" mode="voice"><rule id="said"><one-of>{items}</one-of></rule></grammar>'
    )
    return load(text.encode())


def candidate_trials(lang: str, outsiders: int) -> list[Trial]:
    """Every clip against the grammar of its group, and `outsiders` clips of other groups that
    the grammar does not have."""
    groups = WORDS[lang]
    said = {name: text for group in groups.values() for name, text in group.items()}
    trials = []
    for group, members in groups.items():
        grammar = grammar_of(list(dict.fromkeys(members.values())), lang)
        strangers = sorted(
            (name for name, text in said.items() if grammar.match(text) is None),
            key=lambda name: zlib.crc32(f"{group} {name}".encode()),
        )[:outsiders]
        trials += [
            Trial(
                *(group, name, members.get(name, ""), grammar, clip(lang, name)), is_held_out(name)
            )
            for name in [*members, *strangers]
        ]
    return trials


def digit_trials(lang: str, count: int, cut: bool = False) -> list[Trial]:
    """Strings of four to ten digits, clips joined with gaps as in speech. With `cut`, every digit
    lacks what `CUT` says: many French ones are then hard to tell for people as well."""
    grammar = builtin("builtin:grammar/digits?minlength=4;maxlength=10", lang)
    source = random.Random(f"digits {lang}")
    start, end = (round(RATE * seconds) if cut else 0 for seconds in CUT)
    trials = []
    for number in range(count):
        digits = [source.randrange(10) for _ in range(4 + number % 7)]
        pieces: list[Pcm] = []
        for digit in digits:
            gap = round(RATE * source.uniform(*GAP))
            word = trimmed(clip(lang, f"digits/{digit}"), 0, 0)
            pieces += [word[start : len(word) - end], np.zeros(gap, np.int16)]
        said = np.concatenate([np.zeros(1600, np.int16), *pieces, np.zeros(1600, np.int16)])
        words = "".join(map(str, digits))
        trials.append(Trial(DIGITS, words, words, grammar, said, number % 2 == 1))
    return trials


def twenty(lang: str) -> list[Trial]:
    """Clips against one grammar of twenty sentences, for latency."""
    names = list(WORDS[lang]["phonetic"])[:10] + list(WORDS[lang]["months"])[:10]
    said = {name: text for group in WORDS[lang].values() for name, text in group.items()}
    grammar = grammar_of([said[name] for name in names], lang)
    return [Trial("twenty", name, said[name], grammar, clip(lang, name), True) for name in names]


# What a line does --------------------------------------------------------------------------------


def through_ulaw(samples: Pcm, seed: int) -> Pcm:
    return decode_ulaw(encode_ulaw(samples))


def noisy(samples: Pcm, seed: int, ratio: float = 15.0) -> Pcm:
    """With noise that falls by 3 dB an octave, `ratio` dB below the speech, also around it."""
    source = np.random.default_rng(seed)
    spectrum = np.fft.rfft(source.normal(size=len(samples)))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
    noise = np.fft.irfft(spectrum, len(samples))
    level = 32768 * 10 ** ((active_level_dbfs(samples) - ratio) / 20)
    mixed = samples + noise * level / np.sqrt(np.square(noise).mean())
    return np.clip(np.rint(mixed), -32768, 32767).astype(np.int16)


def changed_by(decibel: float) -> Callable[[Pcm, int], Pcm]:
    def change(samples: Pcm, seed: int) -> Pcm:
        return np.clip(np.rint(samples * 10 ** (decibel / 20)), -32768, 32767).astype(np.int16)

    return change


CONDITIONS: Mapping[str, Callable[[Pcm, int], Pcm]] = {
    "mu-law": through_ulaw,
    "noise at 15 dB S/N": noisy,
    "15 dB quieter": changed_by(-15),
    "6 dB louder": changed_by(6),
}
