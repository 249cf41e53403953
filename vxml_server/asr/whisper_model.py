"""A Whisper model at work: sound goes in, and out come the odds of what may have been said.

CTranslate2 does the sums, in int8 and on one thread for each utterance, without the interpreter's
lock. An encoder is given no more silence than it needs, since its work grows with the square of the
time; the rest of its 30 s is never there.

The rule that must hold: what is asked of a model is bounded in rows, tokens and seconds, whatever
grammar is asked about.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import ctranslate2
import numpy as np
import numpy.typing as npt
import tokenizers

from vxml_server.asr.recognition import RATE, Samples
from vxml_server.asr.whisper_features import FRAMES_PER_SECOND, HOP, MOST_FRAMES, log_mel
from vxml_server.asr.whisper_features import RATE as MODEL_RATE
from vxml_server.asr.whisper_files import (
    CONFIG,
    TOKENIZER,
    VOCABULARY,
    WEIGHTS,
    ModelFiles,
    no_model,
)
from vxml_server.audio import resample

Tokens: TypeAlias = tuple[int, ...]
Logits: TypeAlias = npt.NDArray[np.float32]

ROWS = 24
"""Sentences that are looked at in one go: each costs memory, 0.2 MB a token."""
MOST_TOKENS = 220
"""Tokens of one text; half of a model's context, as in its training."""

FIRST_TOKENS, TOKENS_PER_SECOND = 6, 12.0
"""Nobody says more; a model that begins again at the end of what it heard does."""

SLOW_FRAMES = 160
"""Of so many frames CTranslate2 makes a memory that takes it ten times as long to read as that of
two frames more or less (measured with 4.8 on x86)."""

_SPACE = "Ġ"  # how the vocabulary writes the space that begins a word
_ENDS = frozenset({".", "!", "?", "...", "…", '."', "!!", "?!"})


@dataclass(frozen=True, slots=True)
class Text:
    """What a model wrote by itself: its tokens, the words, and their log-probability."""

    tokens: Tokens
    text: str
    score: float


class WhisperModel:
    """Weights, vocabulary and nothing of any caller; shared by all threads.

    `workers` utterances are worked on at the same time. Raises `error.noresource`.
    """

    def __init__(self, files: ModelFiles, workers: int = 1) -> None:
        content = {name: files.read(name) for name in (WEIGHTS, CONFIG, VOCABULARY)}
        try:
            self.model = ctranslate2.models.Whisper(
                files.name,
                files=content,
                compute_type="int8",
                intra_threads=1,
                inter_threads=max(1, workers),
            )
            self._tokenizer = tokenizers.Tokenizer.from_buffer(files.read(TOKENIZER))
        except (RuntimeError, ValueError) as error:
            raise no_model(f"the Whisper model {files.name} cannot be used: {error}") from None
        except Exception as error:  # tokenizers raises no more special class
            if type(error) is not Exception:
                raise
            raise no_model(f"the tokenizer of {files.name} cannot be used: {error}") from None
        self.name = files.name
        self.end = self._id("<|endoftext|>")

    def prompt(self, lang: str) -> Tokens:
        """What stands before a text in the language (a primary subtag)."""
        start, plain = self._id("<|startoftranscript|>"), self._id("<|notimestamps|>")
        if not self.model.is_multilingual:
            return (start, plain)
        return (start, self._id(f"<|{lang}|>"), self._id("<|transcribe|>"), plain)

    def tokens(self, texts: Sequence[str]) -> list[Tokens]:
        """The tokens of texts that begin a sentence."""
        found = self._tokenizer.encode_batch([f" {t}" for t in texts], add_special_tokens=False)
        return [tuple(one.ids) for one in found]

    def text(self, tokens: Iterable[int]) -> str:
        return str(self._tokenizer.decode(list(tokens))).strip()

    @cached_property
    def pieces(self) -> tuple[str, ...]:
        """The written form of each text token, a space before a word as a space."""
        return tuple(
            str(self._tokenizer.id_to_token(token) or "").replace(_SPACE, " ")
            for token in range(self.end)
        )

    @cached_property
    def ends(self) -> npt.NDArray[np.intp]:
        """The tokens that say that a sentence ends: the end itself, and what is written there."""
        marks = [token for token, piece in enumerate(self.pieces) if piece in _ENDS]
        return np.array([*marks, self.end], np.intp)

    def _id(self, token: str) -> int:
        found: int | None = self._tokenizer.token_to_id(token)
        if found is None:
            raise no_model(f"the Whisper model has no {token}")
        return found

    def hear(self, pcm: Samples, lang: str, silence: float) -> Hearing:
        """Listens to int16 samples at 8 kHz, with `silence` seconds added to their end.

        What is beyond the model's 30 s is not heard.
        """
        samples = resample(pcm, RATE, MODEL_RATE)
        wanted = len(samples) // HOP + round(silence * FRAMES_PER_SECOND)
        frames = min(MOST_FRAMES, wanted + wanted % 2)
        if frames == SLOW_FRAMES:
            frames += 2
        features = log_mel(samples, max(2, frames), self.model.n_mels)
        most = min(MOST_TOKENS, FIRST_TOKENS + round(TOKENS_PER_SECOND * len(pcm) / RATE))
        return Hearing(self, self._encoded(features), self.prompt(lang), most)

    def _encoded(self, features: Logits) -> Logits:
        view = ctranslate2.StorageView.from_array(features[None])
        return np.asarray(self.model.encode(view, to_cpu=True))


class Hearing:
    """One utterance in a model's ear. Used by one thread at a time."""

    def __init__(self, model: WhisperModel, memory: Logits, prompt: Tokens, most: int) -> None:
        self._model = model
        self._most = most
        self._memory = memory
        self._prompt = prompt

    def read(self, texts: Sequence[Tokens]) -> list[list[Logits]]:
        """For each of the texts the logits [vocabulary] of what follows each of its beginnings,
        from none of it to all of it: one more than it has tokens."""
        found: list[list[Logits]] = []
        for first in range(0, len(texts), ROWS):
            some = texts[first : first + ROWS]
            steps = max(map(len, some)) + 1
            results = self._model.model.generate(
                self._view(len(some)),
                [[*self._prompt, *text] for text in some],
                beam_size=1,
                # CTranslate2 halves it, and takes the prompt off.
                max_length=max(2 * steps, steps + len(self._prompt) - 1),
                suppress_blank=False,
                suppress_tokens=[],
                return_logits_vocab=True,
            )
            found.extend(
                [np.asarray(row).reshape(-1) for row in result.logits[0][: len(text) + 1]]
                for text, result in zip(some, results, strict=True)
            )
        return found

    def write(self, beams: int = 1, suppressed: Sequence[int] = (-1,)) -> list[Text]:
        """What the model would write down, the likeliest first; never a `suppressed` token."""
        result = self._model.model.generate(
            self._view(1),
            [list(self._prompt)],
            beam_size=beams,
            num_hypotheses=beams,
            max_length=2 * self._most,  # CTranslate2 halves it
            suppress_tokens=list(suppressed),
            length_penalty=0,
            return_scores=True,
        )[0]
        return [
            Text(tuple(ids), self._model.text(ids), float(score))
            for ids, score in zip(result.sequences_ids, result.scores, strict=True)
        ]

    def _view(self, rows: int) -> ctranslate2.StorageView:
        return ctranslate2.StorageView.from_array(np.repeat(self._memory, rows, axis=0))


def log_probabilities(
    logits: Logits, tokens: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.float64], float]:
    """The log-probabilities of some tokens, of the whole vocabulary's logits; and the greatest."""
    most = float(logits.max())
    total = float(np.log(np.exp(logits - np.float32(most)).sum(dtype=np.float64))) + most
    return logits[tokens].astype(np.float64) - total, most - total
