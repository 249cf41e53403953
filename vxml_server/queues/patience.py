"""How long a caller waits: his limits, and who looks whether they have passed.

The rule that must hold: limits are those of the queue as it is defined now, not as it was when he
came; so they are looked at again and again, and no timer is set for them once for all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from vxml_server.clock import Clock, Timer

# How often (seconds) a caller's limits are looked at: they change with the queue's definition.
LOOK = 1.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds after which a caller waits no more, in all and with nobody signed in; None: never."""

    wait: float | None
    no_agents: float | None


class Patience:
    """One caller's. It is `begin`-ed whenever he waits and has an end when it has told of one."""

    def __init__(
        self,
        clock: Clock,
        *,
        limits: Callable[[], Limits],
        is_somebody_there: Callable[[], bool],
        timed_out: Callable[[], None],
        no_agents: Callable[[], None],
    ) -> None:
        """`is_somebody_there` says whether anybody who might take him is signed in; `timed_out` and
        `no_agents` are told which limit has passed. He waits from now on."""
        self._clock = clock
        self._limits = limits
        self._is_somebody_there = is_somebody_there
        self._timed_out = timed_out
        self._no_agents = no_agents
        self._began = clock.monotonic()
        self._timer: Timer | None = None

    def restart(self) -> None:
        """That he waited, for however long, counts no more."""
        self._began = self._clock.monotonic()

    def begin(self) -> None:
        """Looks from now on, unless it does already."""
        if self._timer is None:
            self._look(None)

    def stop(self) -> None:
        """Looks no more, until it is begun again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, absent_since: float | None) -> None:
        now = self._clock.monotonic()
        limits, look = self._limits(), LOOK
        self._timer = None
        if limits.no_agents is None or self._is_somebody_there():
            absent_since = None
        else:
            absent_since = now if absent_since is None else absent_since
            if now - absent_since >= limits.no_agents:
                self._no_agents()
                return
        if limits.wait is not None:
            left = self._began + limits.wait - now
            if left <= 0:
                self._timed_out()
                return
            look = min(look, left)
        self._timer = self._clock.call_later(look, partial(self._look, absent_since))
