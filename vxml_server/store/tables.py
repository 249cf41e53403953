"""The tables. What is here is what the migrations make; a test compares the two."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    TypeDecorator,
)


class UtcDateTime(TypeDecorator[datetime]):
    """An instant: aware and in UTC in Python, whatever the database keeps."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored time must be aware")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        # SQLite gives back what it got without its zone.
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData()

calls = Table(
    "calls",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("worker", String(64), nullable=False),
    Column("sip_call_id", String(256), nullable=False),
    Column("direction", String(16), nullable=False),
    Column("from", String(1024), key="from_uri", nullable=False),
    Column("to", String(1024), key="to_uri", nullable=False),
    Column("application", String(2048), nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("answered_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("duration_s", Float),
    Column("end_reason", String(16)),
    Column("hung_up_by", String(16)),
    Column("codec", String(32)),
    Column("packets_lost", Integer),
    Column("jitter_ms", Float),
    Index("calls_by_start", "started_at", "id"),
    Index("calls_by_end", "ended_at"),
)

call_legs = Table(
    "call_legs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("call_id", String(64), ForeignKey("calls.id"), nullable=False),
    Column("destination", String(1024), nullable=False),
    Column("type", String(16), nullable=False),
    Column("outcome", String(128), nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("answered_at", UtcDateTime),
    Column("ended_at", UtcDateTime, nullable=False),
    Column("duration_s", Float, nullable=False),
    Index("call_legs_by_call", "call_id"),
)

# No foreign key: a fact is kept even if the row it is about could not be.
events = Table(
    "events",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("call_id", String(64), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("name", String(128), nullable=False),
    Column("data", JSON, nullable=False),
    Column("queue", String(64), nullable=False, server_default=""),
    Column("agent", String(64), nullable=False, server_default=""),
    Index("events_by_call", "call_id", "seq"),
    sqlite_autoincrement=True,
)

# Numbers that transactions take one after the other.
counters = Table(
    "counters",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
)
