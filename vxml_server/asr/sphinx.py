"""PocketSphinx: English with nothing but a wheel, for servers that have no better recogniser.

Light and quick (a hundredth of the time of what is said) and not very exact: good for words that
sound different. Its decoder searches the graph of the active grammars; whether what it found was
said at all is judged by `Judgement`, since a search of a graph always finds something.

Short utterances are decoded when the result is asked for, by the cepstral mean of all of their
speech. After `STEADY` frames of speech the mean is good enough to stay, and decoding goes along
with the caller, so that the result of a long utterance is there as soon as that of a short one.

The rule that must hold: a decoder belongs to one utterance at a time. Its C code keeps the
interpreter lock and trusts its input, so `build` puts the engine into child processes.
"""

from __future__ import annotations

import math
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
import pocketsphinx

from vxml_server.asr.calibration import Calibration, calibration_of
from vxml_server.asr.child import ChildEngine
from vxml_server.asr.engines import EngineSettings
from vxml_server.asr.recognition import RecognitionProperties, Samples, Utterance
from vxml_server.asr.sphinx_features import MARGIN, Bands, Frames, Norm, norm_of
from vxml_server.asr.sphinx_grammar import Written, plain, write
from vxml_server.asr.sphinx_model import prepare
from vxml_server.asr.sphinx_words import Pronunciations
from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar import Grammar, Hypothesis

IDENTITY = "pocketsphinx-en-us-8k"
STEADY = 80
"""Frames of speech after which the cepstral mean stays as it is."""
WORD_INSERTION = 0.005
SILENCE = 0.05
"""Probabilities of one more word and of a pause: found with joined digits, of which the decoder
otherwise hears too many."""
SHORTEST = 10
"""Frames of speech that may be a word."""
IDLE_DECODERS = 12
"""How many are kept for grammars that may come again, 8 MB each."""
_ALTERNATIVES = 60
"""Paths of the word lattice that are looked at for an n-best list; most differ in silence only."""
# The decoder's scores are logarithms to e, of 1024 to the path's probability.
_SCORE_SCALE = 1024.0
_SMALLEST = 1e-300


def build(settings: EngineSettings) -> ChildEngine:
    """PocketSphinx in child processes; `settings.models` are not used: there is but one model."""
    return ChildEngine(_engine, identity=IDENTITY, speaks=speaks, processes=settings.processes)


def _engine() -> SphinxEngine:
    """In the child."""
    return SphinxEngine(Path(tempfile.mkdtemp(prefix="sphinx-")))


def speaks(lang: str) -> bool:
    """Whether this is English, of whatever region."""
    return lang.replace("_", "-").partition("-")[0].lower() == "en"


@dataclass(frozen=True, slots=True)
class Judgement:
    """How well a path of the decoder explains what was heard.

    `fit` is its score a frame of the words, the best Gaussian of all that were looked at being 0;
    `unexplained` is the part of the speech in which it has no word, and `filled` the part of the
    utterance in which it has one; `lead` is its distance from the next sentence, a frame (0
    where there is none).
    """

    fit: float
    unexplained: float
    filled: float
    lead: float

    @property
    def score(self) -> float:
        """What separates right from wrong (a logit, fitted with real prompts at 8 kHz)."""
        weights = (2.34, -16.6, 1.68, 1.04, 5.81)
        facts = (
            max(self.fit, -8.0),
            self.unexplained,
            self.filled,
            max(-1.0, min(self.lead, 1.0)),
            1.0,
        )
        return sum(weight * fact for weight, fact in zip(weights, facts, strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    """A decoder with one set of grammars in it; None where nothing could be said."""

    key: tuple[str, ...]
    decoder: pocketsphinx.Decoder | None
    written: Written | None


class SphinxEngine:
    """The engine itself, which runs in a child. `folder` is where the bent model is kept."""

    def __init__(self, folder: Path, calibration: Calibration | None = None) -> None:
        self._folder = folder
        self._calibration = calibration or calibration_of(IDENTITY, "en")
        self._pronunciations = Pronunciations()
        self._lock = threading.Lock()
        self._idle: OrderedDict[int, _Search] = OrderedDict()
        self._write = lru_cache(maxsize=64)(self._written)

    @property
    def identity(self) -> str:
        return IDENTITY

    def load(self) -> None:
        self._pronunciations.of("yes")
        self.give_back(self.take(("#JSGF V1.0;\ngrammar g;\npublic <g> = yes;\n",)))

    def speaks(self, lang: str) -> bool:
        return speaks(lang)

    def start(self, grammars: Sequence[Grammar], properties: RecognitionProperties) -> Utterance:
        if not speaks(properties.lang):
            raise VoiceXmlEvent(
                "error.unsupported.language", f"PocketSphinx does not speak {properties.lang}"
            )
        key = tuple(sorted({_jsgf(grammar) for grammar in grammars}))
        # Whatever is wrong with the grammars comes to light here.
        self.give_back(self.take(key))
        return _SphinxUtterance(self, key, grammars, max(1, properties.max_nbest))

    def close(self) -> None:
        with self._lock:
            self._idle.clear()

    def confidence(self, judgement: Judgement) -> float:
        return self._calibration.confidence(judgement.score)

    def take(self, key: tuple[str, ...]) -> _Search:
        """A decoder for these grammars that nobody else uses."""
        with self._lock:
            for number, search in reversed(self._idle.items()):
                if search.key == key:
                    return self._idle.pop(number)
        written = self._write(key) if key else None
        decoder = self._decoder(written) if written or not key else None
        return _Search(key, decoder, written)

    def give_back(self, search: _Search) -> None:
        with self._lock:
            self._idle[id(search)] = search
            while len(self._idle) > IDLE_DECODERS:
                self._idle.popitem(last=False)

    def _written(self, key: tuple[str, ...]) -> Written | None:
        with self._lock:
            return write(key, self._pronunciations.of)

    def _decoder(self, written: Written | None) -> pocketsphinx.Decoder:
        """A decoder for grammars; for dictation without any."""
        settings: dict[str, str | float | bool] = prepare(self._folder) | {
            "loglevel": "FATAL",
            "bestpath": False,
        }
        try:
            if written is None:
                settings["lm"] = pocketsphinx.get_model_path("en-us/en-us.lm.bin")
                settings["dict"] = pocketsphinx.get_model_path("en-us/cmudict-en-us.dict")
                return pocketsphinx.Decoder(pocketsphinx.Config(**settings))
            with tempfile.NamedTemporaryFile("w", suffix=".dict", dir=self._folder) as dictionary:
                dictionary.write(written.dictionary)
                dictionary.flush()
                settings |= {"dict": dictionary.name, "wip": WORD_INSERTION, "silprob": SILENCE}
                decoder = pocketsphinx.Decoder(pocketsphinx.Config(**settings, lm=None))
        except RuntimeError as error:
            raise VoiceXmlEvent("error.noresource", f"PocketSphinx: {error}") from error
        try:
            decoder.add_jsgf_string("active", written.jsgf)
        except RuntimeError:
            decoder.add_jsgf_string("active", written.loop)
        decoder.activate_search("active")
        return decoder


@lru_cache(maxsize=256)
def _jsgf(grammar: Grammar) -> str:
    return grammar.to_jsgf()


class _SphinxUtterance:
    """One caller's speech. `_norm` is set, and `_search` taken, once decoding goes along."""

    def __init__(
        self, engine: SphinxEngine, key: tuple[str, ...], grammars: Sequence[Grammar], nbest: int
    ) -> None:
        self._engine = engine
        self._key = key
        self._grammars = grammars
        self._nbest = nbest
        self._bands = Bands()
        self._norm: Norm | None = None
        self._search: _Search | None = None
        self._decoded = 0
        """The frames that the decoder has been given, from `_norm.start` on."""

    def feed(self, pcm: Samples) -> None:
        self._bands.feed(pcm)
        frames = self._bands.frames
        if self._norm is None:
            norm = norm_of(frames)
            if norm is None or np.count_nonzero(norm.is_speech(frames)) < STEADY:
                return
            self._norm = norm
        self._go_along(frames, self._norm)

    def result(self) -> tuple[Hypothesis, ...]:
        frames = self._bands.frames
        norm = self._norm or norm_of(frames)
        if norm is None or np.count_nonzero(norm.is_speech(frames)) < SHORTEST:
            return ()
        self._go_along(frames, norm)
        search, self._search = self._search, None
        assert search is not None
        try:
            return self._heard(search, frames, norm)
        finally:
            self._engine.give_back(search)

    def close(self) -> None:
        if self._search is not None:
            with suppress(RuntimeError):
                self._end(self._search)
            self._engine.give_back(self._search)
            self._search = None

    def _go_along(self, frames: Frames, norm: Norm) -> None:
        """Decodes up to the last speech, and a little more."""
        if self._search is None:
            self._search = self._engine.take(self._key)
            self._decoded = 0
            if self._search.decoder is not None:
                self._search.decoder.start_utt()
        begin = norm.start + self._decoded
        end = min(len(frames), norm.start + _last(norm.is_speech(frames[norm.start :])) + MARGIN)
        if end > begin and self._search.decoder is not None:
            cepstra = np.ascontiguousarray(norm.cepstra(frames[begin:end]))
            try:
                self._search.decoder.process_cep(cepstra.tobytes(), no_search=False)
            except RuntimeError as error:
                raise VoiceXmlEvent("error.noresource", f"PocketSphinx: {error}") from error
        self._decoded = max(self._decoded, end - norm.start)

    def _end(self, search: _Search) -> None:
        if search.decoder is not None:
            search.decoder.end_utt()

    def _heard(self, search: _Search, frames: Frames, norm: Norm) -> tuple[Hypothesis, ...]:
        self._end(search)
        decoder, written = search.decoder, search.written
        best = None if decoder is None else decoder.hyp()
        if decoder is None or best is None or not best.hypstr:
            return ()
        speech = norm.is_speech(frames[norm.start : norm.start + self._decoded])
        fit, unexplained, filled = _explained(decoder, speech)
        found = self._sentences(decoder, written, best.hypstr, best.score)
        if not found:
            return ()
        (text, score), *others = found
        length = max(1, self._decoded)
        lead = min((score - other for _, other in others), default=0.0) / length
        confidence = self._engine.confidence(Judgement(fit, unexplained, filled, lead))
        hypotheses = [Hypothesis(text, confidence)]
        for other, its_score in others[: self._nbest - 1]:
            behind = (score - its_score) / length
            judgement = Judgement(fit - behind, unexplained, filled, -behind)
            hypotheses.append(
                Hypothesis(other, min(confidence, self._engine.confidence(judgement)))
            )
        return tuple(hypotheses)

    def _sentences(
        self, decoder: pocketsphinx.Decoder, written: Written | None, best: str, score: float
    ) -> list[tuple[str, float]]:
        """Sentences that the grammars allow, each once, with their scores.

        The decoder's best path stays the first, though the lattice, which forgets the context of
        phones at the borders of words, may score another higher. Lattices of anything but a simple
        grammar take seconds to make.
        """
        found: dict[str, float] = {}
        paths = [(best, score)]
        if written is not None and written.is_simple:
            # There may be no lattice, or one without a way through, whose path is None.
            others = islice(decoder.nbest() or (), _ALTERNATIVES)
            paths += [(path.hypstr, path.score) for path in others if path is not None]
        for heard, its_score in paths:
            text = self._text(written, heard.split())
            if text and text not in found:
                found[text] = math.log(max(its_score, _SMALLEST)) * _SCORE_SCALE
                if len(found) > self._nbest:
                    break
        listed = list(found.items())
        return [*listed[:1], *sorted(listed[1:], key=lambda item: -item[1])]

    def _text(self, written: Written | None, heard: Sequence[str]) -> str:
        """The sentence of a grammar that was heard; "" when none allows it."""
        if written is None:
            return " ".join(filter(None, map(plain, heard)))
        spellings = filter(None, written.texts(heard))
        allowed = (text for text in spellings if any(map(self._matching(text), self._grammars)))
        return next(allowed, "")

    @staticmethod
    def _matching(text: str) -> Callable[[Grammar], bool]:
        return lambda grammar: grammar.match(text) is not None


def _last(speech: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> int:
    """One more than the index of the last frame of speech."""
    where = np.flatnonzero(speech)
    return int(where[-1]) + 1 if len(where) else 0


def _explained(
    decoder: pocketsphinx.Decoder, speech: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> tuple[float, float, float]:
    """`fit`, `unexplained` and `filled` of a `Judgement` of the decoder's best path."""
    covered = np.zeros(len(speech), np.bool_)
    score, length = 0.0, 0
    for segment in decoder.seg():
        if plain(segment.word):
            covered[segment.start_frame : segment.end_frame + 1] = True
            score += math.log(max(segment.ascore, _SMALLEST)) * _SCORE_SCALE
            length += segment.end_frame - segment.start_frame + 1
    if not length:
        return -math.inf, 1.0, 0.0
    unexplained = float(np.count_nonzero(speech & ~covered)) / max(
        1.0, float(np.count_nonzero(speech))
    )
    return score / length, unexplained, length / max(1, len(speech))
