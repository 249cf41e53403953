"""Words that were heard against the active voice grammars, where there is no recogniser.

What a recogniser would have heard is given as hypotheses with confidences; what a grammar does not
know is not heard as such (nomatch).
"""

from __future__ import annotations

from collections.abc import Sequence

from vxml_server.grammar import Hypothesis as Heard
from vxml_server.grammar import nbest
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
    active = [active for active in request.grammars if active.mode == "voice"]
    properties = request.properties
    heard = nbest(
        [Heard(one.words, one.confidence) for one in hypotheses],
        [one.grammar for one in active],
        properties.max_nbest,
    )
    if not heard:
        likeliest = max(hypotheses, key=lambda hypothesis: hypothesis.confidence)
        nothing = Recognition(likeliest.words, likeliest.confidence, None, "voice", None)
        return InputKind.NOMATCH, (nothing,)
    found = tuple(
        Recognition(
            one.match.utterance,
            one.confidence,
            one.match.interpretation,
            "voice",
            active[one.grammar],
        )
        for one in heard
    )
    if heard[0].confidence < properties.confidence_level:
        return InputKind.NOMATCH, found
    return InputKind.MATCH, found
