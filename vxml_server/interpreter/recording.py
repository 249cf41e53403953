"""Recording a caller: `<record>`, section 2.3.6 of VoiceXML 2.0.

`visit_record` is the form item; `RecordKeys` tells for every platform which keys end a recording.
What must hold: audio that was said is kept whatever ended it, unless the input that did belongs to
another dialog or link.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vxml_server.events import VoiceXmlEvent
from vxml_server.interpreter.grammars import ItemOwner
from vxml_server.interpreter.keys import KeyCollector, KeyOutcome
from vxml_server.interpreter.platform import (
    InputKind,
    InputResult,
    Json,
    Recognition,
    RecordedAudio,
    RecordEnding,
    RecordRequest,
    RecordResult,
)
from vxml_server.interpreter.recordings import described, media_type_of
from vxml_server.interpreter.times import seconds

if TYPE_CHECKING:
    from vxml_server.interpreter.document import Element
    from vxml_server.interpreter.fia import FormInterpretation
    from vxml_server.interpreter.form_item import FormItem

DEFAULT_MAX_TIME = "60s"
DEFAULT_FINAL_SILENCE = "3s"
MAX_TIME_EXPRESSION = "vxml-server:maxtimeexpr"
# Seconds that one recording may last whatever the document says, as it is held in memory.
LONGEST = 1200.0


class RecordKeys:
    """The keys pressed during one recording.

    A match of a grammar ends it. With `dtmf_term` so does every key that no grammar takes, as if an
    anonymous grammar of one key were active; without, such keys are passed over. `unused` are keys
    that came with the end but belong to the next input.
    """

    def __init__(self, request: RecordRequest) -> None:
        self._request = request
        self._has_grammars = any(active.mode == "dtmf" for active in request.grammars)
        self._collector: KeyCollector | None = None
        self.is_listening = "dtmf" in request.properties.input_modes and (
            request.dtmf_term or self._has_grammars
        )
        self.unused = ""

    @property
    def deadline(self) -> float | None:
        """When `expire` is to be called."""
        return self._collector.deadline if self._collector else None

    def press(self, key: str, at: float) -> Recognition | None:
        """The input that ends the recording, if this key completes one."""
        if not self.is_listening:
            return None
        if not self._has_grammars:
            return _anonymous(key)
        if self._collector is None:
            self._collector = KeyCollector(self._request.grammars, self._request.properties)
        return self._ended(self._collector.feed(key, at))

    def expire(self) -> Recognition | None:
        """What the keys so far amount to, no other having come before `deadline`."""
        return None if self._collector is None else self._ended(self._collector.expire())

    def _ended(self, outcome: KeyOutcome | None) -> Recognition | None:
        if outcome is None:
            return None
        self._collector = None
        self.unused = outcome.unused
        if outcome.kind is InputKind.MATCH:
            return outcome.nbest[0]
        return _anonymous(outcome.pressed) if self._request.dtmf_term else None


def _anonymous(keys: str) -> Recognition:
    return Recognition(keys, 1.0, keys, "dtmf", None)


async def visit_record(form: FormInterpretation, item: FormItem) -> None:
    """Visits a `<record>`: asks the platform, fills the item, or does what the input says.

    An input of the recording's own that comes before anything was said leaves the item as it was,
    and it is visited again; one that belongs to another dialog or link is followed. A caller who
    hangs up leaves what was said so far, and `connection.disconnect.hangup` is thrown.
    """
    element, session = item.element, form.context.session
    request = RecordRequest(
        media_type=media_type_of(element.get("type")),
        beep=element.get("beep") == "true",
        max_time=min(_max_time(form, element), LONGEST),
        final_silence=seconds(element.get("finalsilence", DEFAULT_FINAL_SILENCE)),
        dtmf_term=element.get("dtmfterm", "true") == "true",
        grammars=await form.active_grammars(item),
        properties=form.frame(item).properties.input_properties(),
        lang=form.context.lang(element),
    )
    result = await session.record(request)
    heard = _input(result)
    if heard is not None:
        form.note_result(heard)
        active = heard.nbest[0].active
        if active is not None and not (
            isinstance(active.owner, ItemOwner) and active.owner.element is element
        ):
            await form.use(heard)
            return
    if result.ending is RecordEnding.NOINPUT:
        raise VoiceXmlEvent("noinput")
    if result.audio is None:
        session.check_hangup()
        return
    _fill(form, item, result, result.audio)
    session.check_hangup()
    await form.execute_filled()


def _max_time(form: FormInterpretation, element: Element) -> float:
    """What `maxtime` says, or our own `maxtimeexpr`, which says it by an expression.

    Raises `error.semantic` for an expression that gives no time.
    """
    expression = element.get(MAX_TIME_EXPRESSION)
    if not expression:
        return seconds(element.get("maxtime", DEFAULT_MAX_TIME))
    text = form.scopes.text(expression)
    try:
        return seconds(text)
    except ValueError as error:
        raise VoiceXmlEvent("error.semantic", f"maxtimeexpr: {error}") from None


def _input(result: RecordResult) -> InputResult | None:
    if result.recognition is None:
        return None
    return InputResult(InputKind.MATCH, (result.recognition,), result.mark_name, result.mark_time)


def _fill(
    form: FormInterpretation, item: FormItem, result: RecordResult, audio: RecordedAudio
) -> None:
    """The variable, and its shadow variables; those that do not apply are undefined."""
    engine, session = form.scopes.engine, form.context.session
    recorded = session.recordings.add(audio)
    engine.set(form.scopes.scope("dialog"), item.variable, recorded)
    figures = described(audio)
    shadow: dict[str, Json] = {
        "duration": figures["duration"],
        "size": figures["size"],
        "maxtime": result.ending is RecordEnding.MAX_TIME,
    }
    if (found := result.recognition) is not None:
        if found.mode == "dtmf":
            shadow["termchar"] = found.utterance
        shadow |= {
            "utterance": found.utterance,
            "confidence": found.confidence,
            "inputmode": found.mode,
        }
    if result.mark_name is not None and result.mark_time is not None:
        shadow |= {"markname": result.mark_name, "marktime": round(result.mark_time * 1000)}
    if item.name:
        engine.set_json(form.scopes.scope("dialog"), f"{item.name}$", shadow)
    form.mark_filled(item)
    session.observe(
        "record",
        {
            "name": item.name,
            "duration": audio.duration,
            "termchar": shadow.get("termchar"),
            "maxtime": shadow["maxtime"],
            "bytes": len(audio.data),
        },
    )
