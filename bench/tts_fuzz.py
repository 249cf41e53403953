"""libespeak-ng under hostile plans, in this process: does it crash, hang or leak into what follows?

    python bench/tts_fuzz.py [--plans 100000] [--seed 1]

Plans are made at random of everything that can reach the library: text of all of Unicode, of its
own control characters and of words in many scripts; pronunciations, true and broken; every voice
and variant; prosody at and beyond its limits; marks. After every fiftieth, two ordinary sentences
are spoken and have to have the same samples as at the beginning. Every plan is made from its number
and the seed, and the number is noted in a file before it is spoken: a crash names its plan.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from vxml_server.events import VoiceXmlEvent
from vxml_server.tts.engine import Utterance
from vxml_server.tts.espeak import EspeakEngine
from vxml_server.tts.libespeak import library
from vxml_server.tts.plan import MarkPoint, Phonemes, Plan, Style, Text
from vxml_server.tts.utterances import utterances

PROBES = (
    (Text("Bonjour et bienvenue.", Style("fr-FR")),),
    (Text("Please hold.", Style("en-US", rate=1.35, pitch=1.15)),),
)
WRITTEN = """
bonjour hello 12345678901234567890 3.14159 1/2 M. Dr. http://a.b/c?d=e x@y.z £5 €3,50 $1.50
привет γειά 你好 こんにちは 안녕 שלום مرحبا नमस्ते สวัสดี ... --- ??? !!! 'n' "q" (a) <b> &amp; ]]>
[[ ]] [[b@l0k]] _^_en <break/> <mark name='99999'/> <prosody rate='0%'> </speak> %s%n {text}
AAAAAAAAAA zzzzzzzz ŵŷ ﬁ ½ ² ™ 😀 👨‍👩‍👧 _ ^ | ~ @ #
"""
ODD = ("\u0301\u0301\u0301", "\u202e\u200f\u200d", "\ufeff", "\x01\x02", "\x1b[0m", "\x05")
WORDS = (*WRITTEN.split(), *ODD)


def text(randomness: random.Random) -> str:
    parts = []
    for _ in range(randomness.choice((1, 1, 2, 4))):
        kind = randomness.random()
        if kind < 0.6:
            parts.append(randomness.choice(WORDS))
        elif kind < 0.8:
            low, high = randomness.choice(
                ((1, 0x7F), (0x80, 0x2FF), (0x300, 0xFFFF), (1, 0x10FFFF))
            )
            parts.append("".join(chr(randomness.randint(low, high)) for _ in range(8)))
        else:
            parts.append(randomness.choice("ab1.,x-'é") * randomness.choice((1, 1, 9, 60)))
    return randomness.choice((" ", " ", "", ". ")).join(parts)


def plan(randomness: random.Random, languages: list[str], variants: list[str]) -> Plan:
    lang = randomness.choice(languages)
    names = (randomness.choice(variants),) if randomness.random() < 0.3 else ()
    items: list[Text | MarkPoint] = []
    for _ in range(randomness.choice((1, 1, 1, 2))):
        style = Style(
            lang=lang,
            names=names,
            gender=randomness.choice(("", "male", "female")),
            rate=randomness.choice((1.0, 1.0, 0.3, 3.0, randomness.uniform(0.3, 3))),
            pitch=randomness.choice((1.0, 1.0, 0.5, 2.0, randomness.uniform(0.5, 2))),
            pitch_range=randomness.choice((1.0, 1.0, 0.0, 2.0)),
            gain_db=randomness.choice((0.0, 0.0, -40.0, 6.0)),
            silent=randomness.random() < 0.05,
        )
        phonemes = None
        if randomness.random() < 0.1:
            notation = text(randomness)[:100]
            phonemes = Phonemes(notation, randomness.choice(("ipa", "x-espeak")))
        length = 600 if randomness.random() < 0.02 else 60
        items.append(Text(text(randomness)[:length], style, phonemes))
        if randomness.random() < 0.2:
            items.append(MarkPoint("m"))
    return Plan(tuple(items))


def speak(engine: EspeakEngine, spoken: Plan) -> list[np.ndarray]:
    """The samples of its sentences, on this thread."""
    parts = []
    for item in utterances(spoken):
        if isinstance(item, Utterance):
            offer = library().offer(*item.style.voice)
            if offer is not None:
                parts.append(engine.say(item, offer.voice, threading.Event()).pcm)
    return parts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--plans", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first plan")
    given = parser.parse_args()
    engine = EspeakEngine()
    languages, variants = library().languages, library().variants
    references = [speak(engine, Plan(probe)) for probe in PROBES]
    current = Path(tempfile.gettempdir()) / f"tts-fuzz-{given.seed}"
    began = time.monotonic()
    leaks, events, memory = 0, 0, 0
    seconds, slowest = 0.0, 0.0
    last = given.first + given.plans
    for number in range(given.first, last):
        current.write_text(str(number))
        started = time.monotonic()
        made = plan(random.Random(given.seed * 10**9 + number), languages, variants)
        try:
            for part in speak(engine, made):
                seconds += len(part) / library().rate
        except VoiceXmlEvent:
            events += 1
        slowest = max(slowest, time.monotonic() - started)
        if number % 50 == 0:
            for probe, reference in zip(PROBES, references, strict=True):
                if not all(map(np.array_equal, speak(engine, Plan(probe)), reference)):
                    leaks += 1
                    print(f"what follows plan {number} sounds different", flush=True)
        if number == given.first + given.plans // 4:
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    current.unlink()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 1024
    print(
        f"{given.plans} plans, {seconds:.0f} s of speech in {time.monotonic() - began:.0f} s;"
        f" no crash, {leaks} leaks, {events} events; slowest {slowest:.2f} s;"
        f" highest memory grew by {grown:.0f} MiB after the first quarter"
    )
    sys.exit(1 if leaks else 0)


if __name__ == "__main__":
    main()
