"""A 2xx of ours to an INVITE until its ACK comes (RFC 3261 section 13.3.1.4).

Over any transport the 2xx is repeated by the server core, after T1, 2*T1, ... up to T2 apart,
because proxies do not repeat it; after 64*T1 without ACK the call has to be given up.
"""

from __future__ import annotations

from collections.abc import Callable

from vxml_server.clock import Timer
from vxml_server.sip.core import Core
from vxml_server.sip.machines import Event, State
from vxml_server.sip.message import Response
from vxml_server.sip.transaction import Transaction


class Acceptance:
    """Repeats `response` until `stop()`, or calls `gave_up`."""

    def __init__(
        self,
        core: Core,
        transaction: Transaction,
        response: Response,
        gave_up: Callable[[], None],
    ) -> None:
        self.cseq = transaction.request.cseq[0]
        self._core = core
        self._transaction = transaction
        self._response = response
        self._gave_up = gave_up
        core.respond(transaction, response)
        self._interval = core.timings.t1
        self._repeat: Timer = core.timers.call_later(self._interval, self._send_again)
        self._limit: Timer = core.timers.call_later(64 * core.timings.t1, self._give_up)

    def stop(self) -> None:
        self._repeat.cancel()
        self._limit.cancel()

    def _send_again(self) -> None:
        if self._transaction.state is State.ACCEPTED:
            self._core.counters.retransmissions_sent += 1
            self._transaction.happen(Event.SEND_SUCCESS, self._response)
        self._interval = min(2 * self._interval, self._core.timings.t2)
        self._repeat = self._core.timers.call_later(self._interval, self._send_again)

    def _give_up(self) -> None:
        self.stop()
        self._gave_up()
