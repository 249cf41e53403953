"""`<object classid="vxml-server:agent">`: agents sign in and out, and take breaks, by telephone.

Who calls has first to say who he is, by his number and PIN; a telephone that is registered as an
agent's line has said the number already. The rule that must hold: nothing is told or changed before
that, and what is changed afterwards is of that agent alone.

The parameter `operation`, the others that it takes, and the value of the item:

    who                   {known, description}    whose line the call comes from
    identify  number pin  {ok, reason}            reason: "", "wrong", "locked"
    state                 {state, reason}         as `GET /api/v1/agents` names it
    sign-in               the same, afterwards
    sign-out              the same
    break     reason      the same
    wrapped-up            the same
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol
from urllib.parse import unquote

from vxml_server.events import VoiceXmlEvent
from vxml_server.interpreter import Json, ObjectCall
from vxml_server.queues import Agent, Board, NoSuchAgent, Presence, TooManyTries, state_of
from vxml_server.sip import InvalidUri, SipUri
from vxml_server.store import StoreError

CLASSID = "vxml-server:agent"
MAX_TRIES = 3
"""Wrong numbers or PINs in one call."""
MAX_REASON = 64
_Fields = dict[str, Json]


class Centre(Protocol):
    """What is needed of `ContactCentre`."""

    @property
    def board(self) -> Board: ...
    async def present(self, agent: str, presence: Presence, reason: str = "") -> None: ...
    async def release(self, agent: str) -> bool: ...
    async def check_pin(self, agent: str, pin: str) -> bool: ...


class AgentObject:
    """The object of one call. `line` is the user whose telephone calls, "" when nobody knows."""

    def __init__(self, centre: Centre, line: str) -> None:
        self._centre = centre
        self._own = self._agent_of_line(line)
        self._agent = ""
        self._wrong = 0
        self._operations: Mapping[str, Callable[[ObjectCall], Awaitable[_Fields]]] = {
            "who": self._who,
            "identify": self._identify,
            "state": self._state,
            "sign-in": self._present(Presence.AVAILABLE),
            "sign-out": self._present(Presence.SIGNED_OUT),
            "break": self._present(Presence.ON_BREAK),
            "wrapped-up": self._wrapped_up,
        }

    async def __call__(self, call: ObjectCall, /) -> Json:
        operation = call.choice("operation", self._operations)
        if call.text("operation") not in {"who", "identify"} and not self._agent:
            raise VoiceXmlEvent("error.vxml-server.agent.unidentified", "nobody has said who calls")
        try:
            return await operation(call)
        except (StoreError, NoSuchAgent) as error:
            raise VoiceXmlEvent("error.vxml-server.agent.unavailable", str(error)) from None

    async def _who(self, call: ObjectCall) -> _Fields:
        candidate = self._centre.board.agents.get(self._own)
        if candidate is None:
            return {"known": False, "description": ""}
        return {"known": True, "description": candidate.profile.description or self._own}

    async def _identify(self, call: ObjectCall) -> _Fields:
        self._agent = ""
        if self._wrong >= MAX_TRIES:
            return {"ok": False, "reason": "locked"}
        number = call.text("number")
        agent = self._agent_of_number(number) if number else self._own
        try:
            is_right = bool(agent) and await self._centre.check_pin(agent, call.text("pin"))
        except TooManyTries:
            return {"ok": False, "reason": "locked"}
        if not is_right:
            self._wrong += 1
            return {"ok": False, "reason": "locked" if self._wrong >= MAX_TRIES else "wrong"}
        self._agent = agent
        return {"ok": True, "reason": ""}

    async def _state(self, call: ObjectCall) -> _Fields:
        board = self._centre.board
        row = board.row(self._agent)
        return {
            "state": state_of(row, board.offers_of_agent(self._agent)),
            "reason": row.reason,
        }

    def _present(self, presence: Presence) -> Callable[[ObjectCall], Awaitable[_Fields]]:
        async def change(call: ObjectCall) -> _Fields:
            reason = call.text("reason")[:MAX_REASON]
            await self._centre.present(self._agent, presence, reason)
            return await self._state(call)

        return change

    async def _wrapped_up(self, call: ObjectCall) -> _Fields:
        await self._centre.release(self._agent)
        return await self._state(call)

    def _agent_of_line(self, line: str) -> str:
        return _only(self._centre.board, lambda agent: bool(line) and agent.line == line)

    def _agent_of_number(self, number: str) -> str:
        return _only(self._centre.board, lambda agent: (agent.number or agent.name) == number)


class Origin(Protocol):
    """What is known of who calls (`sip.IncomingCall`)."""

    user: str
    remote_uri: str
    source: tuple[str, int]


def calling_line(call: Origin, is_at: Callable[[str, tuple[str, int]], bool]) -> str:
    """The user whose telephone calls, "" when nobody knows: who has proved it by digest; or whom
    From names, where `is_at` says that his telephone is registered from just there."""
    if call.user:
        return call.user
    try:
        user = unquote(SipUri.parse(call.remote_uri).user)
    except InvalidUri:
        return ""
    return user if user and is_at(user, call.source) else ""


def _only(board: Board, fits: Callable[[Agent], bool]) -> str:
    """The one agent that fits; "" when there are none or several."""
    found = [name for name, candidate in board.agents.items() if fits(candidate.profile)]
    return found[0] if len(found) == 1 else ""
