"""Vosk (Kaldi): any language for which the operator has a model.

A grammar is a list of sentences for it, or of words where sentences are too many, and one word for
all that is none of them where the model has it; the grammars themselves then choose what they
allow. A model is loaded once and shared; a recogniser belongs to one utterance. Vosk drops the
interpreter lock, and is fed as the caller speaks.

The rule that must hold: a grammar may only name words that the model knows, since others make
sentences that nobody can be heard to say; what is left out is logged.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

import structlog
import vosk

from vxml_server.asr.calibration import Calibration, calibration_of
from vxml_server.asr.engines import EngineSettings
from vxml_server.asr.recognition import RATE, RecognitionProperties, Samples, Utterance
from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar import Grammar, Hypothesis

_log = structlog.get_logger(__name__)

MAX_SENTENCES = 500
"""More than these are given as words."""
UNKNOWN = ("[unk]", "<unk>", "<UNK>", "[UNK]")
"""What models call the word that is none of their words."""
PACKAGE = "package:"
_SILENT = -1


def build(settings: EngineSettings) -> VoskEngine:
    """Vosk with a model directory a language: a path, or `package:NAME` of an installed package.

    Raises `VoiceXmlEvent` `error.noresource` where there is no model at all.
    """
    if not settings.models:
        raise VoiceXmlEvent("error.noresource", "Vosk needs a model: [asr.models.vosk] fr = ...")
    return VoskEngine({lang: folder_of(where) for lang, where in settings.models.items()})


def folder_of(where: str) -> Path:
    """The model directory of a path or a package; `error.noresource` when it is none."""
    name = where.removeprefix(PACKAGE)
    places = [Path(where)] if name == where else []
    if "/" not in name and name.isidentifier() and (spec := find_spec(name)) is not None:
        packages = [Path(folder) for folder in spec.submodule_search_locations or ()]
        places += [place for folder in packages for place in (folder, *sorted(folder.glob("*/")))]
    for place in places:
        if (place / "am" / "final.mdl").exists() or (place / "final.mdl").exists():
            return place
    raise VoiceXmlEvent("error.noresource", f"{where} is no model directory of Vosk")


class VoskEngine:
    """Models by language (`*` for any), each loaded when it is first needed."""

    def __init__(self, folders: Mapping[str, Path], calibration: Calibration | None = None) -> None:
        self._folders = {lang.lower(): folder for lang, folder in folders.items()}
        self._calibration = calibration
        self._models: dict[str, vosk.Model] = {}
        self._lock = threading.Lock()
        self._phrases = lru_cache(maxsize=256)(self._phrases_of)
        vosk.SetLogLevel(_SILENT)

    @property
    def identity(self) -> str:
        names = sorted({_name(folder) for folder in self._folders.values()})
        return f"vosk-{'+'.join(names)}"

    def load(self) -> None:
        for lang in self._folders:
            self._model(lang)

    def speaks(self, lang: str) -> bool:
        return self._known(lang) is not None

    def start(self, grammars: Sequence[Grammar], properties: RecognitionProperties) -> Utterance:
        known = self._known(properties.lang)
        if known is None:
            message = f"Vosk has no model for {properties.lang}"
            raise VoiceXmlEvent("error.unsupported.language", message)
        model = self._model(known)
        curve = self._calibration or calibration_of(self.identity, properties.lang)
        phrases = sorted({phrase for one in grammars for phrase in self._phrases(known, one)})
        if grammars and not phrases:
            return _Nothing()
        rest = [word for word in UNKNOWN if _knows(model, word)][:1]
        written = json.dumps([*phrases, *rest], ensure_ascii=False) if grammars else None
        return _VoskUtterance(model, written, grammars, curve, max(1, properties.max_nbest))

    def close(self) -> None:
        with self._lock:
            self._models.clear()

    def _known(self, lang: str) -> str | None:
        tag = lang.replace("_", "-").lower()
        wanted = (tag, tag.partition("-")[0], "*")
        return next((name for name in wanted if name in self._folders), None)

    def _model(self, lang: str) -> vosk.Model:
        with self._lock:
            if lang not in self._models:
                try:
                    self._models[lang] = vosk.Model(str(self._folders[lang]))
                except Exception as error:  # of no class of its own
                    message = f"Vosk: {self._folders[lang]}: {error}"
                    raise VoiceXmlEvent("error.noresource", message) from error
            return self._models[lang]

    def _phrases_of(self, lang: str, grammar: Grammar) -> tuple[str, ...]:
        """Sentences of a grammar, or its words, that the model knows in all their parts."""
        model = self._model(lang)
        sentences = grammar.sentences(MAX_SENTENCES)
        if sentences is None:
            sentences = tuple(text for text, _ in grammar.vocabulary())
        written = {" ".join(sentence.lower().split()) for sentence in sentences} - {""}
        known = {text for text in written if all(_knows(model, word) for word in text.split())}
        if missing := sorted(written - known):
            _log.warning("not in Vosk's dictionary", uri=grammar.uri, words=missing[:20])
        return tuple(sorted(known))


def _knows(model: vosk.Model, word: str) -> bool:
    return int(model.vosk_model_find_word(word)) >= 0


def _name(folder: Path) -> str:
    """What a model is called: a package keeps it in a folder that is called `model`."""
    return folder.parent.name if folder.name == "model" else folder.name


class _Nothing:
    """An utterance in which nothing can be understood: the model knows no word of the grammars."""

    def feed(self, pcm: Samples) -> None:
        pass

    def result(self) -> tuple[Hypothesis, ...]:
        return ()

    def close(self) -> None:
        pass


class _VoskUtterance:
    """One caller's speech: a recogniser for the best sentence, whose words have confidences, and
    one for the n-best list, which has none, where more than one is wanted.

    A result ends a recogniser. If the caller goes on, others hear it all again.
    """

    def __init__(
        self,
        model: vosk.Model,
        written: str | None,
        grammars: Sequence[Grammar],
        calibration: Calibration,
        nbest: int,
    ) -> None:
        self._model = model
        self._written = written
        self._grammars = grammars
        self._calibration = calibration
        self._nbest = nbest
        self._heard: list[bytes] = []
        self._best: _Run | None = None
        self._list: _Run | None = None

    def feed(self, pcm: Samples) -> None:
        if not len(pcm):
            return
        piece = pcm.tobytes()
        for run in self._runs():
            run.feed(piece)
        self._heard.append(piece)

    def result(self) -> tuple[Hypothesis, ...]:
        best, *lists = self._runs()
        self._best = self._list = None
        words = [word for part in best.end() for word in _listed(part, "result")]
        text = " ".join(str(word["word"]) for word in words if word["word"] not in UNKNOWN)
        sure = [_number(word.get("conf")) for word in words]
        found: list[Hypothesis] = []
        confidence = self._calibration.confidence(sum(sure) / len(sure) if sure else 0.0)
        if text and self._allow(text):
            found.append(Hypothesis(text, confidence))
        for run in lists:
            parts = [part for part in map(_alternatives, run.end()) if part]
            if len(parts) == 1:
                found += self._others(parts[0], {text}, confidence)
        return tuple(found[: self._nbest])

    def close(self) -> None:
        self._best = self._list = None
        self._heard.clear()

    def _runs(self) -> list[_Run]:
        """The recognisers, which have heard all that was fed."""
        if self._best is None:
            self._best = _Run(self._model, self._written)
            self._list = _Run(self._model, self._written, self._nbest) if self._nbest > 1 else None
            for piece in self._heard:
                self._best.feed(piece)
                if self._list is not None:
                    self._list.feed(piece)
        return [self._best] if self._list is None else [self._best, self._list]

    def _others(
        self, listed: Sequence[tuple[str, float]], known: set[str], confidence: float
    ) -> list[Hypothesis]:
        """Sentences behind the best: as much less sure as they are less likely."""
        top = max(likelihood for _, likelihood in listed)
        found = []
        for text, likelihood in listed:
            if text and text not in known and self._allow(text):
                known.add(text)
                found.append(Hypothesis(text, confidence * min(1.0, math.exp(likelihood - top))))
        return sorted(found, key=lambda one: -one.confidence)

    def _allow(self, text: str) -> bool:
        return not self._grammars or any(grammar.match(text) for grammar in self._grammars)


_Record: TypeAlias = Mapping[str, object]


class _Run:
    """A recogniser and the parts that it has finished: it ends one at each longer pause."""

    def __init__(self, model: vosk.Model, written: str | None, alternatives: int = 0) -> None:
        rate = float(RATE)
        try:
            if written is None:
                self._recogniser = vosk.KaldiRecognizer(model, rate)
            else:
                self._recogniser = vosk.KaldiRecognizer(model, rate, written)
        except Exception as error:  # of no class of its own
            raise VoiceXmlEvent("error.noresource", f"Vosk: {error}") from error
        self._recogniser.SetWords(not alternatives)
        self._recogniser.SetMaxAlternatives(alternatives)
        self._parts: list[_Record] = []

    def feed(self, piece: bytes) -> None:
        try:
            if self._recogniser.AcceptWaveform(piece):
                self._parts.append(_record(self._recogniser.Result()))
        except Exception as error:  # of no class of its own
            raise VoiceXmlEvent("error.noresource", f"Vosk: {error}") from error

    def end(self) -> list[_Record]:
        return [*self._parts, _record(self._recogniser.FinalResult())]


def _record(text: str) -> _Record:
    found = json.loads(text)
    return found if isinstance(found, dict) else {}


def _listed(part: _Record, name: str) -> list[_Record]:
    found = part.get(name, [])
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else 0.0


def _alternatives(part: _Record) -> list[tuple[str, float]]:
    """Texts, without what was no word, and their log likelihoods; none where all are empty."""
    found = []
    for one in _listed(part, "alternatives"):
        words = [word for word in str(one.get("text", "")).split() if word not in UNKNOWN]
        found.append((" ".join(words), _number(one.get("confidence"))))
    return found if any(text for text, _ in found) else []
