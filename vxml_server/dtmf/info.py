"""Keys in SIP INFO: `application/dtmf-relay` and `application/dtmf`.

Neither type has a standard; both are what gateways have sent for twenty years. `dtmf-relay` is
lines `Signal=5` and `Duration=160` (milliseconds); `dtmf` is the key alone. Some write `*` and `#`
as 10 and 11 and A to D as 12 to 15, after the event codes of RFC 4733; some put spaces about the
equals sign; some write names in other cases. All of that is read, and anything else is a
`BadDtmfInfo`, which the SIP side answers by 400.
"""

from __future__ import annotations

from dataclasses import dataclass

from vxml_server.dtmf.rfc4733 import EVENT_KEYS, FLASH

RELAY = "application/dtmf-relay"
BARE = "application/dtmf"
DEFAULT_DURATION_MS = 160
MAX_DURATION_MS = 60_000
MAX_BODY = 256  # characters; a key takes under thirty


class BadDtmfInfo(ValueError):
    """The body is of a type that carries keys, but carries none that can be understood."""


@dataclass(frozen=True, slots=True)
class KeyPress:
    """One key of `0123456789*#ABCD`, held for `duration_ms`; `''` is a hook flash."""

    key: str
    duration_ms: int = DEFAULT_DURATION_MS


def parse_info(content_type: str, body: bytes) -> KeyPress | None:
    """The key in an INFO body; None when the type is not one of the two that carry keys.

    Raises `BadDtmfInfo`, whose text says what is wrong.
    """
    kind = content_type.split(";", 1)[0].strip().lower()
    if kind not in {RELAY, BARE}:
        return None
    if len(body) > MAX_BODY:
        raise BadDtmfInfo(f"{len(body)} bytes are too many for a key")
    text = body.decode("latin-1").strip(" \t\r\n\0")
    # Some send dtmf-relay's lines under the other name, so the body decides.
    return _parse_relay(text) if "=" in text else KeyPress(_key(text))


def build_info(key: str, duration_ms: int = DEFAULT_DURATION_MS) -> tuple[str, bytes]:
    """(content type, body) that press `key`, as `dtmf-relay`, which more peers understand."""
    if len(key) != 1 or key.upper() not in EVENT_KEYS:
        raise ValueError(f"{key!r} is no DTMF key")
    return RELAY, f"Signal={key.upper()}\r\nDuration={duration_ms}\r\n".encode("ascii")


def _parse_relay(text: str) -> KeyPress:
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals:
            fields.setdefault(name.strip().lower(), value.strip())
    if "signal" not in fields:
        raise BadDtmfInfo("there is no Signal line")
    return KeyPress(_key(fields["signal"]), _duration(fields.get("duration", "")))


def _key(signal: str) -> str:
    if len(signal) == 1 and signal.upper() in EVENT_KEYS:
        return signal.upper()
    if signal.isascii() and signal.isdigit() and len(signal) == 2:
        code = int(signal)
        if code == FLASH:
            return ""
        if 10 <= code < len(EVENT_KEYS):
            return EVENT_KEYS[code]
    raise BadDtmfInfo(f"{signal[:20]!r} is no key")


def _duration(text: str) -> int:
    """Milliseconds; a missing or impossible one is replaced, for the key is what matters."""
    if text.isascii() and text.isdigit() and len(text) < 9:
        return min(max(1, int(text)), MAX_DURATION_MS)
    return DEFAULT_DURATION_MS
