"""Telephones at the far end of SIP calls, driven by tests."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from vxml_server.calls import Leg
from vxml_server.settings import DialRefused
from vxml_server.sip import (
    Credentials,
    EndCause,
    Headers,
    IllegalTransition,
    InvalidUri,
    LocalMedia,
    OfferAnswer,
    SessionDescription,
)


def far_end(port: int = 4000, **local: object) -> OfferAnswer:
    """The other side's negotiation."""
    return OfferAnswer(LocalMedia("198.51.100.7", port, **local), session_id=7)


class FakeSession:
    """What incoming and outgoing calls share: one final notification, told afterwards."""

    def __init__(self, listener: object = None) -> None:
        self.listener = listener
        self.far = far_end()
        self.finals: list[str] = []
        self.sent: list[str] = []
        self.state = "early"

    def final(self, name: str, *arguments: object) -> None:
        if self.finals:
            return
        self.finals.append(name)
        self.state = "over"
        asyncio.get_running_loop().call_soon(lambda: getattr(self.listener, name)(*arguments))

    def bye(self, reason: str = "") -> None:
        """The far end hangs up."""
        self.final("ended", EndCause.REMOTE_BYE, reason)

    def lose(self) -> None:
        """A request in the dialog is not answered."""
        self.final("ended", EndCause.TRANSPORT, "unreachable")

    def info(self, key: str) -> int:
        return self.listener.info("application/dtmf-relay", f"Signal={key}\r\n".encode())


class FakeIncoming(FakeSession):
    def __init__(
        self,
        number: str = "1000",
        *,
        late_offer: bool = False,
        offer: SessionDescription | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.request_uri = f"sip:{number}@192.0.2.1"
        self.local_uri = f"sip:{number}@ivr.test"
        self.remote_uri = "sip:alice@phone.test"
        self.sip_call_id = "call-1@phone.test"
        self.source = ("198.51.100.7", 5060)
        self.headers = Headers(headers or {})
        self.remote_offer = None if late_offer else offer or self.far.offer()
        self.answered_with: SessionDescription | None = None
        self.refused: tuple[int, Mapping[str, str]] | None = None

    def ring(self) -> None:
        self.sent.append("180")

    def answer(self, sdp: SessionDescription) -> None:
        if self.state == "over":
            return
        if self.state != "early":
            raise IllegalTransition("answered twice")
        self.state = "answered"
        self.answered_with = sdp
        self.sent.append("200")

    def reject(self, status: int, headers: Mapping[str, str] | None = None) -> None:
        self.refused = (status, headers or {})
        self.sent.append(str(status))
        self.final("rejected", status, "", Headers())

    def hang_up(self) -> None:
        if self.state == "early":
            self.reject(603)
        elif self.state == "answered":
            self.sent.append("BYE")
            self.final("ended", EndCause.LOCAL, "")

    # The telephone.

    def ack(self, sdp: SessionDescription | None = None) -> None:
        if self.remote_offer is not None:
            self.far.accept(self.answered_with)
        self.listener.acknowledged(sdp)

    def cancel(self) -> None:
        if self.state == "early":
            self.final("cancelled")


class FakeOutgoing(FakeSession):
    def __init__(
        self, target: str, offer: SessionDescription, listener: object, headers: Mapping[str, str]
    ) -> None:
        super().__init__(listener)
        self.target = target
        self.offer = offer
        self.headers = headers
        self.credentials: Credentials | None = None
        self.far = far_end(5000)

    def hang_up(self) -> None:
        if self.state == "early":
            self.sent.append("CANCEL")
            self.final("cancelled")
        elif self.state == "answered":
            self.sent.append("BYE")
            self.final("ended", EndCause.LOCAL, "")

    # The telephone.

    def ring(self, status: int = 180, sdp: SessionDescription | None = None) -> None:
        self.listener.progress(status, sdp)

    def early_media(self) -> None:
        self.ring(183, self.far.answer(self.offer))

    def answer(self, sdp: SessionDescription | None = None) -> None:
        self.state = "answered"
        self.listener.answered(sdp or self.far.answer(self.offer))

    def answer_without_description(self) -> None:
        self.state = "answered"
        self.listener.answered(None)

    def refuse(self, status: int, reason: str = "") -> None:
        self.final("rejected", status, reason, Headers())


class FarEnds:
    """Those whom we call: the dial rules, and a telephone for every INVITE."""

    def __init__(self) -> None:
        self.outgoing: list[FakeOutgoing] = []

    def destination(self, dest: str) -> str:
        if "forbidden" in dest:
            raise DialRefused("error.connection.noauthorization", "no rule allows it")
        return dest

    def invite(
        self,
        target: str,
        offer: SessionDescription,
        leg: Leg,
        headers: Mapping[str, str],
        credentials: Credentials | None,
    ) -> FakeOutgoing:
        if "unreachable" in target:
            raise InvalidUri("no transport")
        call = FakeOutgoing(target, offer, leg, headers)
        call.credentials = credentials
        self.outgoing.append(call)
        return call
