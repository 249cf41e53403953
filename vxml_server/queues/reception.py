"""What all callers of a worker share while they are in queues, and what is wanted of telephones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable
from weakref import WeakKeyDictionary

from vxml_server.calls import Handover, Leg
from vxml_server.clock import Clock
from vxml_server.interpreter import TransferRequest
from vxml_server.media import MediaEngine
from vxml_server.queues.centre import ContactCentre
from vxml_server.queues.profiles import Agent
from vxml_server.queues.rows import Offer
from vxml_server.queues.telephony import Telephone
from vxml_server.queues.treatment import Treatments
from vxml_server.store import NewEvent


@runtime_checkable
class AgentTelephone(Telephone, Protocol):
    """A telephone that can be bridged with a caller."""

    @property
    def leg(self) -> Leg:
        """The leg that was answered."""

    def talk_to(self, other: Leg | None, told: Callable[[str], None] | None = None) -> None:
        """Keys that pass no bridge by themselves (SIP INFO) go to this leg from now on; `told` is
        told of all keys."""


Dial = Callable[[Agent, Offer, Handover, TransferRequest], AgentTelephone]
"""Rings an agent for a caller; raises `CannotRing`."""


@dataclass(frozen=True, slots=True)
class Reception:
    """What all waiting callers share.

    `treatments` are the shipped documents in a language; `tell` appends facts to the log. `box` is
    the destination where messages for a queue are left, "" when it has no box.
    """

    centre: ContactCentre
    engine: MediaEngine
    clock: Clock
    dial: Dial
    treatments: Callable[[str], Treatments]
    tell: Callable[[Iterable[NewEvent]], None]
    box: Callable[[str], str] = lambda queue: ""
    places: WeakKeyDictionary[Leg, dict[str, float]] = field(default_factory=WeakKeyDictionary)
    """When a caller came to each queue for the first time in his call."""
