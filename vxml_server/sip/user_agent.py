"""The SIP user agent: one object that takes and makes calls."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vxml_server.clock import Clock
from vxml_server.sip.errors import NO_HEADERS
from vxml_server.sip.interface import CallHandler, CallListener, Credentials
from vxml_server.sip.outgoing import OutgoingCall
from vxml_server.sip.sdp import SessionDescription


@dataclass(frozen=True, slots=True)
class UserAgentSettings:
    """`trusted`: networks (CIDR) that may call without authentication. `users`: name ->
    password for everybody else; when empty they get no response at all. `t1`, `t2`, `t4`: the
    timers of RFC 3261 table 4, in seconds."""

    trusted: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    users: Mapping[str, str] = field(default_factory=dict)
    realm: str = "vxml-server"
    product: str = "vxml-server"
    t1: float = 0.5
    t2: float = 4.0
    t4: float = 5.0


@dataclass(slots=True)
class Counters:
    """Numbers since the start, for metrics."""

    requests_received: int = 0
    requests_sent: int = 0
    responses_received: int = 0
    responses_sent: int = 0
    retransmissions_received: int = 0
    retransmissions_sent: int = 0
    malformed: int = 0
    refused_sources: int = 0
    transport_errors: int = 0


class UserAgent:
    """Takes calls for `handler` and makes calls with `invite()`."""

    def __init__(
        self,
        *,
        clock: Clock,
        random: random.Random,
        handler: CallHandler,
        settings: UserAgentSettings | None = None,
    ) -> None:
        self.counters = Counters()
        raise NotImplementedError

    async def start(self, listen: Sequence[str]) -> None:
        """Binds "udp://127.0.0.1:5060", "tcp://[::1]:0" ...; raises OSError when one fails."""
        raise NotImplementedError

    @property
    def addresses(self) -> tuple[str, ...]:
        """What `start()` bound, with real ports, as in `listen`."""
        raise NotImplementedError

    async def stop(self) -> None:
        """Drops everything: calls still there end as LOCAL with a BYE that is not waited for."""
        raise NotImplementedError

    def drain(self, retry_after: int) -> None:
        """From now on new INVITEs get 503 with Retry-After (seconds); dialogs go on."""
        raise NotImplementedError

    def invite(
        self,
        target: str,
        *,
        from_: str,
        offer: SessionDescription | None,
        listener: CallListener,
        headers: Mapping[str, str] = NO_HEADERS,
        credentials: Credentials | None = None,
    ) -> OutgoingCall:
        """Calls `target` (a `sip:` URI with an IP address, e.g.
        `sip:1000@127.0.0.1:5060;transport=tcp`); `from_` is a URI or `"Name" <sip:...>`. `offer`
        None leaves the offer to the far end. Nothing is told before this returns. Raises
        InvalidUri, before anything happened."""
        raise NotImplementedError

    @property
    def idle(self) -> bool:
        """No call, dialog, transaction or timer is left."""
        raise NotImplementedError

    @property
    def active_transactions(self) -> int:
        raise NotImplementedError

    @property
    def active_dialogs(self) -> int:
        raise NotImplementedError
