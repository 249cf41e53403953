"""Recordings of conversations: when, with whose leave, how they are kept, who gets them.

`Recording` is made of two halves. `Recorder` is beside the bridge: rules, the notice, both parties'
audio to a local disk, twice a second. `Archive` is behind it: files are packed, encrypted, brought
to the target, verified, and deleted when their time is over; `Library` gives them out. Audio that
others have made, a message for a voicemail box, is brought to `Archive.deposit`.
"""

from vxml_server.recording.archive import Archive, Held, NotStored, Retention
from vxml_server.recording.envelope import EnvelopeError, Keyring
from vxml_server.recording.ledger import Beside, Ledger, TooLate
from vxml_server.recording.library import Audio, Library, NoRecording, decrypt
from vxml_server.recording.packing import MEDIA_TYPES
from vxml_server.recording.recorder import (
    NOTICES,
    Action,
    NoConversation,
    NotAnnounced,
    Recorder,
)
from vxml_server.recording.records import Found, Recording, Wanted
from vxml_server.recording.setup import CannotRecord, Recordings, keyring, make_archive
from vxml_server.recording.transitions import IllegalTransition, State

__all__ = [
    "MEDIA_TYPES",
    "NOTICES",
    "Action",
    "Archive",
    "Audio",
    "Beside",
    "CannotRecord",
    "EnvelopeError",
    "Found",
    "Held",
    "IllegalTransition",
    "Keyring",
    "Ledger",
    "Library",
    "NoConversation",
    "NoRecording",
    "NotAnnounced",
    "NotStored",
    "Recorder",
    "Recording",
    "Recordings",
    "Retention",
    "State",
    "TooLate",
    "Wanted",
    "decrypt",
    "keyring",
    "make_archive",
]
