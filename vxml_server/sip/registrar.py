"""The registrar: telephones say where they are (RFC 3261 section 10, RFC 3327).

Who sends a REGISTER has been asked for his password by then; here is decided whether he may
register the name that he wants, and the location service stores what comes of it. The rules that
must hold: a user registers his own name and no other, in a domain that is ours; a 200 is sent when
the bindings are stored, and not before.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from random import Random
from urllib.parse import unquote

from vxml_server.clock import Clock
from vxml_server.sip.core import Hop
from vxml_server.sip.errors import InvalidUri, Rejection
from vxml_server.sip.headers import Headers
from vxml_server.sip.interface import Registration
from vxml_server.sip.registrar_bindings import (
    BINDING,
    Binding,
    RegistrarRules,
    Update,
    answer,
    update,
)
from vxml_server.sip.registrar_location import LocationService
from vxml_server.sip.registrar_watch import Ask, Watch
from vxml_server.sip.uri import SipUri, ip_address
from vxml_server.store import Store, StoreError

logger = logging.getLogger(__name__)

MAX_USER = 64
MAX_WAITING = 1000
"""REGISTERs that may wait for the database at once."""
_RETRY_AFTER = "5"


@dataclass(frozen=True, slots=True)
class RegistrarSettings:
    """`domains` are names and addresses that are ours, beside the addresses that telephones reach
    us at. `trusts_networks` lets trusted networks register any name without a password.
    `keep_alive` is the time between two OPTIONS to a telephone, in seconds; 0 sends none."""

    domains: Collection[str] = ()
    rules: RegistrarRules = field(default_factory=RegistrarRules)
    trusts_networks: bool = False
    keep_alive: float = 30.0


@dataclass(slots=True)
class RegistrarCounters:
    """Numbers since the start, for metrics."""

    accepted: int = 0
    refused: int = 0
    failed: int = 0


class Registrar:
    """A `RegistrationHandler` over the bindings of a database. `start` it, `stop` it."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        random: Random,
        ask: Ask,
        *,
        worker: str,
        settings: RegistrarSettings | None = None,
    ) -> None:
        """`worker` names this process among those that share the database; `ask` sends OPTIONS."""
        self.counters = RegistrarCounters()
        self.location = LocationService(store, clock, worker)
        self._settings = settings or RegistrarSettings()
        self._domains = {_domain(name) for name in self._settings.domains}
        self._watch = Watch(self.location, ask, clock, random, self._settings.keep_alive)
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Reads the bindings. Raises `StoreError`."""
        await self.location.start()
        self.location.on_change = self._watch.changed
        self._watch.start()

    async def stop(self) -> None:
        """Ends what is under way; the bindings stay."""
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._watch.stop()
        await self.location.stop()

    @property
    def trusts_networks(self) -> bool:
        return self._settings.trusts_networks

    def route(self, uri: SipUri) -> Hop | None:
        """A `Router`: where the telephone that a URI of ours stands for is to be found. Raises
        InvalidUri when it is not registered any more."""
        binding_id = uri.parameters.get(BINDING)
        if binding_id is None:
            return None
        binding = self.location.binding(binding_id)
        if binding is None:
            raise InvalidUri("the telephone is not registered any more")
        return binding.hop()

    # As the user agent's handler.

    def register(
        self, registration: Registration, respond: Callable[[Headers | Rejection], None]
    ) -> None:
        try:
            user = self._user(registration)
            if len(self._tasks) >= MAX_WAITING:
                raise Rejection(503, headers={"Retry-After": _RETRY_AFTER})
        except Rejection:
            self.counters.refused += 1
            raise
        task = asyncio.create_task(self._store(user, registration, respond))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _user(self, registration: Registration) -> str:
        """Steps 1, 4 and 5 of section 10.3: whose bindings are meant. Raises Rejection."""
        request = registration.request
        wanted = _aor(request.to.uri)
        for uri in (_aor(request.uri), wanted):
            if uri.host != registration.own_host and _domain(uri.host) not in self._domains:
                raise Rejection(404, "Not a domain of ours")
        user = unquote(wanted.user)
        if not user or len(user) > MAX_USER or not user.isprintable():
            raise Rejection(404)
        if registration.user not in {user, ""}:
            logger.warning("%.64r may not register %.64r", registration.user, user)
            raise Rejection(403, "Not your name")
        return user

    async def _store(
        self,
        user: str,
        registration: Registration,
        respond: Callable[[Headers | Rejection], None],
    ) -> None:
        location, request = self.location, registration.request

        def make(bindings: Collection[Binding]) -> Update:
            return update(
                tuple(bindings),
                request,
                user=user,
                source=registration.source,
                now=location.now(),
                rules=self._settings.rules,
                worker=location.worker,
            )

        try:
            if "Contact" in request.headers:
                bindings = (await location.change(user, make)).bindings
            else:
                bindings = location.bindings(user)
        except Rejection as rejection:
            self.counters.refused += 1
            respond(rejection)
        except StoreError as error:
            self.counters.failed += 1
            logger.error("a registration could not be stored: %s", error)
            respond(Rejection(500, headers={"Retry-After": _RETRY_AFTER}))
        except Exception:
            self.counters.failed += 1
            logger.exception("a registration failed")
            respond(Rejection(500))
        else:
            self.counters.accepted += 1
            respond(answer(bindings, request, location.now()))


def _aor(uri: str) -> SipUri:
    try:
        return SipUri.parse(uri)
    except InvalidUri:
        raise Rejection(404) from None


def _domain(name: str) -> str:
    """A host name or address in the form that is compared."""
    name = name.strip("[]").lower().removesuffix(".")
    return ip_address(name) or name
