"""Words that were heard against the active voice grammars, where there is no recogniser.

What a recogniser would have heard is given as hypotheses with confidences; what a grammar does not
know is not heard as such (nomatch).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vxml_server.interpreter.platform import (
    InputKind,
    ListenRequest,
    Recognition,
)
from vxml_server.interpreter.script import Hypothesis


def recognise(
    hypotheses: Sequence[Hypothesis], request: ListenRequest
) -> tuple[InputKind, tuple[Recognition, ...]]:
    """MATCH or NOMATCH, and the n-best list: by confidence, then by precedence (section 5.1.5).

    The best match below `confidence_level` makes a NOMATCH that tells what matched. Raises
    `VoiceXmlEvent` `error.semantic` when a tag fails.
    """
    properties = request.properties
    likely = sorted(hypotheses, key=lambda hypothesis: -hypothesis.confidence)
    nbest: list[Recognition] = []
    for found in _matches(likely, request):
        if all(
            (found.utterance, found.interpretation) != (other.utterance, other.interpretation)
            for other in nbest
        ):
            nbest.append(found)
        if len(nbest) >= properties.max_nbest:
            break
    if not nbest:
        heard = Recognition(likely[0].words, likely[0].confidence, None, "voice", None)
        return InputKind.NOMATCH, (heard,)
    if nbest[0].confidence < properties.confidence_level:
        return InputKind.NOMATCH, tuple(nbest)
    return InputKind.MATCH, tuple(nbest)


def _matches(likely: Sequence[Hypothesis], request: ListenRequest) -> Iterator[Recognition]:
    for hypothesis in likely:
        for active in request.grammars:
            if active.mode != "voice":
                continue
            if (match := active.grammar.match(hypothesis.words)) is not None:
                yield Recognition(
                    match.utterance, hypothesis.confidence, match.interpretation, "voice", active
                )
