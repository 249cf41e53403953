"""The tables of voicemail: messages, who is to be told of them, and the PINs of boxes.

A message is the recording of the same id with what is said here; it is there as long as that.
"""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, Integer, String, Table

from vxml_server.store.tables import UtcDateTime, metadata

messages = Table(
    "voicemail_messages",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("box", String(64), nullable=False),
    Column("left_at", UtcDateTime, nullable=False),
    Column("heard_at", UtcDateTime),
    # By its owner; its recording may stay for a while: on its way to the target, or held.
    Column("deleted_at", UtcDateTime),
    Index("voicemail_messages_by_box", "box", "left_at", "id"),
)

# Each person or program that is to be told of a message. `due_at` is when the next worker tries:
# the one that is at it has put it off.
notices = Table(
    "voicemail_notices",
    metadata,
    Column("message", String(64), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("way", String(16), nullable=False),
    Column("address", String(2048), nullable=False),
    Column("state", String(16), nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("trouble", String(256), nullable=False),
    Index("voicemail_notices_by_state", "state", "due_at"),
)

# As the agents': scrypt hashes ("" where only owners have PINs), and the wrong tries.
pins = Table(
    "voicemail_pins",
    metadata,
    Column("box", String(64), primary_key=True),
    Column("salt", String(64), nullable=False),
    Column("hash", String(128), nullable=False),
    Column("failures", Integer, nullable=False),
    Column("not_before", Float, nullable=False),
)
