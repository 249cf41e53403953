"""The `listen` command: a recording put before the recogniser.

`hear` makes the record that the command prints: where speech was found, what each grammar makes of
it, and how long it took. It knows nothing of terminals. A record is a JSON object; its `error` says
why nothing could be heard at all, or is None.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vxml_server.asr.endpointer import LEAD_FRAMES, Endpointer, News
from vxml_server.asr.engines import Engines, EngineSettings, build
from vxml_server.asr.recognition import RATE, RecognitionProperties, Samples, SpeechEngine
from vxml_server.audio import FRAME_SECONDS, ONSET_FRAMES, SpeechActivity
from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar import Grammar, JsonValue
from vxml_server.settings import AsrSettings

Record = dict[str, JsonValue]

MATCH, NO_MATCH, IN_ERROR = 0, 1, 2
"""The exit statuses."""

NBEST = 5
LONGEST_PAUSE = 50
"""Frames: a caller who is quiet for 1 s has finished."""
_FRAME = round(RATE * FRAME_SECONDS)

DEFAULT_ENGINE = "pocketsphinx"
"""What hears where the settings name nothing else: it needs no model of the operator's."""


def listen(
    pcm: Samples,
    grammars: Sequence[tuple[str, Grammar]],
    lang: str,
    settings: AsrSettings,
    engine: str = "",
) -> tuple[Record, int]:
    """`hear` with the engines of the settings, or the one that is named.

    Raises `VoiceXmlEvent` `error.noresource` when an engine is unknown or not installed.
    """
    names = (engine,) if engine else settings.engines or (DEFAULT_ENGINE,)
    preferred = {} if engine else settings.languages
    built: dict[str, SpeechEngine] = {}
    try:
        for name in names:
            models = settings.models.get(name, {})
            built[name] = build(name, EngineSettings(models, processes=1))
        properties = RecognitionProperties(lang, NBEST)
        return hear(pcm, grammars, Engines(built, preferred), properties)
    finally:
        for one in built.values():
            one.close()


def hear(
    pcm: Samples,
    grammars: Sequence[tuple[str, Grammar]],
    engines: Engines,
    properties: RecognitionProperties,
    confidence_level: float = 0.5,
) -> tuple[Record, int]:
    """What is understood of int16 [n] at 8 kHz, and the exit status.

    `grammars` are names and grammars, none for dictation. A match is a result that a grammar
    accepts with at least `confidence_level`.
    """
    record: Record = {"error": None, "duration": round(len(pcm) / RATE, 2)}
    found = engines.of(properties.lang)
    if found is None:
        return record | {"error": f"no recogniser speaks {properties.lang}"}, IN_ERROR
    name, engine = found
    record["engine"] = name
    spoken = first_utterance(pcm)
    if spoken is None:
        return record | {"outcome": "noinput", "speech": None}, NO_MATCH
    record["speech"] = [round(spoken.began, 2), round(spoken.ended, 2)]
    try:
        engine.load()
        utterance = engine.start([grammar for _, grammar in grammars], properties)
        try:
            begun = time.process_time()
            for piece in spoken.pieces:
                utterance.feed(piece)
            ended = time.perf_counter()
            hypotheses = utterance.result()
            record["latency"] = round(time.perf_counter() - ended, 4)
            record["cpu"] = round(time.process_time() - begun, 4)
        finally:
            utterance.close()
        listed: list[JsonValue] = [
            {"text": one.text, "confidence": round(one.confidence, 3)} for one in hypotheses
        ]
        sure = bool(hypotheses) and hypotheses[0].confidence >= confidence_level
        judged: list[JsonValue] = []
        for written, grammar in grammars:
            understood: list[JsonValue] = [
                {
                    "utterance": one.match.utterance,
                    "interpretation": one.interpretation,
                    "confidence": round(one.confidence, 3),
                }
                for one in grammar.interpret(hypotheses, properties.max_nbest)
            ]
            accepted = sure and grammar.match(hypotheses[0].text) is not None
            judged.append({"grammar": written, "accepted": accepted, "nbest": understood})
    except VoiceXmlEvent as event:
        return record | {"error": str(event)}, IN_ERROR
    outcome = "match" if sure else "nomatch"
    record |= {"outcome": outcome, "heard": listed, "grammars": judged}
    return record, MATCH if sure else NO_MATCH


@dataclass(frozen=True, slots=True)
class Spoken:
    """Somebody speaks from `began` to `ended` (seconds); `pieces` are what an engine is fed."""

    began: float
    ended: float
    pieces: tuple[Samples, ...]


def first_utterance(pcm: Samples) -> Spoken | None:
    """What a call would hear of a recording before it answers; None where nobody speaks.

    The line is quiet before the recording, which may be cut close to a word, and after it.
    """
    activity, endpointer = SpeechActivity(), Endpointer(end=LONGEST_PAUSE)
    length = -(-len(pcm) // _FRAME) + LEAD_FRAMES + LONGEST_PAUSE
    line = np.zeros(length * _FRAME, np.int16)
    line[LEAD_FRAMES * _FRAME :][: len(pcm)] = pcm
    began = ended = 0
    pieces: list[Samples] = []
    for number, frame in enumerate(line.reshape(-1, _FRAME), 1 - LEAD_FRAMES):
        endpoint = endpointer.feed(frame, activity.feed(frame))
        if endpoint is None:
            continue
        if endpoint.news is News.BEGAN:
            if pieces:
                break
            began = number - ONSET_FRAMES
        ended = number - endpoint.quiet
        pieces.append(np.concatenate(endpoint.frames))
    if not pieces:
        return None
    return Spoken(max(0, began) * FRAME_SECONDS, ended * FRAME_SECONDS, tuple(pieces))


def in_words(record: Record) -> str:
    """A record as a person reads it."""
    if record["error"]:
        return f"error: {record['error']}"
    speech = record["speech"]
    if not isinstance(speech, list):
        return f"no speech in {record['duration']} s"
    lines = [f"speech from {speech[0]} to {speech[1]} s, heard by {record['engine']}"]
    lines += [f"  {one['confidence']:.2f}  {one['text']}" for one in _records(record["heard"])]
    for judged in _records(record["grammars"]):
        verdict = "accepted" if judged["accepted"] else "rejected"
        lines.append(f"{judged['grammar']}: {verdict}")
        lines += [
            f"  {one['confidence']:.2f}  {one['utterance']} = {one['interpretation']}"
            for one in _records(judged["nbest"])
        ]
    lines.append(
        f"{record['outcome']}, {_ms(record['latency'])} after the end of speech, "
        f"{_ms(record['cpu'])} of CPU in this process"
    )
    return "\n".join(lines)


def _records(value: JsonValue) -> list[Record]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _ms(seconds: JsonValue) -> str:
    return f"{seconds * 1000:.0f} ms" if isinstance(seconds, float) else "?"
