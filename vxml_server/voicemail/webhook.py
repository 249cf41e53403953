"""A program that is told of a message: a POST of JSON, signed as Standard Webhooks says
(https://www.standardwebhooks.com).

The audio is not in it, but where to get it. The rules that must hold: what is sent is signed with
the moment and an id that is the same at each try, so that a receiver knows what is ours, what is
old, and what he has had already; only addresses that documents may be fetched from are reached, as
`[fetch] allow` says; a redirection is not followed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from datetime import UTC
from http import HTTPStatus

from vxml_server import __version__
from vxml_server.clock import Clock, deadline
from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import HttpClient, http_uri
from vxml_server.store import Json
from vxml_server.voicemail.notices import News, NotSent

TIMEOUT = 20.0
"""Seconds that a receiver may take."""
MAX_ANSWER = 1024 * 1024
"""Octets of an answer; nobody reads it."""
MAX_CONNECTIONS = 20
_PREFIX = "whsec_"


class Webhooks:
    """The way `webhook`. Without a `secret` nothing is signed."""

    def __init__(self, client: HttpClient, clock: Clock, secret: str = "") -> None:
        self._client = client
        self._clock = clock
        self._key = key_of(secret)

    async def send(self, news: News) -> None:
        body = json.dumps(told(news), ensure_ascii=False).encode()
        id_, at = news.notice.id, int(news.at.timestamp())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"vxml-server/{__version__}",
            "Webhook-Id": id_,
            "Webhook-Timestamp": str(at),
        }
        if self._key:
            headers["Webhook-Signature"] = signature(self._key, id_, at, body)
        try:
            async with deadline(self._clock, TIMEOUT):
                uri = http_uri(news.notice.address)
                reply = await self._client.exchange("POST", uri, headers, body)
        except ValueError as error:
            raise NotSent(str(error), is_final=True) from None
        except VoiceXmlEvent as event:
            raise NotSent(event.message) from None
        except TimeoutError:
            raise NotSent(f"no answer within {TIMEOUT:g} s") from None
        if not HTTPStatus.OK <= reply.status < HTTPStatus.MULTIPLE_CHOICES:
            raise NotSent(f"HTTP {reply.status}", is_final=reply.status == HTTPStatus.GONE)

    async def close(self) -> None:
        await self._client.close()


def told(news: News) -> dict[str, Json]:
    """What a receiver gets."""
    message = news.message
    return {
        "type": "voicemail.left",
        "timestamp": message.left_at.astimezone(UTC).isoformat(),
        "data": {
            "message": message.id,
            "box": message.box,
            "queue": message.queue,
            "agent": message.agent,
            "call": message.call_id,
            "caller": message.caller,
            "left_at": message.left_at.astimezone(UTC).isoformat(),
            "duration_s": message.duration_s,
            "new": news.new,
            "audio": f"/api/v1/voicemail/messages/{message.id}/audio",
        },
    }


def key_of(secret: str) -> bytes:
    """The key of a secret: `whsec_` and base64, or any text as it is."""
    if secret.startswith(_PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            pass
    return secret.encode()


def signature(key: bytes, id_: str, at: int, body: bytes) -> str:
    """The `Webhook-Signature` of a body: version 1 is HMAC with SHA-256."""
    signed = hmac.digest(key, b".".join((id_.encode(), str(at).encode(), body)), hashlib.sha256)
    return f"v1,{base64.b64encode(signed).decode()}"
