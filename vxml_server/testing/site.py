"""A web server on this machine that serves a suite: its documents are fetched as documents are.

`/…` is the folder of the suite, each `.txml` under that name and as `.vxml`, transformed. Below
`/-/` are pages that do what a file cannot, for tests of fetching:

    /-/echo              VoiceXML that says the method and the fields of the request, and exits
    /-/header/NAME       VoiceXML that says a header of the request
    /-/count/KEY         VoiceXML that says how often it was asked for; what stands in the query
                         (`?cache-control=…&etag=…`) are headers of the answer
    /-/status/CODE       an answer with that status and no content
    /-/redirect?to=URI   a redirect
    /-/set-cookie?a=b    VoiceXML that says `set`, with a cookie
    /-/never             no answer

With `?end=return` a page returns as a subdialog does instead of exiting.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Self
from urllib.parse import quote
from xml.sax.saxutils import escape

from aiohttp import web

from vxml_server.clock import SystemClock
from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import Fetcher, FetchRequest, Resource, ResourceFetcher, media_type_of
from vxml_server.settings import FetchSettings
from vxml_server.testing.conf import transform

_TWINS = {".vxml": (".txml", ".vxml"), ".txml": (".txml", ".vxml")}


class CallTime(SystemClock):
    """Real time, and the virtual time of the calls on top: caches grow old as calls go on."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.seconds


class Site:
    """The server of one suite and the fetcher of those who call it; an async context manager."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._asked: Counter[str] = Counter()
        self._closing = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self.origin = ""
        self.clock = CallTime()

    async def __aenter__(self) -> Self:
        app = web.Application()
        for path, handler in (
            ("/-/echo", self._echo),
            ("/-/header/{name}", self._header),
            ("/-/count/{key}", self._count),
            ("/-/status/{code:[1-5][0-9][0-9]}", self._status),
            ("/-/redirect", self._redirect),
            ("/-/set-cookie", self._set_cookie),
            ("/-/never", self._never),
            ("/{path:.*}", self._file),
        ):
            app.router.add_route("*", path, handler)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.origin = f"http://{host}:{port}"
        self._fetcher = Fetcher(FetchSettings(allow=(self.origin,)), self.clock)
        return self

    async def __aexit__(self, *exception: object) -> None:
        assert self._runner is not None
        self._closing.set()
        await self._fetcher.close()
        await self._runner.cleanup()

    def uri(self, path: Path) -> str:
        """Where a file or folder of the suite is served."""
        relative = path.resolve().relative_to(self._root).as_posix()
        return f"{self.origin}/{quote(relative)}"

    def session(self) -> ResourceFetcher:
        """What one call fetches with: cookies of its own, and nothing but this site."""
        return _Fenced(self._fetcher.session(), self.origin)

    # Pages -------------------------------------------------------------------------------------

    async def _file(self, request: web.Request) -> web.StreamResponse:
        path = (self._root / request.match_info["path"]).resolve()
        for suffix in _TWINS.get(path.suffix, (path.suffix,)):
            file = path.with_suffix(suffix)
            if file.is_relative_to(self._root) and file.is_file():
                body = transform(file.read_bytes())
                return web.Response(body=body, headers={"content-type": media_type_of(file.name)})
        raise web.HTTPNotFound

    async def _echo(self, request: web.Request) -> web.StreamResponse:
        said = [request.method]
        said += [f"{name} = {value}." for name, value in request.query.items() if name != "end"]
        if request.method == "POST":
            said.insert(1, f"{request.content_type}.")
            for name, value in (await request.post()).items():
                if isinstance(value, web.FileField):
                    size = len(value.file.read())
                    said.append(f"{name} = {value.content_type} of {size} bytes.")
                else:
                    said.append(f"{name} = {value!s}.")
        return _page(request, " ".join(said))

    async def _header(self, request: web.Request) -> web.StreamResponse:
        return _page(request, request.headers.get(request.match_info["name"], "none"))

    async def _count(self, request: web.Request) -> web.StreamResponse:
        key = request.match_info["key"]
        headers = {name: value for name, value in request.query.items() if name != "end"}
        if headers.get("etag") and request.headers.get("if-none-match") == headers["etag"]:
            return web.Response(status=304, headers=headers)
        self._asked[key] += 1
        page = _page(request, f"request {self._asked[key]}")
        page.headers.update(headers)
        return page

    async def _status(self, request: web.Request) -> web.StreamResponse:
        return web.Response(status=int(request.match_info["code"]))

    async def _redirect(self, request: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"location": request.query.get("to", "/")})

    async def _set_cookie(self, request: web.Request) -> web.StreamResponse:
        page = _page(request, "set")
        for name, value in request.query.items():
            if name != "end":
                page.set_cookie(name, value)
        return page

    async def _never(self, request: web.Request) -> web.StreamResponse:
        await self._closing.wait()
        raise web.HTTPGone


def _page(request: web.Request, said: str) -> web.Response:
    """A VoiceXML document that says something."""
    end = "return" if request.query.get("end") == "return" else "exit"
    text = (
        '<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml" xml:lang="en"><form><block>'
        f"{escape(said)}<{end}/></block></form></vxml>"
    )
    return web.Response(text=text, content_type="application/voicexml+xml")


class _Fenced:
    """A fetcher that stays on the site: what a suite shows must not depend on the Internet."""

    def __init__(self, fetcher: ResourceFetcher, origin: str) -> None:
        self._fetcher = fetcher
        self._origin = origin

    async def fetch(self, request: FetchRequest) -> Resource:
        if not request.uri.startswith(self._origin + "/"):
            raise VoiceXmlEvent("error.badfetch", "outside of the suite", uri=request.uri)
        return await self._fetcher.fetch(request)
