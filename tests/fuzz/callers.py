"""Callers who do anything at any time."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from vxml_server.interpreter.script import (
    Deed,
    HangUp,
    Hypothesis,
    Keys,
    Say,
    Script,
    Silence,
    Speak,
    Transfer,
)

_KEYS = ("0", "1", "2", "9", "*", "#", "12#", "1234", "000000", "*#", "A", "123456#", "1" * 50)
_WORDS = (
    "yes", "no", "one", "two three", "alpha", "beta", "chicago", "london", "oui", "help", "cancel",
    "exit", "a", "", "  ", "\u00e9t\u00e9", "$x", "operator", "word " * 40, "to austin from boston",
)  # fmt: skip
_OUTCOMES = (
    "busy", "noanswer", "network_busy", "near_end_disconnect", "far_end_disconnect",
    "network_disconnect", "maxtime_disconnect", "unknown", "connection.disconnect.transfer",
    "connection.disconnect.hangup", "error.connection.noauthorization",
    "error.connection.baddestination",
)  # fmt: skip


def script(random: Random) -> Script:
    """What a caller does in a run."""
    count = random.choice((0, 1, 2, 4, 8))
    steps = tuple(random.choice(_DEEDS)(random) for _ in range(count))
    return Script(
        steps,
        remote=random.choice(("", "tel:+33612345678", "sip:a@b;x=<y>", "\u00e9")),
        local=random.choice(("", "tel:+33123456789")),
        aai=random.choice((None, "", "ticket=42")),
    )


def _after(random: Random) -> float | None:
    return random.choice((None, None, 0.0, 0.01, 0.5, 30.0))


def _keys(random: Random) -> Deed:
    return Keys(random.choice(_KEYS), _after(random))


def _say(random: Random) -> Deed:
    count = random.choice((1, 1, 3))
    heard = tuple(
        Hypothesis(random.choice(_WORDS), random.choice((0.0, 0.3, 0.5, 0.9, 1.0)))
        for _ in range(count)
    )
    return Say(heard, _after(random))


def _silence(random: Random) -> Deed:
    return Silence(random.choice((None, 0.0, 0.5, 12.0, 10_000.0)))


def _hang_up(random: Random) -> Deed:
    return HangUp(_after(random))


def _speak(random: Random) -> Deed:
    return Speak(random.choice((0.0, 0.2, 4.0, 500.0)), random.choice(("", "#", "1")))


def _transfer(random: Random) -> Deed:
    return Transfer(random.choice(_OUTCOMES), random.choice((None, 0.0, 12.0, 100_000.0)))


_DEEDS: tuple[Callable[[Random], Deed], ...] = (
    _keys,
    _keys,
    _say,
    _say,
    _silence,
    _hang_up,
    _speak,
    _transfer,
)
