"""A Whisper model that says what the tests want it to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vxml_server.asr.whisper_model import Logits, Tokens

WORDS = 8
END = WORDS  # the token that ends a sentence; there is a full stop after it
ENDS = np.array([END, END + 1])


class Model:
    """Odds of what follows a beginning; where nothing is said, all are alike."""

    def __init__(self, odds: dict[Tokens, dict[int, float]] | None = None) -> None:
        self.odds = odds or {}
        self.asked: list[list[Tokens]] = []

    def read(self, texts: Sequence[Tokens]) -> list[list[Logits]]:
        self.asked.append(list(texts))
        return [[self.after(text[:at]) for at in range(len(text) + 1)] for text in texts]

    def after(self, beginning: Tokens) -> Logits:
        row = np.zeros(WORDS + 2, np.float32)
        for token, odds in self.odds.get(beginning, {}).items():
            row[token] = odds
        return row


def says(*texts: Tokens, odds: float = 6.0) -> Model:
    """A model that hears one of the texts, or another."""
    known: dict[Tokens, dict[int, float]] = {}
    for text in texts:
        for at in range(len(text) + 1):
            following = text[at] if at < len(text) else END
            known.setdefault(text[:at], {})[following] = odds
    return Model(known)
