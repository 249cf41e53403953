"""Queues and agents: who waits for whom, who is offered to whom, and what became of it.

The heart is pure: `profiles` are the operator's definitions, `rows` the state, `transitions` how it
changes, `matching` who is offered to whom. Around it: the ledger keeps rows and facts in the
database, the contact centre makes offers on telephones, and a queue transfer is a caller's time in
a queue.
"""

from vxml_server.queues.board import Board
from vxml_server.queues.centre import (
    ContactCentre,
    NoSuchAgent,
    NoSuchQueue,
    QueueIsFull,
    Standing,
)
from vxml_server.queues.definitions import BadDefinition, Definition, Kind, kind_of, read, written
from vxml_server.queues.ledger import IsDeclared
from vxml_server.queues.matching import in_order
from vxml_server.queues.orders import Action, Order, Reason, Refused
from vxml_server.queues.profiles import Agent, Box, Group, Queue, without_secrets
from vxml_server.queues.reception import Reception
from vxml_server.queues.rows import AgentRow, Entry, Exit, Offer, OfferState, Presence
from vxml_server.queues.secrets import BadPin, Pins, TooManyTries
from vxml_server.queues.statistics import of_agent as figures_of_agent
from vxml_server.queues.statistics import of_queue as figures_of_queue
from vxml_server.queues.summaries import Report, Summaries, TooManyIntervals
from vxml_server.queues.summaries import Row as SummaryRow
from vxml_server.queues.supervision import Supervision
from vxml_server.queues.telephones import Contacts, Dialler, SipTelephone
from vxml_server.queues.telephony import Mode
from vxml_server.queues.transitions import state_of
from vxml_server.queues.treatment import Treatments
from vxml_server.queues.waiting import QueueTransfer

__all__ = [
    "Action",
    "Agent",
    "AgentRow",
    "BadDefinition",
    "BadPin",
    "Board",
    "Box",
    "ContactCentre",
    "Contacts",
    "Definition",
    "Dialler",
    "Entry",
    "Exit",
    "Group",
    "IsDeclared",
    "Kind",
    "Mode",
    "NoSuchAgent",
    "NoSuchQueue",
    "Offer",
    "OfferState",
    "Order",
    "Pins",
    "Presence",
    "Queue",
    "QueueIsFull",
    "QueueTransfer",
    "Reason",
    "Reception",
    "Refused",
    "Report",
    "SipTelephone",
    "Standing",
    "Summaries",
    "SummaryRow",
    "Supervision",
    "TooManyIntervals",
    "TooManyTries",
    "Treatments",
    "figures_of_agent",
    "figures_of_queue",
    "in_order",
    "kind_of",
    "read",
    "state_of",
    "without_secrets",
    "written",
]
