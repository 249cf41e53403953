"""An engine for child processes that does to them what its audio says."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence

import numpy as np

from vxml_server.asr import RecognitionProperties, Samples
from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar import Grammar, Hypothesis

CRASH, HANG, FAIL = 1, 2, 3
"""First samples of what is fed, and what comes of it."""


class FragileUtterance:
    """Hears the first sentence of its grammars; confidence is how many samples it was fed."""

    def __init__(self, grammars: Sequence[Grammar], lang: str) -> None:
        self._grammars = grammars
        self._lang = lang
        self._samples = 0

    def feed(self, pcm: Samples) -> None:
        self._samples += len(pcm)
        with tempfile.NamedTemporaryFile(delete=False) as file:
            file.write(pcm.tobytes())
        if pcm[0] == CRASH:
            os.abort()
        if pcm[0] == HANG:
            time.sleep(3600)
        if pcm[0] == FAIL:
            raise ValueError("no such sound")

    def result(self) -> tuple[Hypothesis, ...]:
        texts = [(grammar.sentences() or ("",))[0] for grammar in self._grammars]
        texts += [self._lang, str(os.getpid())]
        return tuple(Hypothesis(text, self._samples / 8000) for text in texts)

    def close(self) -> None:
        self._samples = -1


class FragileEngine:
    """Made in the child."""

    identity = "fragile"

    def __init__(self, *, loads: bool = True) -> None:
        self._loads = loads

    def load(self) -> None:
        if not self._loads:
            raise VoiceXmlEvent("error.noresource", "the model is not there")

    def speaks(self, lang: str) -> bool:
        return lang == "en"

    def start(
        self, grammars: Sequence[Grammar], properties: RecognitionProperties
    ) -> FragileUtterance:
        if not self.speaks(properties.lang):
            raise VoiceXmlEvent("error.unsupported.language", properties.lang)
        return FragileUtterance(grammars, properties.lang)

    def close(self) -> None:
        pass


def audio(first: int, samples: int = 800) -> Samples:
    pcm = np.zeros(samples, np.int16)
    pcm[0] = first
    return pcm
