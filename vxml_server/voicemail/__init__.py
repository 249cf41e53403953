"""Voicemail: boxes in which callers leave messages, and what becomes of those.

A message's audio is a recording (rule `voicemail`), kept, encrypted, held and deleted as all of
them are; what is said of it here is which box it is in, whether it was heard, and who has been told
that it is there.
"""

from vxml_server.queues import BadPin, Box, TooManyTries
from vxml_server.voicemail.errors import BadAudio, BoxFull, NoSuchBox, NoSuchMessage, TooShort
from vxml_server.voicemail.records import Counts, Message, Messages, Notified
from vxml_server.voicemail.setup import make_voicemail
from vxml_server.voicemail.transfer import (
    DOCUMENTS,
    VOICEMAIL,
    VoicemailTransfer,
    destination_of,
)
from vxml_server.voicemail.voicemail import Voicemail

__all__ = [
    "DOCUMENTS",
    "VOICEMAIL",
    "BadAudio",
    "BadPin",
    "Box",
    "BoxFull",
    "Counts",
    "Message",
    "Messages",
    "NoSuchBox",
    "NoSuchMessage",
    "Notified",
    "TooManyTries",
    "TooShort",
    "Voicemail",
    "VoicemailTransfer",
    "destination_of",
    "make_voicemail",
]
