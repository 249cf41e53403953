"""`/api/v1/queues/{name}`, `/groups/…`, `/agents/…`, `/boxes/…`: what the operator defines.

A definition is put as a whole, as often as one likes. The rules that must hold: what the settings
declare is theirs, and answered 409; what is stored counts, and not what this worker knows of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus

from aiohttp import web

from vxml_server.queues import BadDefinition, Definition, IsDeclared, Kind, read, written
from vxml_server.web.problems import Problem
from vxml_server.web.protocols import Centre
from vxml_server.web.requests import bad, json_object, parameters, store_answers

_PATHS: Mapping[str, Kind] = {
    "queues": "queue",
    "groups": "group",
    "agents": "agent",
    "boxes": "box",
}


class DefinitionsApi:
    """The handlers."""

    def __init__(self, centre: Centre) -> None:
        self._centre = centre

    def routes(self) -> list[web.RouteDef]:
        made = [web.get("/api/v1/groups", self.groups)]
        for path in _PATHS:
            one = f"/api/v1/{path}/{{name}}"
            made += [web.get(one, self.get), web.put(one, self.put), web.delete(one, self.delete)]
        return made

    async def groups(self, request: web.Request) -> web.Response:
        """All groups, by name."""
        parameters(request)
        groups = self._centre.board.groups
        shown = [
            {**written(groups[name]), "declared": self._centre.is_declared("group", name)}
            for name in sorted(groups)
        ]
        return web.json_response({"groups": shown})

    async def get(self, request: web.Request) -> web.Response:
        """A definition, complete."""
        kind, name = _addressed(request)
        found = self._find(kind, name)
        if found is None:
            raise no_such(kind, name)
        return web.json_response(written(found))

    async def put(self, request: web.Request) -> web.Response:
        """Makes or replaces a definition: 201 or 200."""
        kind, name = _addressed(request)
        body = await json_object(request)
        if body.setdefault("name", name) != name:
            raise bad(f"name: expected {name!r} as in the path, or none.")
        try:
            definition = read(kind, body)
        except BadDefinition as error:
            raise bad(f"{error}.") from None
        with store_answers(), _undeclared(kind, name):
            is_new = await self._centre.define(definition)
        status = HTTPStatus.CREATED if is_new else HTTPStatus.OK
        return web.json_response(written(definition), status=status)

    async def delete(self, request: web.Request) -> web.Response:
        """Removes a definition: 204. Callers who wait, and calls, go on as they were."""
        kind, name = _addressed(request)
        with store_answers(), _undeclared(kind, name):
            if not await self._centre.undefine(kind, name):
                raise no_such(kind, name)
        return web.Response(status=HTTPStatus.NO_CONTENT)

    def _find(self, kind: Kind, name: str) -> Definition | None:
        board = self._centre.board
        match kind:
            case "box":
                return board.boxes.get(name)
            case "queue":
                return board.queues.get(name)
            case "group":
                return board.groups.get(name)
            case "agent":
                candidate = board.agents.get(name)
                return None if candidate is None else candidate.profile


def no_such(kind: Kind, name: str) -> Problem:
    """404."""
    return Problem(HTTPStatus.NOT_FOUND, f"There is no {kind} {name!r}.")


@contextmanager
def _undeclared(kind: Kind, name: str) -> Iterator[None]:
    """409."""
    try:
        yield
    except IsDeclared:
        raise Problem(
            HTTPStatus.CONFLICT,
            f"The {kind} {name!r} is declared in the settings, which alone may change it.",
        ) from None


def _addressed(request: web.Request) -> tuple[Kind, str]:
    parameters(request)
    return _PATHS[request.path.split("/")[3]], request.match_info["name"]
