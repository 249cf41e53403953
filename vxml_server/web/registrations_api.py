"""`/api/v1/registrations` and `/api/v1/trunks`: telephones that registered with us, and exchanges
that this process registers with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from aiohttp import web

from vxml_server.sip import Binding, TrunkStatus
from vxml_server.store import Json
from vxml_server.web.requests import number, parameters, when_epoch

DEFAULT_LIMIT, MAX_LIMIT = 1000, 10_000


class Registrations(Protocol):
    """The telephones of all users (`sip.Registrar.location`)."""

    def bindings(self, user: str) -> Sequence[Binding]: ...
    def all(self) -> Sequence[Binding]: ...


class TrunkStates(Protocol):
    """The trunks of this process (`sip.Trunks`)."""

    def status(self) -> Sequence[TrunkStatus]: ...


class RegistrationsApi:
    """The handlers."""

    def __init__(self, registrations: Registrations, trunks: TrunkStates) -> None:
        self._registrations = registrations
        self._trunks = trunks

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/registrations", self.list),
            web.get("/api/v1/trunks", self.trunks),
        ]

    async def list(self, request: web.Request) -> web.Response:
        """Telephones by user, those of one in the order in which they are preferred."""
        given = parameters(request, "user", "limit")
        limit = number(given, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT)
        if "user" in given:
            found = self._registrations.bindings(given["user"])
        else:
            found = self._registrations.all()
        shown = [_telephone(binding) for binding in found[:limit]]
        return web.json_response({"registrations": shown, "more": len(found) > limit})

    async def trunks(self, request: web.Request) -> web.Response:
        """Every trunk of the settings, in their order."""
        parameters(request)
        return web.json_response({"trunks": [_trunk(one) for one in self._trunks.status()]})


def _telephone(binding: Binding) -> dict[str, Json]:
    return {
        "user": binding.user,
        "contact": binding.contact,
        "source": str(binding.source),
        "path": list(binding.path),
        "q": binding.q,
        "reachable": binding.reachable,
        "registered_at": when_epoch(binding.registered_at),
        "expires_at": when_epoch(binding.expires_at),
        "user_agent": binding.user_agent,
        "worker": binding.worker,
    }


def _trunk(trunk: TrunkStatus) -> dict[str, Json]:
    return {
        "name": trunk.name,
        "registrar": trunk.registrar,
        "user": trunk.user,
        "state": trunk.state,
        "address": trunk.address,
        "expires_at": when_epoch(trunk.expires_at),
        "failure": trunk.failure,
    }
