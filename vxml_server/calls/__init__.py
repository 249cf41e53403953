"""Calls: a SIP leg, an interpreter session and a record, as one thing from INVITE to BYE."""

from vxml_server.calls.call import Call, Resources
from vxml_server.calls.ending import EndingInput
from vxml_server.calls.exchange import Exchange, ExchangeCounters
from vxml_server.calls.handover import Handover, MakeTransferral, Transferral
from vxml_server.calls.leg import Leg
from vxml_server.calls.mailbox import Answered, Ended, Ending, KeyPressed, Progress
from vxml_server.calls.platform import CallPlatform
from vxml_server.calls.recorded import Conversation, Converse, Recorded, Records, user_part
from vxml_server.calls.rendering import PromptRenderer, SoundCache
from vxml_server.calls.spool import Spool
from vxml_server.calls.transfer import Invite, Line, Transfer, refusal

__all__ = [
    "Answered",
    "Call",
    "CallPlatform",
    "Conversation",
    "Converse",
    "Ended",
    "Ending",
    "EndingInput",
    "Exchange",
    "ExchangeCounters",
    "Handover",
    "Invite",
    "KeyPressed",
    "Leg",
    "Line",
    "MakeTransferral",
    "Progress",
    "PromptRenderer",
    "Recorded",
    "Records",
    "Resources",
    "SoundCache",
    "Spool",
    "Transfer",
    "Transferral",
    "refusal",
    "user_part",
]
