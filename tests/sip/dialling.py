"""Calls that we make, and the phone that we call."""

from __future__ import annotations

from tests.sip.peers import Owner, World
from vxml_server.sip.interface import Credentials
from vxml_server.sip.message import Request
from vxml_server.sip.outgoing import OutgoingCall

TARGET = "sip:bob@127.0.0.1:5080"


class Dialling(World):
    """A world in which we call the phone."""

    def __init__(self, protocol: str = "udp") -> None:
        super().__init__(protocol)
        self.bob = self.phone
        self.ear = Owner()

    def dial(
        self,
        target: str = TARGET,
        *,
        late: bool = False,
        credentials: Credentials | None = None,
        headers: dict[str, str] | None = None,
        from_: str = '"IVR 1" <sip:ivr@127.0.0.1>',
    ) -> OutgoingCall:
        if self.server.protocol == "tcp":
            target += ";transport=tcp"
        made = self.agent.invite(
            target,
            from_=from_,
            offer=None if late else self.ear.media.offer(),
            listener=self.ear,
            credentials=credentials,
            headers=headers or {},
        )
        self.ear.call = made
        assert self.ear.told == []
        self.clock.advance(0.01)
        return made

    def reply(
        self,
        status: int,
        *,
        tag: str = "bob",
        body: bytes = b"",
        to: Request | None = None,
        **headers: str,
    ) -> None:
        request = to or next(r for r in reversed(self.bob.requests) if r.method == "INVITE")
        response = request.response(status, tag=tag if status > 100 else "")
        if status < 300:
            response.headers.add("Contact", "<sip:bob@127.0.0.1:5080>")
        for name, value in headers.items():
            response.headers.set(name.replace("_", "-"), value)
        if body:
            response.headers.set("Content-Type", "application/sdp")
            response.body = body
        self.bob.send(response)
