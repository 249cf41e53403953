"""Speech and key grammars: SRGS 1.0, SISR 1.0 and the built-in types of VoiceXML 2.0 appendix P.

A grammar is loaded once (`load`, `load_async`, `builtin`, `phrase`) into an immutable `Grammar`
that any number of calls share; what was pressed or said is matched with `Grammar.match`, or key by
key with a `Matcher`, or with a `JointMatcher` for several grammars at once. A grammar that cannot
be used leaves this room as a `VoiceXmlEvent`: `error.badfetch`, `error.unsupported.format`,
`error.unsupported.builtin`; a tag that fails leaves as `error.semantic` when `Match.interpretation`
is asked for. Nothing here fetches, plays or waits.
"""

from vxml_server.grammar.builtins import builtin
from vxml_server.grammar.grammar import (
    Grammar,
    Hypothesis,
    Match,
    Matcher,
    Recognised,
)
from vxml_server.grammar.heard import Heard, nbest
from vxml_server.grammar.joint import JointMatcher
from vxml_server.grammar.loader import load, load_async
from vxml_server.grammar.phrases import phrase
from vxml_server.grammar.rules import JsonValue, Mode
from vxml_server.grammar.status import Status

__all__ = [
    "Grammar",
    "Heard",
    "Hypothesis",
    "JointMatcher",
    "JsonValue",
    "Match",
    "Matcher",
    "Mode",
    "Recognised",
    "Status",
    "builtin",
    "load",
    "load_async",
    "nbest",
    "phrase",
]
