"""`/apps/…`: the files of applications, with the media types that VoiceXML asks for.

The rule that must hold: what is served is a regular file below the folder, of a kind that belongs
to an application. The source of an application's back end lies beside its documents and is not.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiohttp import web

from vxml_server.fetch import media_type_of

_SERVED = frozenset(
    {
        ".vxml",
        ".grxml",
        ".gram",
        ".ssml",
        ".pls",
        ".xml",
        ".js",
        ".es",
        ".json",
        ".wav",
        ".au",
        ".ulaw",
        ".alaw",
        ".flac",
        ".ogg",
        ".mp3",
        ".txt",
        ".html",
        ".css",
        ".svg",
        ".png",
    }
)


class AppFiles:
    """Serves the files below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/apps/{path:.+}", self.serve)]

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """The file, with ETag and Last-Modified; caches ask each time whether it has changed."""
        path = await asyncio.to_thread(self._find, request.match_info["path"])
        if path is None:
            raise web.HTTPNotFound
        headers = {"Content-Type": media_type_of(path.name), "Cache-Control": "no-cache"}
        return web.FileResponse(path, headers=headers)

    def _find(self, name: str) -> Path | None:
        try:
            path = (self._root / name).resolve()
            is_served = (
                path.is_relative_to(self._root)
                and path.suffix.lower() in _SERVED
                and not any(part.startswith(".") for part in path.relative_to(self._root).parts)
                and path.is_file()
            )
        except (ValueError, OSError, RuntimeError):  # zero bytes, too long, loops of links
            return None
        return path if is_served else None
