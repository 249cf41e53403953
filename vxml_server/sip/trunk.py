"""Trunks: exchanges of others that we register with (RFC 3261 section 10.2).

A trunk keeps its registration as long as it runs: it refreshes at 85 % of the time that it was
given, tries again after growing pauses when that fails, and takes its registration back when it
stops. The rule that must hold: somebody who calls is taken for the trunk only from an address that
has accepted our password, and only while our registration there lasts.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random
from typing import Protocol

from vxml_server.clock import Clock, deadline
from vxml_server.sip.core import Hop
from vxml_server.sip.digest import DigestClient
from vxml_server.sip.errors import InvalidUri, Malformed
from vxml_server.sip.interface import Credentials
from vxml_server.sip.message import Response
from vxml_server.sip.registrar_bindings import same_uri
from vxml_server.sip.standalone import StandaloneRequest
from vxml_server.sip.uri import Address, Destination, SipUri, bracketed, ip_address

logger = logging.getLogger(__name__)

REFRESH_AT = 0.85
"""Of the time that we were given."""
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 300.0
GOODBYE = 2.0
"""Seconds that a trunk which stops waits for its registration to be taken back."""
_UNREACHABLE = frozenset({408, 503})

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""IP addresses of a host name, best first; OSError when there are none."""


class SendRequest(Protocol):
    """`UserAgent.request`, as far as it is needed here."""

    def __call__(
        self,
        method: str,
        target: str,
        *,
        done: Callable[[Response], None],
        hop: Hop,
        from_: str,
        to: str,
        call_id: str,
        cseq: int,
        digest: DigestClient,
        headers: Mapping[str, str],
        contact_user: str,
    ) -> StandaloneRequest: ...


@dataclass(frozen=True, slots=True)
class TrunkAccount:
    """`registrar` is the SIP URI of the exchange; `expires` the seconds that we ask for."""

    name: str
    registrar: str
    user: str
    password: str
    expires: int = 600


class TrunkState(StrEnum):
    REGISTERING = "registering"  # the first try is under way
    REGISTERED = "registered"
    FAILED = "failed"  # it is tried again
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class TrunkStatus:
    """How we stand with a trunk. `expires_at` is seconds since the epoch, 0 while not registered;
    `failure` says why the last try failed, "" if it did not."""

    name: str
    registrar: str
    user: str
    state: TrunkState
    address: str = ""
    expires_at: float = 0.0
    failure: str = ""


class Trunk:
    """One account. `start` it, `stop` it. Used on one loop."""

    def __init__(
        self,
        account: TrunkAccount,
        send: SendRequest,
        clock: Clock,
        random: Random,
        resolve: Resolve,
    ) -> None:
        """Raises InvalidUri when the registrar is no SIP URI."""
        self.account = account
        self._uri = SipUri.parse(account.registrar)
        self._aor = f"sip:{account.user}@{bracketed(self._uri.host)}"
        self._send = send
        self._clock = clock
        self._random = random
        self._resolve = resolve
        self._digest = DigestClient(Credentials(account.user, account.password), random)
        self._call_id = f"{random.getrandbits(96):024x}"
        self._contact = ""
        self._cseq = 1
        self._expires = account.expires
        self._destination: Destination | None = None
        self._until = 0.0
        self._state = TrunkState.REGISTERING
        self._failure = ""
        self._tries = 0
        self._keeping: asyncio.Task[None] | None = None

    # Life.

    def start(self) -> None:
        """Registers, and stays so."""
        self._keeping = asyncio.create_task(self._keep(), name=f"trunk {self.account.name}")

    async def stop(self) -> None:
        """Takes the registration back, without waiting long for the other side's consent."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])
        if self.is_registered and self._destination is not None:
            try:
                async with deadline(self._clock, GOODBYE):
                    await self._exchange(self._destination, 0)
            except (TimeoutError, InvalidUri) as error:
                logger.info("trunk %s: not signed off: %s", self.account.name, error)
        self._state = TrunkState.STOPPED
        self._until = 0.0

    # What there is.

    @property
    def is_registered(self) -> bool:
        """Whether our registration lasts."""
        return self._until > self._clock.monotonic()

    @property
    def caller(self) -> str:
        """From of our calls."""
        return self._aor

    @property
    def credentials(self) -> Credentials:
        """What to answer its challenges with."""
        return Credentials(self.account.user, self.account.password)

    @property
    def status(self) -> TrunkStatus:
        left = self._until - self._clock.monotonic()
        return TrunkStatus(
            name=self.account.name,
            registrar=str(self._uri),
            user=self.account.user,
            state=self._state,
            address=str(self._destination or ""),
            expires_at=self._clock.utc_now().timestamp() + left if left > 0 else 0.0,
            failure=self._failure,
        )

    def has(self, uri: SipUri) -> bool:
        """Whether `uri` is of this exchange."""
        return uri.host == self._uri.host and (uri.port or 5060) == (self._uri.port or 5060)

    def hop(self, uri: SipUri) -> Hop | None:
        """Where a call to `uri`, of this exchange, goes."""
        return None if self._destination is None else Hop(uri, self._destination)

    def is_at(self, host: str) -> bool:
        """Whether the IP address `host` is that of the exchange, and we are registered there."""
        destination = self._destination
        return (
            destination is not None
            and self.is_registered
            and ipaddress.ip_address(host.partition("%")[0])
            == ipaddress.ip_address(destination.host)
        )

    # Inside.

    async def _keep(self) -> None:
        failures = 0
        while True:
            failure, pause = await self._register()
            if failure:
                failures += 1
                self._state = TrunkState.FAILED
                if failure != self._failure:
                    logger.warning("trunk %s: %s", self.account.name, failure)
                longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures - 1, 16))
                # Not all at once with everybody else who lost the same exchange.
                pause = max(pause, longest * (0.75 + self._random.random() / 4))
            else:
                if self._state is not TrunkState.REGISTERED:
                    logger.info("trunk %s: registered", self.account.name)
                failures = 0
                self._state = TrunkState.REGISTERED
            self._failure = failure
            await self._clock.sleep(pause)

    async def _register(self) -> tuple[str, float]:
        """Tries once. Why it failed, "" if it did not; and for how many seconds to wait, at
        least."""
        try:
            destination = await self._where()
            response = await self._exchange(destination, self._expires)
            if response.status == 423:
                self._expires = max(self._expires, _seconds(response, "Min-Expires", 3600))
                response = await self._exchange(destination, self._expires)
        except (OSError, InvalidUri) as error:
            return str(error), 0.0
        if response.status >= 300:
            if response.status in _UNREACHABLE:
                self._tries += 1  # another of its addresses may answer
            return f"{response.status} {response.reason}", float(_seconds(response, "Retry-After"))
        self._destination = destination
        granted = self._granted(response)
        self._until = self._clock.monotonic() + granted
        return "", REFRESH_AT * granted

    async def _where(self) -> Destination:
        """The address of the exchange. Raises OSError and InvalidUri."""
        host = ip_address(self._uri.host)
        if host is None:
            addresses = await self._resolve(self._uri.host)
            host = addresses[self._tries % len(addresses)]
        return replace(self._uri, host=host).destination()

    async def _exchange(self, destination: Destination, expires: int) -> Response:
        """The final response to a REGISTER. Raises InvalidUri."""
        done: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

        def finish(response: Response) -> None:
            if not done.done():
                done.set_result(response)

        request = self._send(
            "REGISTER",
            str(self._uri),
            done=finish,
            hop=Hop(self._uri, destination),
            from_=self._aor,
            to=self._aor,
            call_id=self._call_id,
            cseq=self._cseq,
            digest=self._digest,
            headers={"Expires": str(expires)},
            contact_user=self.account.user,
        )
        self._contact = request.contact
        try:
            return await done
        finally:
            self._cseq = request.cseq + 1
            if not done.done() or done.cancelled():
                request.abandon()

    def _granted(self, response: Response) -> int:
        """For how many seconds we are registered: section 10.2.4."""
        own = SipUri.parse(Address.parse(self._contact).uri)
        for value in response.headers.values("Contact"):
            try:
                contact = Address.parse(value)
                is_own = same_uri(SipUri.parse(contact.uri), own)
            except (Malformed, InvalidUri):
                continue
            expires = contact.parameters.get("expires", "")
            if is_own and expires.isdecimal() and len(expires) < 10:
                return max(1, int(expires))
        return max(1, _seconds(response, "Expires", self._expires))


class Trunks:
    """All trunks of a process."""

    def __init__(self, trunks: Sequence[Trunk]) -> None:
        self._trunks = tuple(trunks)

    def start(self) -> None:
        for trunk in self._trunks:
            trunk.start()

    async def stop(self) -> None:
        await asyncio.gather(*(trunk.stop() for trunk in self._trunks))

    def status(self) -> tuple[TrunkStatus, ...]:
        """How we stand with each of them."""
        return tuple(trunk.status for trunk in self._trunks)

    def of(self, uri: str) -> Trunk | None:
        """The trunk that calls to `uri` go by."""
        try:
            parsed = SipUri.parse(uri)
        except InvalidUri:
            return None
        return next((trunk for trunk in self._trunks if trunk.has(parsed)), None)

    def route(self, uri: SipUri) -> Hop | None:
        """A `Router`."""
        trunk = next((trunk for trunk in self._trunks if trunk.has(uri)), None)
        return None if trunk is None else trunk.hop(uri)

    def is_partner(self, host: str) -> bool:
        """Whether a call from the IP address `host` is one of a trunk's."""
        return any(trunk.is_at(host) for trunk in self._trunks)


def _seconds(response: Response, name: str, otherwise: int = 0) -> int:
    """The number that a header begins with."""
    digits = response.headers.get(name).partition(";")[0].partition("(")[0].strip()
    return int(digits) if digits.isdecimal() and len(digits) < 10 else otherwise
