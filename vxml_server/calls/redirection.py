"""By which ways a call came: `session.connection.redirect` (VoiceXML 2.0 section 5.1.4).

From History-Info (RFC 7044; RFC 5552 section 2.4 says how), or else Diversion (RFC 5806), which
older exchanges send. The recommendation wants the number that was called first in front, and RFC
5552 the other order: the recommendation is followed. The last entry of History-Info is where the
call went in the end, that is here, and no redirection.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl, unquote

from vxml_server.interpreter import Redirection
from vxml_server.sip import Headers, Malformed

# As many as a caller's exchange may make us keep.
MOST = 50
_ENTRY = re.compile(r"\s*(?:\"(?:[^\"\\]|\\.)*\"\s*|[^<\"]*)<([^<>]*)>(.*)", re.DOTALL)
# Reasons as the recommendation names them, after ITU-T Q.952.
_OF_DIVERSION = {
    "away": "unknown",
    "deflection": "deflection immediate response",
    "no-answer": "no reply",
    "out-of-service": "mobile subscriber not reachable",
    "unavailable": "mobile subscriber not reachable",
    "unknown": "unknown",
    "user-busy": "user busy",
}
_OF_CAUSE = {
    "302": "deflection immediate response",
    "404": "unknown",
    "408": "no reply",
    "480": "deflection during alerting",
    "486": "user busy",
    "487": "deflection during alerting",
    "503": "mobile subscriber not reachable",
}


def redirections(headers: Headers, here: str) -> tuple[Redirection, ...] | None:
    """The redirections of a call to `here` (its Request-URI), the first one first; None if none."""
    try:
        history, diversions = headers.values("History-Info"), headers.values("Diversion")
    except Malformed:
        return None
    if found := _history(history[:MOST], here):
        return found
    # The latest stands first.
    return tuple(reversed([_diversion(*_parsed(value)) for value in diversions[:MOST]])) or None


def _history(values: Sequence[str], here: str) -> tuple[Redirection, ...]:
    entries = [_parsed(value) for value in values]
    if entries and entries[-1][0].partition("?")[0].lower() == here.partition("?")[0].lower():
        entries.pop()
    return tuple(_targeted(uri, parameters) for uri, parameters in entries)


def _targeted(uri: str, parameters: Mapping[str, str]) -> Redirection:
    """An entry of History-Info: its reason and privacy are headers inside the URI."""
    plain, _, inside = uri.partition("?")
    headers = {name.lower(): value for name, value in parse_qsl(inside)}
    reason = headers.get("reason", "")
    cause = re.search(r"cause\s*=\s*(\d+)", reason)
    return Redirection(
        uri=plain,
        pi="history" in headers.get("privacy", "").lower(),
        si=parameters.get("si") or None,
        reason=_OF_CAUSE.get(cause[1], "unknown") if cause else reason or None,
    )


def _diversion(uri: str, parameters: Mapping[str, str]) -> Redirection:
    reason = parameters.get("reason", "").lower()
    return Redirection(
        uri=uri,
        pi=parameters.get("privacy", "off").lower() != "off",
        si=parameters.get("screen") or None,
        reason=_OF_DIVERSION.get(reason, reason.replace("-", " ")) or None,
    )


def _parsed(value: str) -> tuple[str, Mapping[str, str]]:
    """The URI of a `name-addr` with its headers, and the parameters behind it."""
    found = _ENTRY.match(value)
    uri, rest = (found[1], found[2]) if found else ("", "")
    if not found:
        uri, _, rest = value.strip().partition(";")
        rest = f";{rest}"
    pairs = (parameter.partition("=") for parameter in rest.split(";")[1:])
    return uri.strip(), {
        name.strip().lower(): unquote(text.strip().strip('"')) for name, _, text in pairs
    }
