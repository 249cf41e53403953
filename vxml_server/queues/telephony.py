"""What offers need of telephones and of the caller's call: seams, for SIP and for tests alike."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from vxml_server.queues.profiles import Agent
from vxml_server.queues.rows import Offer


class Happening(StrEnum):
    """What happens on an agent's telephone."""

    RINGING = "ringing"
    ANSWERED = "answered"
    BUSY = "busy"
    REFUSED = "refused"
    NO_ANSWER = "no_answer"
    FAILED = "failed"
    HUNG_UP = "hung_up"


class Mode(StrEnum):
    """What a third party does in a conversation, besides hearing both."""

    LISTEN = "listen"
    """Nobody hears him."""
    WHISPER = "whisper"
    """The agent alone hears him."""
    BARGE = "barge"
    """Both hear him."""


class Telephone(Protocol):
    """A call to an agent, from dialling to the end. Used by one task."""

    async def next(self, seconds: float | None) -> Happening | None:
        """What happens next; None when nothing has happened for so long (None: without limit)."""

    def hang_up(self) -> None:
        """Ends the call, whatever its state; more than once is harmless."""


class Caller(Protocol):
    """A caller who waits, as those who offer him see him."""

    def ring(self, agent: Agent, offer: Offer) -> Telephone:
        """Dials an agent's telephone with what the caller brings. Raises `CannotRing`."""

    async def connect(self, telephone: Telephone, offer: Offer) -> bool:
        """Lets the two hear each other; False when the caller has gone, and nothing is connected.

        What he heard while he waited has ended when this returns. What they say is recorded from
        here on, if it is to be: that the bridge is confirmed may come later.
        """

    def disconnect(self) -> None:
        """Parts the two again before the bridge was confirmed; he goes on waiting."""

    def served(self, offer: Offer) -> None:
        """The bridge is confirmed, or the conversation over before that: he has left the queue."""

    def parted(self, offer: Offer) -> None:
        """The conversation is over: the agent has left it, or was taken out of it.

        That is stored next. Before he waits anew he leaves his entry, which waits for that.
        """

    def oversee(self, telephone: Telephone | None, mode: Mode) -> None:
        """Lets a third party into his conversation, or changes what he does in it; None: he goes.

        The two go on hearing each other meanwhile. After the conversation nobody is let in.
        """

    def send_on(self, dest: str, agent: str) -> None:
        """When the conversation that he has is parted he goes to `dest`, or for "" back to his
        place in the queue, where he is offered first to `agent` unless that is ""."""

    def move(self, queue: str, *, keeps_place: bool) -> None:
        """He is to wait in another queue from now on, as long as he has there if he keeps his
        place."""

    def put_out(self) -> None:
        """He was taken out of the queue, and is not to wait any more."""

    def lost(self) -> None:
        """Other workers took this one for dead and him for gone: he is to enter once more, in his
        place."""


class CannotRing(Exception):
    """The agent's telephone cannot be dialled; the text says why."""
