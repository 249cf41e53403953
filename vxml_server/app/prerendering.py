"""`vxml-server prompts render`: the prompts of an application are spoken before the first call.

Documents are gone through by the links that stand in them, from the ones that are named; of each,
the prompts that are the same for every caller are rendered into a folder, and so are the
platform's own words in the languages that were met. What is rendered is what a call will ask for,
because the parts that make a call's requests make these.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from urllib.parse import urlsplit

from vxml_server.app.engines import start_voices
from vxml_server.app.errors import CannotStart
from vxml_server.calls import PromptRenderer, SoundCache
from vxml_server.clock import Clock
from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import Fetcher, FetchRequest, ResourceFetcher
from vxml_server.interpreter import (
    DocumentStore,
    StaticPrompt,
    platform_prompts,
    static_links,
    static_prompts,
)
from vxml_server.settings import FetchSettings, Settings, SettingsError, load
from vxml_server.tts import CachingSynthesizer, Chunk, SpeechRequest, synthesizer

MAX_DOCUMENTS = 1000
TEXT_WIDTH = 60
ALL_RENDERED, SOME_NOT, BAD_USAGE = 0, 1, 2

Write = Callable[[str], None]


@dataclass(slots=True)
class Totals:
    """What a run did. `seconds` and `bytes` are of the speech that is in the folder now."""

    rendered: int = 0
    there: int = 0
    skipped: int = 0
    failed: int = 0
    seconds: float = 0.0
    bytes: int = 0


async def render_prompts(
    uris: Sequence[str],
    write: Write,
    complain: Write,
    *,
    clock: Clock,
    config: Path | None = None,
    out: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> int:
    """Renders what the documents say to the folder `out`, else to that of the settings.

    Writes a table, or complains of the settings; returns the exit status: 0 everything that is the
    same for every caller is there, 1 something could not be read or rendered, 2 the settings cannot
    be used.
    """
    try:
        settings = load(config, os.environ if environ is None else environ)
    except SettingsError as error:
        complain(str(error))
        return BAD_USAGE
    folder = out or settings.tts.cache_folder
    if folder is None:
        complain("no folder: expected --out, or cache_folder in [tts]")
        return BAD_USAGE
    tts = settings.tts.model_copy(update={"cache_folder": folder})
    try:
        voices = await start_voices(tts, clock)
    except CannotStart as error:
        complain(str(error))
        return BAD_USAGE
    # Whoever types the command may read what it can reach.
    fetcher = Fetcher(FetchSettings(files=(Path(Path.cwd().anchor),), allow=("*",)), clock)
    try:
        keeper = _Keeper(synthesizer(voices, tts, clock))
        run = _Run(settings, fetcher.session(), keeper, write)
        await run.documents(uris)
        run.end(folder)
    finally:
        await fetcher.close()
        await voices.close()
    return SOME_NOT if run.totals.failed else ALL_RENDERED


class _Keeper:
    """A `Synthesizer` whose speech goes to the folder, and what became of the last prompt."""

    def __init__(self, cache: CachingSynthesizer) -> None:
        self._cache = cache
        self.identity = cache.identity
        self.seconds = 0.0
        self.bytes = 0
        self.was_there = True
        self.is_used = False

    def begin(self) -> None:
        self.seconds, self.bytes, self.was_there, self.is_used = 0.0, 0, True, False

    async def stream(self, request: SpeechRequest) -> AsyncGenerator[Chunk]:
        speech, was_there = await self._cache.preserve(request)
        self.is_used = True
        self.seconds += speech.duration
        self.bytes += speech.pcm.nbytes
        self.was_there = self.was_there and was_there
        yield Chunk(speech.pcm, speech.marks, speech.warnings, is_last=True)


class _Run:
    """One run: what was seen, in which languages, and what was done."""

    def __init__(
        self, settings: Settings, fetch: ResourceFetcher, keeper: _Keeper, write: Write
    ) -> None:
        self.totals = Totals()
        self._fetch = fetch
        self._keeper = keeper
        self._write = write
        self._lang = settings.voicexml.language
        self._documents = DocumentStore(strict=settings.voicexml.strict)
        self._renderer = PromptRenderer(fetch, keeper, SoundCache(0))

    async def documents(self, uris: Sequence[str]) -> None:
        """Everything that the documents lead to, each once, and then the platform's own words."""
        langs = {self._lang: None}
        named = dict.fromkeys(map(_absolute, uris))
        pending = deque(named)
        seen = set(named)
        while pending:
            uri = pending.popleft()
            self._write(uri)
            try:
                document = await self._documents.compile(await self._fetch.fetch(FetchRequest(uri)))
            except VoiceXmlEvent as event:
                if uri in named:
                    self._failed(event.line or 0, str(event))
                else:  # a program perhaps, which answers calls alone
                    self._skipped(event.line or 0, f"not read: {event}")
                continue
            for prompt in static_prompts(document, self._lang):
                if prompt.prompt is not None:
                    langs[prompt.prompt.lang] = None
                await self._render(prompt)
            for link in static_links(document):
                # Whoever is not of this application has an operator of his own.
                if _authority(link) != _authority(document.uri) or link in {*seen, document.uri}:
                    continue
                if len(seen) >= MAX_DOCUMENTS:
                    self._failed(0, f"more than {MAX_DOCUMENTS} documents: {link} is left out")
                    break
                seen.add(link)
                pending.append(link)
        for lang in langs:
            self._write(f"the server's own words, {lang}")
            for prompt in platform_prompts(lang):
                await self._render(prompt)

    async def _render(self, static: StaticPrompt) -> None:
        if static.prompt is None:
            self._skipped(static.line, static.reason)
            return
        self._keeper.begin()
        words, files = [], 0
        try:
            async for piece in self._renderer.render(static.prompt):
                files += bool(piece.audio)
                words.append(piece.text)
        except VoiceXmlEvent as event:
            self._failed(static.line, str(event))
            return
        text = shorten(" ".join(filter(None, words)), TEXT_WIDTH, placeholder="…")
        if not self._keeper.is_used:
            self._skipped(static.line, "audio files alone" if files else "nothing to say")
            return
        totals, keeper = self.totals, self._keeper
        if keeper.was_there:
            totals.there += 1
        else:
            totals.rendered += 1
        totals.seconds += keeper.seconds
        totals.bytes += keeper.bytes
        what = "there" if keeper.was_there else "rendered"
        size = f"{keeper.seconds:6.1f} s {keeper.bytes / 1000:7.1f} kB"
        self._line(static.line, what, f"{size}  {static.prompt.lang:<6} {text}")

    def _skipped(self, line: int, reason: str) -> None:
        self.totals.skipped += 1
        self._line(line, "skipped", reason)

    def _failed(self, line: int, reason: str) -> None:
        self.totals.failed += 1
        self._line(line, "failed", reason)

    def _line(self, line: int, what: str, text: str) -> None:
        self._write(f"{line or '':>6}  {what:<8}  {text}")

    def end(self, folder: Path) -> None:
        totals = self.totals
        self._write(
            f"{totals.rendered} rendered, {totals.there} there before, {totals.skipped} skipped,"
            f" {totals.failed} failed: {totals.seconds:.1f} s, {totals.bytes / 1e6:.1f} MB"
            f" in {folder}"
        )


def _absolute(uri: str) -> str:
    """The URI of a path; what is a URI already as it is."""
    return (
        uri if urlsplit(uri).scheme in {"http", "https", "file"} else Path(uri).absolute().as_uri()
    )


def _authority(uri: str) -> tuple[str, str]:
    parts = urlsplit(uri)
    is_path = parts.scheme not in {"http", "https"}
    return ("file", "") if is_path else (parts.scheme, parts.netloc.lower())
