"""Whisper (Radford et al. 2022) as a recogniser that hears only what grammars allow.

A grammar of few enough sentences is searched sentence by sentence (`whisper_search`). For any other
the model writes by itself, held to the words of the grammar, and what it wrote is a result if the
grammar has it. Without grammars it writes whatever it hears.

The rule that must hold: nothing is worked out before it is asked for but what is the same for all
callers, and that is kept: models, trees of grammars, what silence sounds like.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from vxml_server.asr.calibration import calibration_of
from vxml_server.asr.engines import EngineSettings
from vxml_server.asr.recognition import RATE, RecognitionProperties, Samples
from vxml_server.asr.whisper_files import ModelFiles, find_model
from vxml_server.asr.whisper_model import Text, WhisperModel
from vxml_server.asr.whisper_search import Reader, Scored, Tree, learn_priors, search, tree_of
from vxml_server.asr.whisper_spelling import most_figures, readings, spellings
from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar import Grammar, Hypothesis

SOME_SENTENCES, MOST_SENTENCES = 500, 10_000
"""Grammars of more sentences than both `SOME` and twice their words, or than `MOST`, are not
searched one by one: they are no lists, and to count their sentences takes long."""
KNOWN_GRAMMARS = 64
"""Grammars whose trees are kept."""
WARM_WAYS = 96
"""Trees of at most so many ways are ready before the caller has said anything."""
SHORT_SILENCE = 1.0
"""Seconds of silence after what was said: enough for one sentence of a grammar."""
LONG_SILENCE = 6.0
"""With less, a model that writes by itself begins again when it is through."""
BEAMS = 5
FAST = 0.3
"""Below this `speedvsaccuracy` a model that writes by itself looks at one way only."""
LEAD_PART = 0.2
MOST_LEAD = 6.0
# What may be written of marks and figures: where no word is a number, where all are digits, and
# otherwise. Digits one by one, since of those in a row a model leaves some out; but one that may
# not write "25" leaves out the 2.
_WRITTEN = tuple(re.compile(rf" ?(?:[,.:'/-]{figures})") for figures in ("", "|[0-9]", "|[0-9]+"))


def build(settings: EngineSettings) -> WhisperEngine:
    """The engine of the models that the settings name. Raises `error.noresource`."""
    if not settings.models:
        raise VoiceXmlEvent(
            "error.noresource",
            "the recogniser 'whisper' needs a model: a folder or package for a language",
        )
    found: dict[str, ModelFiles] = {}
    for lang, spec in sorted(settings.models.items()):  # "*" comes first
        files = find_model(spec)
        primary = _primary(lang)
        languages = files.languages()
        if primary != "*" and primary not in languages:
            message = f"the Whisper model {files.name} does not know the language {lang!r}"
            raise VoiceXmlEvent("error.noresource", message)
        found.update(dict.fromkeys(languages if primary == "*" else [primary], files))
    return WhisperEngine(found, settings.processes)


def _primary(lang: str) -> str:
    return lang.partition("-")[0].lower()


class WhisperEngine:
    """The models of an engine, by language; `workers` utterances at the same time a model."""

    def __init__(self, files: Mapping[str, ModelFiles], workers: int = 1) -> None:
        self._files = dict(files)
        self._workers = workers
        self._ears: dict[str, Ear] = {}
        self._models: dict[str, WhisperModel] = {}
        self._lock = threading.Lock()

    @property
    def identity(self) -> str:
        names = dict.fromkeys(files.name for files in self._files.values())
        return f"whisper {'+'.join(names)}"

    def load(self) -> None:
        for lang in self._files:
            self.ear(lang)

    def speaks(self, lang: str) -> bool:
        return _primary(lang) in self._files

    def start(
        self, grammars: Sequence[Grammar], properties: RecognitionProperties
    ) -> WhisperUtterance:
        if not self.speaks(properties.lang):
            message = f"no Whisper model for the language {properties.lang!r}"
            raise VoiceXmlEvent("error.unsupported.language", message)
        ear = self.ear(_primary(properties.lang))
        return WhisperUtterance(ear, ear.question(grammars), properties)

    def ear(self, lang: str) -> Ear:
        """What listens in a language (a primary subtag)."""
        with self._lock:
            if lang not in self._ears:
                files = self._files[lang]
                if files.name not in self._models:
                    self._models[files.name] = WhisperModel(files, self._workers)
                self._ears[lang] = Ear(self._models[files.name], lang)
            return self._ears[lang]

    def close(self) -> None:
        with self._lock:
            self._ears.clear()
            self._models.clear()


@dataclass(frozen=True, slots=True)
class Question:
    """What grammars ask of a model: which of a tree's sentences it was, or what was said in the
    words of the `open` grammars, written without the `suppressed` tokens."""

    tree: Tree | None
    open: tuple[Grammar, ...]
    suppressed: tuple[int, ...]


class Ear:
    """A model that listens in one language, and what it learnt of grammars."""

    def __init__(self, model: WhisperModel, lang: str) -> None:
        self.model = model
        self.lang = lang
        self.calibration = calibration_of(f"whisper {model.name}", lang)
        self.silence = model.hear(np.zeros(RATE // 2, np.int16), lang, SHORT_SILENCE)
        # A grammar is kept with what was made of it, so that its identity stays its own.
        self._known: OrderedDict[tuple[int, ...], tuple[tuple[Grammar, ...], Question]] = (
            OrderedDict()
        )
        self._lock = threading.Lock()

    def question(self, grammars: Sequence[Grammar]) -> Question:
        """What these grammars ask; worked out once for the same ones."""
        key = tuple(map(id, grammars))
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key][1]
        question = self._question(grammars)
        with self._lock:
            self._known[key] = tuple(grammars), question
            if len(self._known) > KNOWN_GRAMMARS:
                self._known.popitem(last=False)
        return question

    def _question(self, grammars: Sequence[Grammar]) -> Question:
        sentences: dict[str, None] = {}
        endless = []
        for grammar in grammars:
            limit = min(MOST_SENTENCES, max(SOME_SENTENCES, 2 * len(grammar.vocabulary())))
            found = grammar.sentences(limit)
            if found is None:
                endless.append(grammar)
            else:
                sentences.update(dict.fromkeys(text for text in found if text.strip()))
        tree = self._tree(list(sentences)) if sentences else None
        suppressed = self._suppressed(endless) if endless else (-1,)
        return Question(tree, tuple(endless), suppressed)

    def _tree(self, sentences: Sequence[str]) -> Tree:
        ways = [spellings(sentence, self.lang) for sentence in sentences]
        tokens = iter(self.model.tokens([way for some in ways for way in some]))
        tree = tree_of(sentences, [[next(tokens) for _ in some] for some in ways])
        learn_priors(tree, self.silence, WARM_WAYS)
        return tree

    def _suppressed(self, grammars: Sequence[Grammar]) -> tuple[int, ...]:
        """The text tokens that no spelling of a word of the grammars has."""
        words = [word for grammar in grammars for word, _ in grammar.vocabulary()]
        if not words or any(grammar.match("\N{GREEK SMALL LETTER OMEGA}") for grammar in grammars):
            return (-1,)
        texts = [way for word in dict.fromkeys(words) for way in spellings(word, self.lang)]
        allowed = {token for tokens in self.model.tokens(texts) for token in tokens}
        written = _WRITTEN[min(2, most_figures(words, self.lang))]
        allowed |= {n for n, piece in enumerate(self.model.pieces) if written.fullmatch(piece)}
        return tuple(token for token in range(self.model.end) if token not in allowed)

    def answer(self, question: Question, pcm: Samples, beams: int) -> list[Answer]:
        """What was said, of what was asked; the likeliest first."""
        if question.tree is None and not question.open:
            return self._dictation(pcm, beams)
        silence = LONG_SILENCE if question.open else SHORT_SILENCE
        hearing = self.model.hear(pcm, self.lang, silence)
        chosen: list[Answer] = []
        if question.tree is not None:
            found = search(question.tree, hearing, self.silence, self.model.ends)
            chosen = answers(found, [one.score for one in found])
        own: list[Answer] = []
        if question.open:
            texts = hearing.write(beams, question.suppressed)
            own = written(
                [(self._in_grammar(text.text, question.open), text) for text in texts],
                *(hearing, self.silence, self.model.ends),
            )
        by_best = sorted((some for some in (chosen, own) if some), key=lambda a: -a[0].evidence)
        return [one for some in by_best for one in some]

    def _in_grammar(self, text: str, grammars: Sequence[Grammar]) -> str | None:
        for reading in readings(text, self.lang):
            for grammar in grammars:
                match = grammar.match(reading)
                if match is not None:
                    return match.utterance
        return None

    def _dictation(self, pcm: Samples, beams: int) -> list[Answer]:
        hearing = self.model.hear(pcm, self.lang, LONG_SILENCE)
        texts = [text for text in hearing.write(beams) if text.text]
        found = [Scored(one.text, one.score, one.score, 0.0, len(one.tokens)) for one in texts]
        return answers(found, [one.score for one in found])


class WhisperUtterance:
    """One caller's speech; all the work is done when the result is asked for."""

    def __init__(self, ear: Ear, question: Question, properties: RecognitionProperties) -> None:
        self._ear = ear
        self._question = question
        self._properties = properties
        self._pieces: list[Samples] = []

    def feed(self, pcm: Samples) -> None:
        self._pieces.append(pcm)

    def result(self) -> tuple[Hypothesis, ...]:
        pcm = np.concatenate(self._pieces) if self._pieces else np.zeros(0, np.int16)
        if not pcm.any():
            return ()
        beams = 1 if self._properties.speed_vs_accuracy < FAST else BEAMS
        try:
            found = self._ear.answer(self._question, pcm, beams)
        except RuntimeError as error:
            message = f"the Whisper model {self._ear.model.name} failed: {error}"
            raise VoiceXmlEvent("error.noresource", message) from error
        return tuple(
            Hypothesis(one.text, self._ear.calibration.confidence(one.evidence))
            for one in found[: self._properties.max_nbest]
        )

    def close(self) -> None:
        self._pieces.clear()


@dataclass(frozen=True, slots=True)
class Answer:
    """What may have been said, and how much speaks for it: what calibration starts from."""

    text: str
    evidence: float


def answers(found: Sequence[Scored], odds: Sequence[float]) -> list[Answer]:
    """Sentences in the order of their logarithmic `odds`, with what speaks for each.

    That is the score for each token and the end, and by how much it is ahead of the next sentence
    (or behind the best). What no grammar has scores low; what is between two sentences leads by
    little.
    """
    given = []
    for place, one in enumerate(found):
        others = odds[0] if place else max(odds[1:], default=-np.inf)
        lead = max(-MOST_LEAD, min(MOST_LEAD, odds[place] - others))
        given.append(Answer(one.text, one.score / (one.tokens + 1) + LEAD_PART * lead))
    return given


def written(
    texts: Iterable[tuple[str | None, Text]],
    heard: Reader,
    silence: Reader,
    ends: npt.NDArray[np.intp],
) -> list[Answer]:
    """What a model wrote by itself, each text with the sentence that a grammar makes of it.

    The order is the model's own: for a long text it is better than what is corrected by the prior,
    token for token, which shows better whether anything of it was said at all. That is asked about
    the first sentence only, as it was written; the others are as far behind it as the model has
    them. To ask about each took as long as to hear and to write.
    """
    best: dict[str, Text] = {}
    for said, text in sorted(texts, key=lambda pair: -pair[1].score):
        if said is not None and text.tokens:
            best.setdefault(said, text)
    if not best:
        return []
    said, first = next(iter(best.items()))
    leader = search(tree_of((said,), [[first.tokens]]), heard, silence, ends)[0]
    found = [
        replace(leader, text=said, score=leader.score + text.score - first.score)
        for said, text in best.items()
    ]
    return answers(found, [text.score for text in best.values()])
