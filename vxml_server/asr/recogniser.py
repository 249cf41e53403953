"""Speech recognition as a server has it: engines by language, and places for a number of callers.

The rules that must hold: `listen` returns at once and touches no engine, no work of an engine is
done on the event loop, and an engine that has not loaded its models is not asked for anything.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

import structlog

from vxml_server.asr.engines import Engines, EngineSettings, build
from vxml_server.asr.listening import Listening
from vxml_server.asr.pool import Recognition, RecognitionPool
from vxml_server.asr.recognition import RecognitionProperties, SpeechEngine
from vxml_server.asr.voice import Attention, VoiceBusy, VoiceEvent, VoiceRequest
from vxml_server.asr.workers import ThreadWorkers
from vxml_server.audio import SpeechActivity
from vxml_server.clock import Clock
from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar import Grammar
from vxml_server.settings import AsrSettings

_log = structlog.get_logger(__name__)


class Recogniser:
    """The ears of a server.

    `post` has something done on the event loop and may be called by any thread.
    """

    def __init__(
        self,
        engines: Engines,
        pool: RecognitionPool,
        *,
        clock: Clock,
        post: Callable[[Callable[[], None]], object],
    ) -> None:
        self.pool = pool
        self._engines = engines
        self._clock = clock
        self._post = post
        self._unready: set[str] = set()
        self._is_closed = False

    def load(self) -> None:
        """Loads the models in the background, one engine after the other.

        Until then others are asked in its place, and for ever if its models cannot be used.
        """
        self._unready = {name for name, _ in self._engines.all()}
        threading.Thread(target=self._load, name="asr models", daemon=True).start()

    def _load(self) -> None:
        for name, engine in self._engines.all():
            try:
                engine.load()
            except Exception as error:
                if not self._is_closed:
                    _log.error("a recogniser has no model", engine=name, error=str(error))
            else:
                self._unready.discard(name)
                _log.info("a recogniser is ready", engine=name, model=engine.identity)

    @property
    def ready(self) -> tuple[str, ...]:
        """Names of the engines that have their models."""
        return tuple(name for name, _ in self._engines.all() if name not in self._unready)

    def close(self) -> None:
        """Gives engines back; nobody listens any more."""
        self._is_closed = True
        self.pool.close()
        for _, engine in self._engines.all():
            engine.close()

    def listen(
        self,
        request: VoiceRequest,
        tell: Callable[[VoiceEvent], None],
        *,
        attention: Attention = Attention.SPEECH,
        activity: SpeechActivity | None = None,
    ) -> Listening:
        """Waits for voice: what is returned is to be the tap of the caller's channel.

        `tell` is called on the loop. `activity` holds what is known of the line's noise: one for
        the whole of a call. Raises `VoiceBusy` when there is no place for one more or no engine of
        the language has its model, and `VoiceXmlEvent` `error.unsupported.language` when no engine
        speaks a language of the grammars.
        """
        name, engine, lang = self._choose(request)
        self.pool.check()
        if name in self._unready:
            raise VoiceBusy
        chosen, unheard = _by_language(request.grammars, lang)
        for index in unheard:
            grammar = request.grammars[index]
            _log.warning(
                "a grammar in another language is not listened to",
                listened_to=lang,
                lang=grammar.lang,
                uri=grammar.uri,
            )
        heard = tuple(request.grammars[index] for index in chosen)
        properties = RecognitionProperties(lang, request.max_nbest, request.speed_vs_accuracy)
        activity = SpeechActivity() if activity is None else activity
        activity.sensitivity = request.sensitivity

        def begin(failed: Callable[[VoiceXmlEvent], None]) -> Recognition:
            return self.pool.begin(name, engine, heard, properties, failed)

        return Listening(
            request,
            tell,
            begin=begin,
            clock=self._clock,
            post=self._post,
            attention=attention,
            activity=activity,
            unheard=unheard,
        )

    def _choose(self, request: VoiceRequest) -> tuple[str, SpeechEngine, str]:
        """Engine and language: that of the request if a grammar has it, else the nearest
        grammar's that some engine speaks."""
        spoken = [grammar.lang or request.lang for grammar in request.grammars] or [request.lang]
        spoken.sort(key=lambda lang: primary(lang) != primary(request.lang))
        for lang in dict.fromkeys(spoken):
            found = self._engines.of(lang, self._unready)
            if found is not None:
                return *found, lang
        raise VoiceXmlEvent(
            "error.unsupported.language",
            f"there is no speech recognition for {', '.join(dict.fromkeys(spoken))}",
        )


def primary(lang: str) -> str:
    """The language of a tag without region: `fr` of `fr-CA`."""
    return lang.partition("-")[0].lower()


def _by_language(
    grammars: tuple[Grammar, ...], lang: str
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Indices of the grammars of a language, and of the others."""
    chosen: list[int] = []
    others: list[int] = []
    for index, grammar in enumerate(grammars):
        is_chosen = not grammar.lang or primary(grammar.lang) == primary(lang)
        (chosen if is_chosen else others).append(index)
    return tuple(chosen), tuple(others)


def recogniser_of(
    settings: AsrSettings, clock: Clock, post: Callable[[Callable[[], None]], object]
) -> Recogniser | None:
    """The recogniser of the settings; None when they name no engine. `load` has yet to be called.

    Raises `VoiceXmlEvent` `error.noresource`, for the operator, when an engine is unknown, not
    installed or refuses its settings.
    """
    if not settings.engines:
        return None
    engines = Engines(
        {
            name: build(name, EngineSettings(settings.models.get(name, {}), settings.processes))
            for name in settings.engines
        },
        settings.languages,
    )

    def post_while_it_runs(callback: Callable[[], None]) -> None:
        # A loop that is closed has nobody who waits for an answer.
        with suppress(RuntimeError):
            post(callback)

    pool = RecognitionPool(
        recognitions=settings.recognitions,
        waiting=settings.waiting,
        deadline=settings.deadline,
        clock=clock,
        workers=ThreadWorkers(settings.recognitions),
        post=post_while_it_runs,
    )
    return Recogniser(engines, pool, clock=clock, post=post_while_it_runs)
