"""Agents' telephones in SIP: one leg, or several that ring at once until the first is answered.

The rule that must hold: of several telephones one at most is answered; all others are hung up, and
none of them is left ringing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import quote

import structlog

from vxml_server.calls import (
    Answered,
    Ended,
    Ending,
    Handover,
    KeyPressed,
    Leg,
    Line,
    Progress,
    refusal,
)
from vxml_server.clock import Clock
from vxml_server.interpreter import TransferRequest
from vxml_server.media import NoPortsLeft
from vxml_server.queues.profiles import Agent
from vxml_server.queues.rows import Offer
from vxml_server.queues.telephony import CannotRing, Happening
from vxml_server.settings import DialRefused
from vxml_server.sip import InvalidUri

Contacts = Callable[[str], Sequence[str]]
"""Where the telephones of a user name are registered; none when they are not."""

# What a document would be told of a refusal, and what it means of an agent.
_MEANINGS: Mapping[str, Happening] = {
    "busy": Happening.BUSY,
    "noanswer": Happening.NO_ANSWER,
}
# A person's own "decline" or "unwanted" is not the network's "busy" (RFC 3261 section 21.6.2, RFC
# 8197 section 4). A 3xx that is not followed is a failure, and counts as missed: who forwards his
# calls is put on a break in the end.
_DECLINED = frozenset({603, 607})
# Of several telephones that refused, the answer of a person counts more than that of a machine.
_WEIGHTS = (Happening.REFUSED, Happening.BUSY, Happening.NO_ANSWER, Happening.FAILED)


_log = structlog.get_logger(__name__)
MAX_REDIRECTIONS = 5
"""How many redirections of one offer are followed at most."""


class SipTelephone:
    """A `Telephone` of one or several legs that have just been dialled."""

    def __init__(
        self,
        legs: Sequence[Leg],
        clock: Clock,
        news: asyncio.Event,
        follow: Callable[[str], Leg | None] = lambda contact: None,
    ) -> None:
        """`news` is set by the legs' mailboxes; `follow` dials where a telephone redirects to, and
        is None where that is not to be, or cannot be."""
        self._follow = follow
        self._redirections = 0
        self._ringing = list(legs)
        self._answered: Leg | None = None
        self._refusals: list[Happening] = []
        self._has_rung = False
        self._clock = clock
        self._news = news
        self._other: Leg | None = None
        self._told: Callable[[str], None] | None = None
        self._pressed: Callable[[str], None] | None = None

    @property
    def leg(self) -> Leg:
        assert self._answered is not None, "only who has answered is spoken to"
        return self._answered

    def talk_to(self, other: Leg | None, told: Callable[[str], None] | None = None) -> None:
        self._other, self._told = other, told

    def on_key(self, pressed: Callable[[str], None]) -> None:
        """Keys are told here from now on, and go nowhere else."""
        self._pressed = pressed

    async def next(self, seconds: float | None) -> Happening | None:
        deadline = None if seconds is None else self._clock.monotonic() + seconds
        while True:
            self._news.clear()
            if (happening := self._look()) is not None:
                return happening
            timer = None
            if deadline is not None:
                left = deadline - self._clock.monotonic()
                if left <= 0:
                    return None
                timer = self._clock.call_later(left, self._news.set)
            try:
                await self._news.wait()
            finally:
                if timer is not None:
                    timer.cancel()

    def _look(self) -> Happening | None:
        """What the mailboxes tell, if it is something."""
        if self._answered is not None:
            return self._listen(self._answered)
        for leg in list(self._ringing):
            while (event := leg.events.take()) is not None:
                match event:
                    case Answered():
                        return self._take(leg)
                    case Ended():
                        self._ringing.remove(leg)
                        if not self._is_redirected(event):
                            self._refusals.append(_meaning(event))
                    case Progress() if not self._has_rung:
                        self._has_rung = True
                        return Happening.RINGING
        if not self._ringing:
            return min(self._refusals, key=_WEIGHTS.index, default=Happening.FAILED)
        return None

    def _is_redirected(self, ended: Ended) -> bool:
        if not ended.contact or self._redirections >= MAX_REDIRECTIONS:
            return False
        self._redirections += 1
        leg = self._follow(ended.contact)
        if leg is not None:
            self._ringing.append(leg)
        return leg is not None

    def _take(self, leg: Leg) -> Happening:
        self._answered = leg
        for other in self._ringing:
            if other is not leg:
                _hang_up(other)
        return Happening.ANSWERED

    def _listen(self, leg: Leg) -> Happening | None:
        while (event := leg.events.take()) is not None:
            if isinstance(event, Ended):
                return Happening.HUNG_UP
            if isinstance(event, KeyPressed):
                if self._told is not None:
                    self._told(event.key)
                if self._pressed is not None:
                    self._pressed(event.key)
                elif event.source == "info" and self._other is not None:
                    self._other.send_key(event.key)
        return None

    def hang_up(self) -> None:
        for leg in self._ringing:
            _hang_up(leg)


def _hang_up(leg: Leg) -> None:
    leg.hang_up()
    leg.close()


def _meaning(ended: Ended) -> Happening:
    if ended.ending is not Ending.FAILURE:
        return Happening.FAILED
    if ended.status in _DECLINED:
        return Happening.REFUSED
    return _MEANINGS.get(refusal(ended.status), Happening.FAILED)


class Dialler:
    """Rings agents: at the telephones that are registered under their line, or at its URI."""

    def __init__(
        self, line: Line, contacts: Contacts, follows: Callable[[str], bool] = lambda queue: False
    ) -> None:
        """`follows` says of a queue whether its agents may send callers on (`follow_forwarding`);
        where to, the dial rules say."""
        self._line = line
        self._contacts = contacts
        self._follows = follows

    def dial(
        self, agent: Agent, offer: Offer, handover: Handover, request: TransferRequest
    ) -> SipTelephone:
        """Rings; raises `CannotRing`."""
        headers = _headers(offer, handover, request)
        return self.ring(agent.line, headers, follows=self._follows(offer.queue))

    def ring(self, line: str, headers: Mapping[str, str], *, follows: bool = False) -> SipTelephone:
        """Rings the telephones of a line: a user name, a number or a URI; raises `CannotRing`."""

        def follow(contact: str) -> Leg | None:
            try:
                return self._invite(self._line.destination(contact), headers, news)
            except (DialRefused, InvalidUri, NoPortsLeft) as error:
                _log.info("a redirection is not followed", to=contact, why=str(error))
                return None

        news = asyncio.Event()
        legs = []
        problem = ""
        for target in self._targets(line):
            try:
                legs.append(self._invite(target, headers, news))
            except (InvalidUri, NoPortsLeft) as error:
                problem = str(error)
        if not legs:
            raise CannotRing(problem or f"no telephone is registered for {line!r}")
        if follows:
            return SipTelephone(legs, self._line.clock, news, follow)
        return SipTelephone(legs, self._line.clock, news)

    def _targets(self, line: str) -> Sequence[str]:
        if ":" not in line and not line.startswith("+"):
            return self._contacts(line)
        try:
            return [self._line.destination(line)]
        except DialRefused as refused:
            raise CannotRing(refused.message) from None

    def _invite(self, target: str, headers: Mapping[str, str], news: asyncio.Event) -> Leg:
        line = self._line
        leg = Leg(line.engine, line.clock, line.session_id(), news.set)
        try:
            call = line.invite(target, leg.offer(), leg, headers, line.credentials(target))
        except BaseException:
            leg.close()
            raise
        leg.bind(call)
        return leg


def _headers(offer: Offer, handover: Handover, request: TransferRequest) -> dict[str, str]:
    """What the agent's side may know of the caller: attached data as User-to-User (RFC 7433)."""
    headers = {
        "X-Queue": quote(offer.queue),
        "X-Call-ID": quote(handover.call_id),
        "X-Caller": quote(handover.connection.remote_uri, safe=":@+;=."),
    }
    if request.aai:
        headers["User-to-User"] = f"{request.aai.encode().hex()};encoding=hex"
    return headers
