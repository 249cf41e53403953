"""Asking for what is answered with a problem document."""

from __future__ import annotations

from typing import Any

from tests.web.world import Client


async def problem(
    client: Client, method: str, path: str, status: int, body: Any = None, **more: Any
) -> str:
    """The detail of the problem document; `body` is sent as JSON, `more` is aiohttp's."""
    if body is not None:
        more["json"] = body
    response = await client.request(method, path, **more)
    assert response.status == status
    assert response.content_type == "application/problem+json"
    answer = await response.json(content_type=None)
    assert answer["status"] == status
    assert answer["type"] == "about:blank"
    assert answer["title"] == response.reason
    assert answer["instance"] == path.partition("?")[0]
    return str(answer["detail"])
