"""What tests ask of engines of recognition: a choice of words, and what is heard of it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vxml_server.asr import RecognitionProperties, SpeechEngine
from vxml_server.grammar import Grammar, Hypothesis, load

PIECE = 800
"""Samples that an engine is fed at a time."""


def choice(*words: str, lang: str = "en") -> Grammar:
    text = f"#JSGF V1.0 UTF-8; grammar g; public <g> = {' | '.join(words)};"
    return load(text.encode(), media_type="application/x-jsgf", lang=lang)


def hear(
    engine: SpeechEngine, lang: str, pcm: npt.NDArray[np.int16], *grammars: Grammar
) -> tuple[Hypothesis, ...]:
    utterance = engine.start(grammars, RecognitionProperties(lang, max_nbest=3))
    try:
        for at in range(0, len(pcm), PIECE):
            utterance.feed(pcm[at : at + PIECE])
        return utterance.result()
    finally:
        utterance.close()
