"""Where a call of our own may go: dial rules against toll fraud.

A destination comes from a document, perhaps by way of what a caller typed, so it is untrusted. It
is taken apart by a strict reading of RFC 3261 section 19.1 and put together again from its parts;
only what was compared with the rules is dialled. The rule that must hold: a URI that another SIP
element could read as a different destination is refused. Hence no URI headers (they could add a
Route), no `maddr` (it sends the request elsewhere), no password, and no delimiter in the user part
(`;` and `?` are legal there, but a careless reader would end the host at them), escaped or not.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import unquote

MAX_LENGTH = 1024

# The parts cannot overlap (no "@" but one, ":" ends a host), so that there is one reading only and
# matching takes time linear in the length.
_SIP_URI = re.compile(
    r"(?P<scheme>sips?):"
    r"(?:(?P<user>[A-Za-z0-9_.!~*'()&=+$,/%-]*)@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<parameters>(?:;[A-Za-z0-9_.!~*'()\[\]/:&+$=%-]+)*)",
    re.IGNORECASE,
)
_RULE = re.compile(
    r"(?P<scheme>sips?):(?P<user>[A-Za-z0-9_.!~*'()&=+$,/-]*)@"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.*-]+)(?::(?P<port>[0-9]{1,5}))?",
    re.IGNORECASE,
)
_USER = re.compile(r"[A-Za-z0-9_.!~*'()&=+$,/#-]*")
_NUMBER = re.compile(r"\+?[0-9*#A-Da-d]{1,32}")
_VISUAL_SEPARATORS = str.maketrans("", "", "-.() ")
_DEFAULT_PORTS = {"sip": 5060, "sips": 5061}
_KEPT_PARAMETERS = {"transport", "user"}


class DialRefused(Exception):
    """A destination that is not dialled. `name` is the event of VoiceXML 2.0 section 2.3.7.3."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(name, message)
        self.name = name
        self.message = message


class DialRules(Protocol):
    """What `destination` needs of the settings (`DialSettings`)."""

    @property
    def allow(self) -> tuple[str, ...]: ...

    @property
    def route(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class _Target:
    """A SIP URI by its parts: `user` unescaped, `host` in lower case, IPv6 without brackets."""

    scheme: str
    user: str
    host: str
    port: int | None
    parameters: tuple[str, ...]

    def __str__(self) -> str:
        # "#" is in no SIP user unescaped, but is a key on every telephone.
        user = self.user.replace("#", "%23") + "@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        return f"{self.scheme}:{user}{host}{port}" + "".join(f";{p}" for p in self.parameters)


def destination(dial: DialRules, dest: str) -> str:
    """The SIP URI to call for `dest`, the destination as a document gives it.

    `sip:` and `sips:` URIs stand for themselves; `tel:` URIs and bare numbers go through
    `dial.route`. Raises `DialRefused`: `error.connection.baddestination` (malformed),
    `error.unsupported.uri` (a scheme or form that we do not dial), or
    `error.connection.noauthorization` (no rule allows it).
    """
    text = dest.strip()
    if len(text) > MAX_LENGTH:
        raise DialRefused("error.connection.baddestination", "the destination is too long")
    scheme = text.partition(":")[0].lower() if ":" in text else ""
    if scheme in {"", "tel"}:
        text = _route(dial, text.partition(":")[2] if scheme else text)
    elif scheme not in _DEFAULT_PORTS:
        raise DialRefused("error.unsupported.uri", f"cannot dial a {scheme[:40]!r} URI")
    target = _parse(text)
    if target is None:
        raise DialRefused("error.connection.baddestination", f"malformed destination {dest!r}")
    if not _allowed(dial.allow, target):
        raise DialRefused("error.connection.noauthorization", f"no dial rule allows {target}")
    return str(target)


def allows(rules: Iterable[str], uri: str) -> bool:
    """Whether one of `rules` lets the SIP URI `uri` be dialled.

    A rule is `scheme:user@host` or `scheme:user@host:port`, where `*` in user and host stands for
    any characters. Scheme and host are compared without case, the user with it. A rule without a
    port fits every port of its host; a URI without a port has the scheme's own. Parameters play no
    part. Malformed or ambiguous URIs are never allowed.
    """
    target = _parse(uri)
    return target is not None and _allowed(rules, target)


def check_uri(text: str) -> str:
    """The SIP URI itself if it is a plain one; `ValueError` with what was expected if not."""
    if _parse(text) is None:
        raise ValueError(f"expected a SIP URI such as sip:ivr@example.com, got {text!r}")
    return text


def check_rule(text: str) -> str:
    """The rule itself if it is one; `ValueError` with what was expected if not."""
    match = _RULE.fullmatch(text)
    if match is None or (match["port"] and not 0 < int(match["port"]) < 65536):
        raise ValueError(f"expected a rule such as sip:*@127.0.0.1 or sip:+33*@gw, got {text!r}")
    return text


def check_route(text: str) -> str:
    """The route itself if a number put into it makes a SIP URI; `ValueError` if not."""
    if text.count("{number}") != 1 or _parse(text.replace("{number}", "1")) is None:
        raise ValueError(f"expected a SIP URI such as sip:{{number}}@10.0.0.1, got {text!r}")
    return text


def _route(dial: DialRules, text: str) -> str:
    # RFC 3966: visual separators carry no meaning, parameters follow the number.
    number = text.partition(";")[0].translate(_VISUAL_SEPARATORS)
    if _NUMBER.fullmatch(number) is None:
        raise DialRefused("error.connection.baddestination", f"{text!r} is not a telephone number")
    if dial.route is None:
        raise DialRefused("error.unsupported.uri", "no route for telephone numbers is configured")
    return dial.route.replace("{number}", number.replace("#", "%23"))


def _parse(uri: str) -> _Target | None:
    match = _SIP_URI.fullmatch(uri) if len(uri) <= 2 * MAX_LENGTH else None
    if match is None:
        return None
    user = unquote(match["user"] or "", errors="replace")
    host = _host(match["host"])
    port = int(match["port"]) if match["port"] else None
    parameters = tuple(p for p in match["parameters"].split(";") if p)
    names = [p.partition("=")[0].lower() for p in parameters]
    # After unescaping, "%", "@", ":", ";" or a control character means that something was hidden.
    if (
        host is None
        or _USER.fullmatch(user) is None
        or (port is not None and not 0 < port < 65536)
        or "maddr" in names
        or any("%" in name for name in names)
    ):
        return None
    kept = tuple(p for p, name in zip(parameters, names, strict=True) if name in _KEPT_PARAMETERS)
    return _Target(match["scheme"].lower(), user, host, port, kept)


def _host(text: str) -> str | None:
    """The host in the one form that is compared, or None if it is none."""
    if text.startswith("["):
        try:
            return str(ipaddress.IPv6Address(text[1:-1]))
        except ValueError:
            return None
    host = text.lower().removesuffix(".")
    return host if host and not host.startswith(".") and ".." not in host else None


def _allowed(rules: Iterable[str], target: _Target) -> bool:
    return any(_fits(rule, target) for rule in rules)


def _fits(rule: str, target: _Target) -> bool:
    match = _RULE.fullmatch(rule)
    if match is None or match["scheme"].lower() != target.scheme:
        return False
    host = match["host"] if "*" in match["host"] else _host(match["host"])
    port = target.port or _DEFAULT_PORTS[target.scheme]
    return (
        host is not None
        and (match["port"] is None or int(match["port"]) == port)
        and _glob(match["user"], target.user)
        and _glob(host.lower(), target.host)
    )


def _glob(pattern: str, text: str) -> bool:
    """`*` is any run of characters, everything else is itself; never backtracks."""
    first, *rest = pattern.split("*")
    if not rest:
        return text == pattern
    last = rest.pop()
    if not text.startswith(first) or len(text) < len(first) + len(last) or not text.endswith(last):
        return False
    position, end = len(first), len(text) - len(last)
    for piece in rest:
        found = text.find(piece, position, end)
        if found < 0:
            return False
        position = found + len(piece)
    return True
