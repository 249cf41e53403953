"""The HTTP server: the routes put together, and its start and stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from importlib import resources

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from vxml_server.clock import Clock, SystemClock
from vxml_server.recording import Recordings
from vxml_server.settings import Listen, WebSettings
from vxml_server.web.access import add_headers, guard
from vxml_server.web.agents_api import AgentsApi
from vxml_server.web.apps import AppFiles
from vxml_server.web.calls_api import CallsApi
from vxml_server.web.definitions_api import DefinitionsApi
from vxml_server.web.events_api import EventsApi
from vxml_server.web.limits import lift, time_limit
from vxml_server.web.problems import as_problems
from vxml_server.web.protocols import (
    CallDirectory,
    CallHistory,
    Centre,
    EventFeed,
    Statistics,
)
from vxml_server.web.queues_api import QueuesApi
from vxml_server.web.recordings_api import RecordingsApi
from vxml_server.web.registrations_api import Registrations, RegistrationsApi, TrunkStates
from vxml_server.web.statistics_api import StatisticsApi
from vxml_server.web.supervision_api import Orders, SupervisionApi
from vxml_server.web.voicemail_api import Voicemail, VoicemailApi

# A recording posted to an application's back end is the largest body that has a reason.
MAX_BODY = 16 * 1024 * 1024
ANSWER_SECONDS = 60.0
_KEEP_ALIVE = 30.0
_LAST_ANSWERS = 5.0
_EVENTS = web.AppKey("events", EventsApi)


def make_app(
    settings: WebSettings,
    *,
    directory: CallDirectory,
    history: CallHistory,
    centre: Centre,
    statistics: Statistics,
    feed: EventFeed,
    registry: CollectorRegistry,
    is_draining: Callable[[], bool],
    recordings: Recordings | None = None,
    telephones: tuple[Registrations, TrunkStates] | None = None,
    orders: Orders | None = None,
    voicemail: Voicemail | None = None,
    mounts: Mapping[str, web.Application] | None = None,
    clock: Clock | None = None,
) -> web.Application:
    """All routes. `mounts` are applications with code, by the path that they own below /apps
    (`/apps/bank/accounts`); files of `settings.apps` are served at all other paths there."""
    clock = clock or SystemClock()
    app = web.Application(
        middlewares=[as_problems, guard(settings), time_limit(clock, ANSWER_SECONDS)],
        client_max_size=MAX_BODY,
    )
    app.on_response_prepare.extend([add_headers, lift])
    events = app[_EVENTS] = EventsApi(history, feed, clock)
    app.on_shutdown.append(_end_streams)
    api_document = (resources.files("vxml_server.web") / "openapi.json").read_bytes()

    async def health(_: web.Request) -> web.Response:
        if is_draining():
            return web.json_response({"status": "draining"}, status=503)
        return web.json_response({"status": "ready"})

    async def metrics(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        body = await asyncio.to_thread(encode, registry)
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def openapi(_: web.Request) -> web.Response:
        return web.Response(body=api_document, content_type="application/json")

    app.add_routes(
        [
            web.get("/healthz", health),
            web.get("/metrics", metrics),
            web.get("/openapi.json", openapi),
            *CallsApi(directory, history, centre).routes(),
            *QueuesApi(centre, statistics).routes(),
            *StatisticsApi(statistics).routes(),
            *AgentsApi(centre).routes(),
            *DefinitionsApi(centre).routes(),
            *events.routes(),
        ]
    )
    if recordings is not None:
        app.add_routes(RecordingsApi(recordings.library, recordings.recorder.command).routes())
    if telephones is not None:
        app.add_routes(RegistrationsApi(*telephones).routes())
    if orders is not None:
        app.add_routes(SupervisionApi(centre, orders).routes())
    if voicemail is not None:
        app.add_routes(VoicemailApi(voicemail).routes())
    for path, mounted in (mounts or {}).items():
        app.add_subapp(path, mounted)
    if settings.apps is not None:
        app.add_routes(AppFiles(settings.apps).routes())
    return app


async def _end_streams(app: web.Application) -> None:
    app[_EVENTS].end()


class WebServer:
    """Serves an application of `make_app` where the settings say."""

    def __init__(self, app: web.Application, listen: Listen) -> None:
        self._app = app
        self._listen = listen
        self._runner = web.AppRunner(
            app,
            access_log=None,
            keepalive_timeout=_KEEP_ALIVE,
            shutdown_timeout=_LAST_ANSWERS,
        )

    async def start(self) -> Listen:
        """Listens; the answer has the port that the system chose when 0 was asked for.

        Raises `OSError` when the address cannot be had.
        """
        await self._runner.setup()
        await web.TCPSite(self._runner, self._listen.host, self._listen.port).start()
        port = self._runner.addresses[0][1]
        return Listen(self._listen.scheme, self._listen.host, port)

    def drain(self) -> None:
        """Ends live streams, so that who watches turns to another server."""
        self._app[_EVENTS].end()

    async def stop(self) -> None:
        """Stops listening, lets answers under way finish for a few seconds, and closes."""
        await self._runner.cleanup()
