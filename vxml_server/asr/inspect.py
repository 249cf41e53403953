"""The `listen` command: a recording put before the recogniser.

`hear` makes the record that the command prints: where speech was found, what each grammar makes of
it, and how long it took. It knows nothing of terminals. A record is a JSON object; its `error` says
why nothing could be heard at all, or is None.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from vxml_server.asr.engines import Engines, EngineSettings, build
from vxml_server.asr.recognition import RATE, RecognitionProperties, Samples, SpeechEngine
from vxml_server.audio import FRAME_SECONDS, SpeechActivity
from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar import Grammar, JsonValue
from vxml_server.settings import AsrSettings

Record = dict[str, JsonValue]

MATCH, NO_MATCH, IN_ERROR = 0, 1, 2
"""The exit statuses."""

NBEST = 5
_FRAME = round(RATE * FRAME_SECONDS)
_PIECE = 5 * _FRAME
_AROUND = 10
"""The frames before and after the speech that an engine hears as well."""


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
    span = speech_span(pcm)
    if span is None:
        return record | {"outcome": "noinput", "speech": None}, NO_MATCH
    first, last = span
    record["speech"] = [round(first * FRAME_SECONDS, 2), round(last * FRAME_SECONDS, 2)]
    # A line is there before and after the word; a recording may be cut close to it.
    silence = np.zeros(_AROUND * _FRAME, np.int16)
    padded = np.concatenate((silence, pcm, silence))
    heard = padded[first * _FRAME : (last + 2 * _AROUND) * _FRAME]
    try:
        engine.load()
        utterance = engine.start([grammar for _, grammar in grammars], properties)
        try:
            begun = time.process_time()
            for at in range(0, len(heard), _PIECE):
                utterance.feed(heard[at : at + _PIECE])
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


def speech_span(pcm: Samples) -> tuple[int, int] | None:
    """The first frame of speech and the one after the last; None where nobody speaks."""
    activity = SpeechActivity()
    # What is heard first is taken for the noise of the line.
    silence = np.zeros(_FRAME, np.int16)
    for _ in range(_AROUND):
        activity.feed(silence)
    count = -(-len(pcm) // _FRAME)
    padded = np.zeros(count * _FRAME, np.int16)
    padded[: len(pcm)] = pcm
    spoken = [n for n, frame in enumerate(padded.reshape(-1, _FRAME)) if activity.feed(frame)]
    return (spoken[0], spoken[-1] + 1) if spoken else None


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
