"""Piper's own phonemizer, in a process of its own: the words of a sentence as phonemes.

Piper asks libespeak-ng how words are pronounced, through an extension module of C. That loses
memory with every text (the phonemes of each clause, and a copy of the voice), and there are texts
that crash it: a hundred initials in a row do. So it runs beside the server (`phonemizer_main`),
in a small process that is replaced after `MAX_REQUESTS`, in about 50 ms.

The rule: no text of a document reaches that module in the server's own process.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from vxml_server.clock import Clock
from vxml_server.events import VoiceXmlEvent
from vxml_server.tts import wire
from vxml_server.tts.child import ANOTHER_ANSWER, Child

MAIN = Path(__file__).with_name("phonemizer_main.py")
MAX_REQUESTS = 1000  # that lose 3 MB of ordinary sentences, and 20 MB of the worst
SECONDS = 5.0  # for a sentence, which takes less than a millisecond
PRONUNCIATION = re.compile(r"\[\[(.*?)\]\]")


class Phonemizer:
    """`phonemize_espeak` of the piper package in `folder`. For one event loop."""

    def __init__(self, folder: Path, clock: Clock, *, max_requests: int = MAX_REQUESTS) -> None:
        self._child = Child(
            "piper",
            ("-I", str(MAIN), str(folder)),
            wire.Frame(phonemize=wire.Phonemize("en", ())),
            clock,
            SECONDS,
            max_requests=max_requests,
        )

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        return self._child.pid

    @property
    def starts(self) -> int:
        """Processes started so far."""
        return self._child.starts

    async def start(self) -> None:
        await self._child.start()

    async def close(self) -> None:
        await self._child.close()

    async def phonemes(
        self, parts: Sequence[str], voice: str, clusters: Collection[tuple[str, ...]] = ()
    ) -> list[list[str]]:
        """The phonemes of each sentence.

        `parts` are words and pronunciations in turn, as `PRONUNCIATION` splits them; `voice` is
        espeak's for the language. Raises `error.noresource` when the process fails.
        """
        words = wire.Phonemize(voice, tuple(parts[::2]), tuple(clusters))
        answer, _ = await self._child.ask(wire.Frame(phonemize=words))
        if answer.phonemized is None or len(answer.phonemized.texts) != len(words.texts):
            raise VoiceXmlEvent("error.noresource", ANOTHER_ANSWER)
        return sentences(answer.phonemized.texts, parts[1::2])


def sentences(
    texts: Sequence[Sequence[Sequence[str]]], pronunciations: Sequence[str]
) -> list[list[str]]:
    """Phonemes by sentence of texts that have a pronunciation between each two.

    It belongs to the sentence before it, and what follows it does too, up to where that ends.
    """
    result: list[list[str]] = [[]]

    def go_on(phonemes: Sequence[str]) -> None:
        if result[-1] and phonemes:
            result[-1].append(" ")
        result[-1].extend(phonemes)

    for number, text in enumerate(texts):
        if number:
            go_on(pronunciations[number - 1])
        if text:
            go_on(text[0])
            result.extend(list(sentence) for sentence in text[1:])
    return [sentence for sentence in result if sentence]
