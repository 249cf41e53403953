"""The web server of the tests: VoiceXML documents, bad ones too, and the reports they send.

A document tells what happened to it by `<submit next="/report" namelist="caller …"/>`; `caller` is
its `session.connection.remote.uri`, whose user part is the name of the test's call. Documents are
files of `documents/`, with `${name}` replaced by the query's parameters and by `values`.
"""

from __future__ import annotations

import asyncio
import io
import threading
import wave
from pathlib import Path
from string import Template

from aiohttp import web

from tests.integration import audio

FOLDER = Path(__file__).with_name("documents")
HUGE_BYTES = 50 << 20

_EXIT = """<?xml version="1.0" encoding="UTF-8"?>
<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml"><form><block><exit/></block></form></vxml>
"""
_BOMB = (
    '<?xml version="1.0"?>\n<!DOCTYPE vxml [\n<!ENTITY l0 "ha">\n'
    + "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">\n' for n in range(1, 12))
    + ']>\n<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml">'
    + "<form><block>&l11;</block></form></vxml>\n"
)


class DocumentServer:
    """Runs in a thread of its own from `start` to `close`."""

    def __init__(self, port: int) -> None:
        self.origin = f"http://127.0.0.1:{port}"
        self.values: dict[str, str] = {}
        self.huge_bytes_sent = 0
        self._port = port
        self._reports: list[dict[str, str]] = []
        self._files: list[tuple[str, bytes]] = []
        self._loop = asyncio.new_event_loop()
        self._closing = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="documents")

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(10), "the document server did not start"

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join(10)

    def uri(self, path: str) -> str:
        return f"{self.origin}/{path}"

    def forget(self) -> None:
        """What was told until now: for who makes the same calls again."""
        self._reports.clear()
        self._files.clear()
        self.huge_bytes_sent = 0

    def reports(self, caller: str) -> list[dict[str, str]]:
        """What the documents of the call named `caller` reported."""
        return [r for r in self._reports if f":{caller}@" in r.get("caller", "")]

    def files(self, caller: str) -> list[bytes]:
        """The files that the documents of the call named `caller` sent."""
        return [file for uri, file in self._files if f":{caller}@" in uri]

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        application = web.Application()
        application.add_routes(
            [
                web.route("*", "/report", self._report),
                web.get("/malformed.vxml", self._malformed),
                web.get("/bomb.vxml", self._bomb),
                web.get("/slow.vxml", self._slow),
                web.get("/late.vxml", self._late),
                web.get("/huge.vxml", self._huge),
                web.get("/sounds/{frequency}-{seconds}.wav", self._sound),
                web.get("/{name}.vxml", self._document),
            ]
        )
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self._port).start()
        self._ready.set()
        await self._closing.wait()
        await runner.cleanup()

    async def _report(self, request: web.Request) -> web.Response:
        form = await request.post()
        told = dict(request.query)
        for name, value in form.items():
            if isinstance(value, web.FileField):
                self._files.append((str(form.get("caller", "")), value.file.read()))
            else:
                told[name] = str(value)
        self._reports.append(told)
        return _vxml(_EXIT)

    async def _document(self, request: web.Request) -> web.Response:
        path = FOLDER / f"{request.match_info['name']}.vxml"
        if not path.is_file():
            raise web.HTTPNotFound
        values = {"origin": self.origin} | self.values | dict(request.query)
        values |= {k: self.values[v] for k, v in request.query.items() if v in self.values}
        return _vxml(Template(path.read_text("utf-8")).substitute(values))

    async def _malformed(self, request: web.Request) -> web.Response:
        return _vxml("<vxml version='2.1' xmlns='http://www.w3.org/2001/vxml'><form></vxml>")

    async def _bomb(self, request: web.Request) -> web.Response:
        return _vxml(_BOMB)

    async def _slow(self, request: web.Request) -> web.Response:
        """Never answers while the test lasts."""
        await self._closing.wait()
        return _vxml(_EXIT)

    async def _late(self, request: web.Request) -> web.Response:
        """An entry document that leaves the caller two seconds to change their mind."""
        await asyncio.sleep(2)
        return _vxml(_EXIT)

    async def _huge(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/voicexml+xml"})
        await response.prepare(request)
        await response.write(_EXIT.removesuffix("</vxml>\n").encode())
        block = b" " * (1 << 20)
        for _ in range(HUGE_BYTES // len(block)):
            await response.write(block)
            self.huge_bytes_sent += len(block)
        await response.write(b"</vxml>\n")
        return response

    async def _sound(self, request: web.Request) -> web.Response:
        frequency = float(request.match_info["frequency"])
        seconds = float(request.match_info["seconds"])
        file = io.BytesIO()
        with wave.open(file, "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(audio.RATE)
            out.writeframes(audio.sines((frequency,), seconds, -20.0).astype("<i2").tobytes())
        return web.Response(body=file.getvalue(), content_type="audio/x-wav")


def _vxml(text: str) -> web.Response:
    return web.Response(
        text=text, content_type="application/voicexml+xml", headers={"Cache-Control": "no-cache"}
    )
