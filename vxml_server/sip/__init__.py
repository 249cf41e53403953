"""The SIP user agent (RFC 3261): calls in, calls out, offer and answer.

Everything but the sockets is plain, clock-driven code: transactions (`transaction`), dialogs
(`dialog`) and calls run on the injected `Clock`, so that tests need neither network nor time.
What comes from the network never raises; what the owner of a call hears is `CallListener`.
Who may be dialled is not decided here: that is the owner's dial rule.
"""

from vxml_server.sip.core import UserAgentSettings
from vxml_server.sip.errors import (
    IllegalTransition,
    InvalidSdp,
    InvalidUri,
    Malformed,
    Rejection,
    SipError,
)
from vxml_server.sip.headers import Headers
from vxml_server.sip.incoming import IncomingCall
from vxml_server.sip.interface import CallHandler, CallListener, Credentials, EndCause
from vxml_server.sip.layer import Counters
from vxml_server.sip.offer_answer import (
    Codec,
    Direction,
    LocalMedia,
    NegotiatedMedia,
    OfferAnswer,
)
from vxml_server.sip.outgoing import OutgoingCall
from vxml_server.sip.registrar import Registrar, RegistrarCounters, RegistrarSettings
from vxml_server.sip.registrar_bindings import Binding, RegistrarRules
from vxml_server.sip.sdp import MediaDescription, SessionDescription
from vxml_server.sip.session import CallState, InviteSession
from vxml_server.sip.trunk import Trunk, TrunkAccount, Trunks, TrunkState, TrunkStatus
from vxml_server.sip.uri import SipUri
from vxml_server.sip.user_agent import UserAgent

__all__ = [
    "Binding",
    "CallHandler",
    "CallListener",
    "CallState",
    "Codec",
    "Counters",
    "Credentials",
    "Direction",
    "EndCause",
    "Headers",
    "IllegalTransition",
    "IncomingCall",
    "InvalidSdp",
    "InvalidUri",
    "InviteSession",
    "LocalMedia",
    "Malformed",
    "MediaDescription",
    "NegotiatedMedia",
    "OfferAnswer",
    "OutgoingCall",
    "Registrar",
    "RegistrarCounters",
    "RegistrarRules",
    "RegistrarSettings",
    "Rejection",
    "SessionDescription",
    "SipError",
    "SipUri",
    "Trunk",
    "TrunkAccount",
    "TrunkState",
    "TrunkStatus",
    "Trunks",
    "UserAgent",
    "UserAgentSettings",
]
