"""A registrar with a real database on virtual time, and telephones that register with it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

from tests.databases import Traffic, WatchedStore, url_of
from tests.sip.peers import Phone, World
from vxml_server.sip.core import UserAgentSettings
from vxml_server.sip.digest import DigestClient
from vxml_server.sip.errors import NO_HEADERS
from vxml_server.sip.interface import Credentials
from vxml_server.sip.message import Request, Response
from vxml_server.sip.registrar import Registrar, RegistrarSettings
from vxml_server.sip.uri import Destination, bracketed

USERS = {"alice": "secret", "bob": "other"}
ALICE_AT = Destination("udp", "127.0.0.7", 5080)


class Telephone(Phone):
    """A telephone of `user` that answers OPTIONS while `answers` is true."""

    def __init__(
        self, world: RegistrarWorld, user: str, at: Destination = ALICE_AT, password: str = ""
    ) -> None:
        super().__init__(world.network, at, Destination(at.protocol, "127.0.0.1", 5060))
        self.user = user
        self.contact = f"<sip:{user}@{bracketed(at.host)}:{at.port}>"
        self.answers = True
        self.react = self._react
        self.call_id = f"{user}-{at.port}"
        self._world = world
        self._digest = DigestClient(
            Credentials(user, password or USERS[user]), random.Random(at.port)
        )

    def _react(self, message: Request | Response) -> None:
        if isinstance(message, Request) and message.method == "OPTIONS" and self.answers:
            self.transport.send(
                bytes(message.response(200, tag="t")),
                self.server.host,
                self.server.port,
                lambda reason: None,
            )

    def ask(self, headers: Mapping[str, str] = NO_HEADERS, **more: object) -> Request:
        """A REGISTER with credentials if there was a challenge; not sent."""
        fields = {
            "From": f"<sip:{self.user}@127.0.0.1>;tag=r",
            "To": f"<sip:{self.user}@127.0.0.1>",
            "Contact": self.contact,
            **headers,
        }
        more.setdefault("call_id", self.call_id)
        more.setdefault("uri", "sip:127.0.0.1")
        request = self.request("REGISTER", headers=fields, **more)  # type: ignore[arg-type]
        self._digest.authorize(request)
        return request

    async def register(self, headers: Mapping[str, str] = NO_HEADERS, **more: object) -> Response:
        """Registers, giving the password when it is asked for it; the last response."""
        for _ in range(3):
            count = len(self.responses)
            self.send(self.ask(headers, **more))
            await self._world.settle()
            if len(self.responses) == count:
                break
            response = self.responses[-1]
            if response.status != 401 or not self._digest.challenged(response):
                break
        self._digest.succeeded(self.responses[-1])
        return self.responses[-1]


class RegistrarWorld(World):
    """A user agent at 127.0.0.1:5060 (UDP and TCP) that nobody may call but users."""

    def __init__(self, path: Path, trusted: tuple[str, ...] = ()) -> None:
        super().__init__(settings=UserAgentSettings(trusted=trusted, users=USERS))
        self.agent.attach(self.network.bind(Destination("tcp", "127.0.0.1", 5060), self.agent))
        self.path = path
        self.stores: list[WatchedStore] = []
        self.registrars: list[Registrar] = []
        self._traffic = Traffic()

    @property
    def registrar(self) -> Registrar:
        return self.registrars[0]

    async def open(
        self, worker: str = "main", settings: RegistrarSettings | None = None
    ) -> Registrar:
        """One more registrar on the database; the first is that of the user agent."""
        url = url_of(self.path)
        store = await WatchedStore.open(url, self.clock, worker=worker)
        store.traffic = self._traffic
        registrar = Registrar(
            store,
            self.clock,
            random.Random(3),
            self.agent.request,
            worker=worker,
            settings=settings,
        )
        await registrar.start()
        if not self.registrars:
            self.agent.register_with(registrar)
            self.agent.route_by(registrar.route)
        self.stores.append(store)
        self.registrars.append(registrar)
        return registrar

    async def restart(self, settings: RegistrarSettings | None = None) -> None:
        """The process ends and another one of its name begins."""
        await self.close()
        self.agent._core.routers.clear()
        await self.open(settings=settings)

    async def settle(self, seconds: float = 0.0) -> None:
        """Lets everything happen that happens in so many seconds, the database's work included."""
        end = self.clock.monotonic() + seconds
        while True:
            await self._quiet()
            left = end - self.clock.monotonic()
            if left <= 1e-9:
                return
            self.clock.advance(min(left, 1.0))

    async def _quiet(self) -> None:
        """Until nothing more is sent, and nothing more is asked of the database."""
        seen = (-1, -1)
        while seen != (now := (len(self.network.sent), self._traffic.begun)):
            seen = now
            self.clock.advance(0.002)
            await self._traffic.settle()

    async def facts(self) -> list[str]:
        events = await self.stores[0].events()
        return [event.name.removeprefix("registration.") for event in events]

    async def close(self) -> None:
        for registrar in self.registrars:
            await registrar.stop()
        for store in self.stores:
            await store.close()
        self.registrars.clear()
        self.stores.clear()
