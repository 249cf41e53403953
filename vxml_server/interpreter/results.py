"""What a recognition leaves behind: shadow variables and `application.lastresult$`.

Sections 2.3.1 and 5.1.5 of VoiceXML 2.0, and sections 4 (marks) and 7 (utterances recorded) of 2.1.
"""

from __future__ import annotations

from vxml_server.ecmascript import Object
from vxml_server.interpreter.platform import InputResult, Json, Recognition, RecordedAudio
from vxml_server.interpreter.recordings import Recordings, described
from vxml_server.interpreter.scopes import Scopes

LAST = "lastresult$"


def forget_last(scopes: Scopes) -> None:
    """What was recognised lasts until the next wait for input (section 5.1.5)."""
    scopes.engine.set_undefined(scopes.scope("application"), LAST)


def set_last(scopes: Scopes, result: InputResult, recordings: Recordings) -> None:
    """`application.lastresult$` (section 5.1.5): an array that also has its first's parts."""
    engine = scopes.engine
    scope = scopes.scope("application")
    engine.set_with_parts(scope, LAST, [_as_json(found) for found in result.nbest])
    if result.mark_name is not None:
        holder = engine.from_json({"marks": _marks(result)})
        engine.evaluate("Object.assign(lastresult$, marks)", [scope, holder])
    if result.audio is not None:
        _add_recording(scopes, engine.get(scope, LAST), result.audio, recordings)


def set_shadow(
    scopes: Scopes,
    name: str,
    recognition: Recognition | None,
    result: InputResult | None,
    more: dict[str, Json],
    recordings: Recordings,
) -> None:
    """The shadow variable `name$` of an item that was filled, with `more` that its kind has."""
    engine, dialog = scopes.engine, scopes.scope("dialog")
    shadow: dict[str, Json] = {} if recognition is None else _as_json(recognition)
    if result is not None and result.mark_name is not None:
        shadow |= _marks(result)
    engine.set_json(dialog, f"{name}$", shadow | more)
    if result is not None and result.audio is not None:
        _add_recording(scopes, engine.get(dialog, f"{name}$"), result.audio, recordings)


def _add_recording(
    scopes: Scopes, target: Object, audio: RecordedAudio, recordings: Recordings
) -> None:
    """What the caller said while it was recognised (VoiceXML 2.1 section 7)."""
    engine, figures = scopes.engine, described(audio)
    engine.set(target, "recording", recordings.add(audio))
    engine.set_json(target, "recordingsize", figures["size"])
    engine.set_json(target, "recordingduration", figures["duration"])


def _marks(result: InputResult) -> dict[str, Json]:
    """The last mark played, and the milliseconds since (VoiceXML 2.1 section 4)."""
    passed = None if result.mark_time is None else round(result.mark_time * 1000)
    return {"markname": result.mark_name, "marktime": passed}


def _as_json(recognition: Recognition) -> dict[str, Json]:
    """The properties that shadow variables and `lastresult$` have in common."""
    return {
        "confidence": recognition.confidence,
        "utterance": recognition.utterance,
        "inputmode": recognition.mode,
        "interpretation": recognition.interpretation,
    }
