"""How soon a prompt is heard: from the request to the first 20 ms, against the library alone.

    python bench/tts.py [--prompts 60]

Each prompt of two languages is asked for as a call does it, through the renderer, the cache, the
choice of an engine and espeak, and the clock stops when its first frame is encoded and could be
sent; the media thread sends it with its next tick, which is up to 20 ms later. In the same run the
bare library says the same words. Asked for again a prompt comes from memory, and by another
process from the folder. A page of text shows that its length does not matter. At last 40 calls ask
for one prompt each at the same moment.

Ratios travel between machines, milliseconds do not. Where more wants to run than there are cores
both mean little, because the engine is another process, to which there and back each waits for a
core: there a missed target is no failure. Otherwise it is exit status 1.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the server has it

import uvloop

from vxml_server.calls import PromptRenderer, SoundCache
from vxml_server.clock import SystemClock
from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import FetchRequest, Resource
from vxml_server.interpreter import Prompt, SpeechSegment
from vxml_server.media import Codec
from vxml_server.settings import TtsSettings
from vxml_server.tts import CachingSynthesizer, Synthesizer, synthesizer, voices
from vxml_server.tts.libespeak import NORMAL, library

FRAME = 160
UNCACHED_MS, CACHED_MS = 15.0, 2.0
SENTENCES = {
    "en-GB": "Your order number {} has left our house and will reach you in two days.",
    "fr-FR": "Votre commande numéro {} a quitté notre maison et vous parviendra sous deux jours.",
}
AT_ONCE = 40
PAGE = 40  # sentences


class NoFetcher:
    """Nothing here is fetched."""

    async def fetch(self, request: FetchRequest) -> Resource:
        raise VoiceXmlEvent("error.badfetch", request.uri)


def prompt_of(text: str, lang: str) -> Prompt:
    ssml = (
        f'<speak version="1.0" xmlns="http://www.w3.org/2001/10/synthesis" xml:lang="{lang}">'
        f"{text}</speak>"
    )
    return Prompt((SpeechSegment(ssml, text, lang),), lang, is_fixed=True)


async def ask(cache: Synthesizer, prompt: Prompt) -> tuple[float, float]:
    """Milliseconds to the first encoded frame, and to the last."""
    renderer = PromptRenderer(NoFetcher(), cache, SoundCache(2**26))
    first = 0.0
    begin = time.perf_counter()
    async with aclosing(renderer.render(prompt)) as pieces:
        async for piece in pieces:
            piece.sound.prepare(Codec.PCMA)
            if len(bytes(piece.sound.octets(Codec.PCMA, 0, FRAME))) < FRAME:
                raise AssertionError("a piece without a frame")
            first = first or time.perf_counter() - begin
    return first * 1000, (time.perf_counter() - begin) * 1000


def bare(text: str, lang: str) -> float:
    """Milliseconds of the library alone."""
    offer = library().offer(lang, (), "")
    if offer is None:
        raise AssertionError(f"no voice for {lang}")
    begin = time.perf_counter()
    library().speak(text, offer.voice, NORMAL, threading.Event())
    return (time.perf_counter() - begin) * 1000


def show(what: str, values: Sequence[float], reference: float | None = None) -> None:
    ordered = sorted(values)
    ratio = f"{statistics.median(ordered) / reference:8.2f}" if reference else " " * 8
    print(
        f"{what:<34}{statistics.median(ordered):9.2f}{ordered[int(len(ordered) * 0.95)]:9.2f}"
        f"{ordered[-1]:9.2f}{ratio}"
    )


async def measure(count: int, folder: Path) -> bool:
    clock = SystemClock()
    settings = TtsSettings(engines=("espeak",), cache_folder=folder)
    engines = voices(settings, clock)
    await engines.start()

    def fresh() -> CachingSynthesizer:
        return synthesizer(engines, settings, clock)

    langs = list(SENTENCES)
    asked = [
        (SENTENCES[lang].format(f"{number} {number + 17}"), lang)
        for number in range(count // 2)
        for lang in langs
    ]
    for lang in langs:  # voices are loaded, and their level measured, when they are first used
        await ask(fresh(), prompt_of("Bonjour.", lang))
    cache = fresh()
    alone, uncached, whole = [], [], []
    for text, lang in asked:
        alone.append(bare(text, lang))
        first, last = await ask(cache, prompt_of(text, lang))
        uncached.append(first)
        whole.append(last)
    cached = [(await ask(cache, prompt_of(text, lang)))[0] for text, lang in asked]
    await cache.close()
    other = fresh()
    kept = [(await ask(other, prompt_of(text, lang)))[0] for text, lang in asked]
    hits = (cache.hits, cache.misses, other.disk_hits, other.misses)
    if hits != (len(asked), len(asked), len(asked), 0):
        raise AssertionError(f"not what was to be measured: {hits}")

    reference = statistics.median(alone)
    print(f"{'milliseconds':<34}{'median':>9}{'95 %':>9}{'most':>9}{'ratio':>8}")
    show("the library alone, whole prompt", alone, reference)
    show("uncached, first 20 ms", uncached, reference)
    show("uncached, whole prompt", whole, reference)
    show("cached in memory, first 20 ms", cached, reference)
    show("cached in the folder, first 20 ms", kept, reference)

    pages = []
    for number in range(10):
        page = " ".join(SENTENCES["en-GB"].format(number * PAGE + n) for n in range(PAGE))
        pages.append(await ask(fresh(), prompt_of(page, "en-GB")))
    show(f"a page of {PAGE} sentences, first 20 ms", [first for first, _ in pages], reference)
    show(f"a page of {PAGE} sentences, whole", [last for _, last in pages], reference)
    crowd = await asyncio.gather(
        *(
            ask(fresh(), prompt_of(f"Caller {number}, welcome.", "en-GB"))
            for number in range(AT_ONCE)
        )
    )
    show(f"{AT_ONCE} calls at once, first 20 ms", [first for first, _ in crowd], reference)
    await engines.close()
    met = statistics.median(uncached) <= UNCACHED_MS and statistics.median(cached) <= CACHED_MS
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    print(
        f"targets (medians): uncached {UNCACHED_MS:g} ms, cached {CACHED_MS:g} ms:"
        f" {'met' if met else 'MISSED'}; load {load:.1f} on {cores} cores"
    )
    return met or load > cores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--prompts", type=int, default=60)
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        met = runner.run(measure(arguments.prompts, Path(folder)))
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
