"""Calls: a SIP leg, an interpreter session and a record, as one thing from INVITE to BYE."""

from vxml_server.calls.call import Call, Resources
from vxml_server.calls.exchange import Exchange, ExchangeCounters
from vxml_server.calls.leg import Leg
from vxml_server.calls.platform import CallPlatform
from vxml_server.calls.rendering import PromptRenderer, SoundCache
from vxml_server.calls.spool import Spool
from vxml_server.calls.transfer import Invite, Line, Transfer

__all__ = [
    "Call",
    "CallPlatform",
    "Exchange",
    "ExchangeCounters",
    "Invite",
    "Leg",
    "Line",
    "PromptRenderer",
    "Resources",
    "SoundCache",
    "Spool",
    "Transfer",
]
