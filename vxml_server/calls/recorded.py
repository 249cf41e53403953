"""Conversations that are recorded, as calls and queues see them; the room `recording` does it.

The rule that must hold: without an accepted notice nothing is recorded, whoever wants it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias
from urllib.parse import unquote

from vxml_server.interpreter import Json, Outcome
from vxml_server.media import Channel
from vxml_server.store import Direction

Converse: TypeAlias = Callable[[str, Mapping[str, Json]], Awaitable[Outcome]]
"""Runs a VoiceXML document on the caller's leg; see `Handover`."""


@dataclass(slots=True)
class Consent:
    """What a caller has answered when he was told that he is recorded: it holds for his call.

    None before he has answered, and where he could not be told.
    """

    answer: bool | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """What decides whether a conversation is recorded, and what its record tells.

    It is inbound where the caller comes to an agent of ours, and outbound where he is put through
    to a number or an address. Numbers are user parts of URIs: `number` is what he dialled by the To
    header, `called` by the Request-URI, another one where he was diverted. `agent` is empty where
    there is a `queue` and nobody has answered yet. `destination` is whom the caller is put through
    to; `language` that of the notice, the server's if it is empty; `data` is searched as text.
    `consent` is that of the call, and is given once.
    """

    call_id: str
    direction: Direction
    caller: str
    number: str
    application: str
    called: str = ""
    queue: str = ""
    agent: str = ""
    destination: str = ""
    language: str = ""
    data: Mapping[str, Json] = field(default_factory=dict)
    consent: Consent = field(default_factory=Consent)


def user_part(uri: str) -> str:
    """The user part of a SIP URI, unescaped, without parameters of its own."""
    rest = uri.partition(":")[2]
    user, at, _ = rest.rpartition("@")
    return unquote(user.partition(";")[0].partition(":")[0]) if at else ""


class Recorded(Protocol):
    """One conversation that may be recorded.

    All but `notice` take effect at once and raise nothing: trouble with media, disk or database
    ends in the record and in the log.
    """

    async def notice(self, converse: Converse) -> bool:
        """Plays the notice to the caller; whether he may be recorded.

        False when he refuses, hangs up, or cannot be told; then nothing is recorded, now or later.
        The first answer counts, and is given again; what he has answered earlier in his call too.
        """

    def moved(self, queue: str) -> None:
        """He waits in another queue from now on, whose rules decide. His answer still holds."""

    def agent(self, name: str, data: Mapping[str, Json] | None = None) -> None:
        """Says who has answered, before `start`."""

    def start(self, caller: Channel, agent: Channel) -> None:
        """The two are bridged now. Once more after `stop`: another recording of the same caller."""

    def key(self, key: str) -> None:
        """A key that the agent has pressed."""

    def stop(self) -> None:
        """The bridge has ended. Twice is harmless."""

    def close(self) -> None:
        """The conversation is over. Twice is harmless."""


Records: TypeAlias = Callable[[Conversation], Recorded | None]
"""Whether a conversation is to be recorded, decided at once; None if it is not."""
