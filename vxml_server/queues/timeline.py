"""The time of a worker's rows and facts: seconds since the epoch that never go back and never jump.

All that is measured between two stored times (waits, conversations, delays, wrap-up) would go mad
when somebody sets the system's clock. So a worker's time starts as that clock says and runs by the
monotonic one; where the two differ it follows slowly. The rules that must hold: between any two
moments it has run at most a twentieth faster or slower than real time; that it is far off is in the
log, for who began with a clock that was hours wrong follows for days.
"""

from __future__ import annotations

import structlog

from vxml_server.clock import Clock

_log = structlog.get_logger(__name__)
FAR = 60.0
"""Seconds beyond which somebody is to know that the two differ."""
SLEW = 0.05
"""How much faster or slower than real time it runs while it follows a step of the clock. A minute's
step is made up for in twenty minutes."""


class Timeline:
    """A worker's time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._at = clock.monotonic()
        self._now = clock.utc_now().timestamp()
        self.ahead = 0.0
        """Seconds by which it was ahead of the system's clock when it was last asked for."""
        self._is_far = False

    def now(self) -> float:
        """Seconds since the epoch."""
        at = self._clock.monotonic()
        elapsed, self._at = at - self._at, at
        self._now += elapsed
        behind = self._clock.utc_now().timestamp() - self._now
        most = SLEW * elapsed
        step = min(max(behind, -most), most)
        self._now += step
        self.ahead = step - behind
        if (abs(self.ahead) > FAR) is not self._is_far:
            self._is_far = not self._is_far
            if self._is_far:
                _log.error("the time of queues is not the system's", ahead_s=round(self.ahead))
            else:
                _log.info("the time of queues is the system's again")
        return self._now
