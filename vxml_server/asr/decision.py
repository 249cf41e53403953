"""What hypotheses amount to: how long a pause ends the speech, and what the result is.

VoiceXML 2.0 sections 6.3.2 and appendix D. The complete timeout applies when the speech is a
complete match and no further words can be spoken; the incomplete one when it is not yet a match,
and also when it is one that further words could continue. All active grammars are considered
together, as with keys: what is complete in one and can go on in another can go on. Of words that
match nothing, or with less confidence than is wanted, nobody knows whether they are all, so that
the incomplete timeout applies to them as well.
"""

from __future__ import annotations

from collections.abc import Sequence

from vxml_server.asr.voice import Understood, VoiceEnding, VoiceRequest
from vxml_server.grammar import Grammar, Hypothesis, Status, nbest


def patience(hypotheses: Sequence[Hypothesis], request: VoiceRequest) -> float:
    """How long a pause (seconds) ends speech of which so much was heard."""
    for heard in sorted(hypotheses, key=lambda heard: -heard.confidence):
        if heard.confidence < request.confidence_level:
            break
        statuses = _statuses(heard.text, request.grammars)
        if any(status.matches for status in statuses):
            is_open = Status.PARTIAL in statuses or Status.MATCH_OPEN in statuses
            return request.incomplete_timeout if is_open else request.complete_timeout
    return request.incomplete_timeout


def decide(
    hypotheses: Sequence[Hypothesis], request: VoiceRequest
) -> tuple[VoiceEnding, tuple[Understood, ...]]:
    """MATCH or NOMATCH, and the n-best list as `VoiceResult` has it.

    Raises `VoiceXmlEvent` `error.semantic` when a tag fails.
    """
    likely = sorted(hypotheses, key=lambda heard: -heard.confidence)
    if request.grammars:
        found = tuple(
            Understood(
                heard.match.utterance, heard.confidence, heard.match.interpretation, heard.grammar
            )
            for heard in nbest(likely, request.grammars, request.max_nbest)
        )
    else:
        spoken = [heard for heard in likely if heard.text.strip()][: request.max_nbest]
        found = tuple(Understood(one.text, one.confidence, one.text, None) for one in spoken)
    if not found:
        best = likely[0] if likely else Hypothesis("", 0.0)
        return VoiceEnding.NOMATCH, (Understood(best.text, best.confidence, None, None),)
    if found[0].confidence < request.confidence_level:
        return VoiceEnding.NOMATCH, found
    return VoiceEnding.MATCH, found


def _statuses(text: str, grammars: Sequence[Grammar]) -> list[Status]:
    return [grammar.start().feed(text) for grammar in grammars]
