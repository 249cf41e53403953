"""A scripted caller's call without a document: single waits, transfers and prompts."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import FetchRequest, Resource
from vxml_server.grammar import builtin, phrase
from vxml_server.interpreter.cues import Cues
from vxml_server.interpreter.platform import (
    ActiveGrammar,
    InputKind,
    InputProperties,
    InputResult,
    Json,
    ListenRequest,
    Prompt,
    SpeechSegment,
    TransferRequest,
    TransferResult,
)
from vxml_server.interpreter.script import parse_script
from vxml_server.interpreter.scripted import ScriptedPlatform

PROPERTIES = InputProperties(timeout=5.0, interdigit_timeout=3.0)


class NoFetcher:
    async def fetch(self, request: FetchRequest) -> Resource:
        raise VoiceXmlEvent("error.badfetch", "there is nothing here", uri=request.uri)


def prompt(text: str, ssml: str = "", **others: object) -> Prompt:
    segment = SpeechSegment(f"<speak>{ssml or text}</speak>", text, "en")
    return replace(Prompt((segment,), "en"), **others)  # type: ignore[arg-type]


def voice(*phrases: str, scope: str = "field") -> tuple[ActiveGrammar, ...]:
    return tuple(ActiveGrammar(phrase(text, "en"), "voice", scope, text) for text in phrases)


def digits(parameters: str) -> ActiveGrammar:
    return ActiveGrammar(builtin(f"builtin:dtmf/digits?{parameters}"), "dtmf", "field", None)


TEN_WORDS = prompt("one two three four five six seven eight nine ten")  # three seconds
HOT = replace(TEN_WORDS, bargein_type="hotword")
MARKED = prompt("one two three four", 'one <mark name="a"/> two three <mark name="b"/> four')
FOUR_DIGITS = (digits("length=4"),)
CITIES = voice("chicago", "boston")


class Call:
    """A scripted call and what was seen of it."""

    def __init__(self, *steps: str) -> None:
        lines = "".join(f"- {step}\n" for step in steps)
        self.seen: list[tuple[float, str, dict[str, Json]]] = []
        self.cues = Cues(parse_script(f"steps:\n{lines}").steps, self.see)
        self.platform = ScriptedPlatform(self.cues, NoFetcher(), self.observe)

    def observe(self, kind: str, record: dict[str, Json]) -> None:
        self.cues.observe(kind, record)
        self.see(kind, record)

    def see(self, kind: str, record: dict[str, Json]) -> None:
        self.seen.append((round(self.platform.now(), 3), kind, record))

    def listen(
        self,
        *prompts: Prompt,
        grammars: tuple[ActiveGrammar, ...] = CITIES + FOUR_DIGITS,
        properties: InputProperties = PROPERTIES,
    ) -> InputResult:
        return asyncio.run(self.platform.listen(ListenRequest(prompts, grammars, properties)))

    def transfer(self, kind: str = "bridge", **others: object) -> TransferResult:
        request = TransferRequest("tel:1", "bridge")
        request = replace(request, type=kind, **others)  # type: ignore[arg-type]
        return asyncio.run(self.platform.transfer(request))

    @property
    def now(self) -> float:
        return round(self.platform.now(), 3)

    @property
    def heard(self) -> list[Json]:
        return [record["text"] for _, kind, record in self.seen if kind == "prompt"]

    @property
    def inputs(self) -> list[tuple[float, Json]]:
        return [(at, record["utterance"]) for at, kind, record in self.seen if kind == "input"]


def utterance(result: InputResult) -> str:
    assert result.kind is InputKind.MATCH
    return result.nbest[0].utterance
