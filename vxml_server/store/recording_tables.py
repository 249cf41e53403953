"""The table of recordings: what each is of, where it is, and how far it has come.

The event log has what happened to them and who heard them; this is what is asked for.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    String,
    Table,
    Text,
)

from vxml_server.store.tables import UtcDateTime, metadata

recordings = Table(
    "recordings",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("call_id", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("worker", String(96), nullable=False),
    Column("rule", String(64), nullable=False),
    Column("direction", String(16), nullable=False),
    Column("caller", String(256), nullable=False),
    Column("number", String(256), nullable=False),
    Column("destination", String(1024), nullable=False),
    Column("application", String(2048), nullable=False),
    Column("queue", String(64), nullable=False),
    Column("agent", String(64), nullable=False),
    Column("data", JSON, nullable=False),
    Column("words", Text, nullable=False),  # what a search for text looks at, in lower case
    Column("announced_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("expires_at", UtcDateTime),
    Column("duration_s", Float, nullable=False),
    Column("pauses", JSON, nullable=False),
    Column("interrupted", Boolean, nullable=False),
    Column("format", String(8), nullable=False),
    Column("key_id", String(64), nullable=False),
    Column("target", String(1024), nullable=False),
    Column("path", String(512), nullable=False),
    Column("octets", BigInteger, nullable=False),  # of the audio
    Column("stored_octets", BigInteger, nullable=False),  # of the file, which may be encrypted
    Column("checksum", String(64), nullable=False),  # SHA-256 of the file
    Column("held", Boolean, nullable=False),
    Column("trouble", String(256), nullable=False),
    Column("generation", Integer, nullable=False),
    Index("recordings_by_announcement", "announced_at", "id"),
    Index("recordings_by_call", "call_id"),
    Index("recordings_by_state", "state", "expires_at"),
)
