"""The time of a worker's rows and facts: seconds since the epoch that never go back and never jump.

All that is measured between two stored times (waits, conversations, delays, wrap-up) would go mad
when somebody sets the system's clock. So a worker's time starts as that clock says and runs by the
monotonic one; where the two differ it follows slowly. The rule that must hold: between any two
moments it has run at most a twentieth faster or slower than real time.
"""

from __future__ import annotations

from vxml_server.clock import Clock

SLEW = 0.05
"""How much faster or slower than real time it runs while it follows a step of the clock. A minute's
step is made up for in twenty minutes."""


class Timeline:
    """A worker's time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._at = clock.monotonic()
        self._now = clock.utc_now().timestamp()

    def now(self) -> float:
        """Seconds since the epoch."""
        at = self._clock.monotonic()
        elapsed, self._at = at - self._at, at
        self._now += elapsed
        behind = self._clock.utc_now().timestamp() - self._now
        most = SLEW * elapsed
        self._now += min(max(behind, -most), most)
        return self._now
