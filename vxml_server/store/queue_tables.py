"""The tables of queues: definitions, and the rows of agents, callers and offers as they are now.

What is over is not kept here: the event log has it. Times are seconds since the epoch.
"""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, Index, Integer, String, Table

from vxml_server.store.tables import metadata

definitions = Table(
    "definitions",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("body", JSON, nullable=False),
    Column("declared", Boolean, nullable=False),  # by the settings, which alone may change it
)

agents = Table(
    "agents",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("presence", String(16), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("since", Float, nullable=False),
    Column("idle_since", Float, nullable=False),
    Column("busy", JSON, nullable=False),
    Column("not_before", Float, nullable=False),
    Column("missed", Integer, nullable=False),
    Column("day", String(10), nullable=False),
    Column("calls", Integer, nullable=False),
    Column("talk_time", Float, nullable=False),
    Column("generation", Integer, nullable=False),
)

entries = Table(
    "queue_entries",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("queue", String(64), nullable=False),
    Column("call_id", String(64), nullable=False),
    Column("worker", String(96), nullable=False),
    Column("entered_at", Float, nullable=False),
    Column("medium", String(16), nullable=False),
    Column("priority", Float, nullable=False),
    Column("skills", JSON, nullable=False),
    Column("language", String(35), nullable=False),
    Column("draw", Float, nullable=False),
    Column("data", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("exit", String(16)),
    Column("offers", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("connected_at", Float, nullable=False),
    Column("left_at", Float, nullable=False),
    Column("generation", Integer, nullable=False),
    Index("queue_entries_by_worker", "worker"),
)

offers = Table(
    "queue_offers",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("agent", String(64), nullable=False),
    Column("entry", String(64), nullable=False),
    Column("queue", String(64), nullable=False),
    Column("call_id", String(64), nullable=False),
    Column("worker", String(96), nullable=False),
    Column("medium", String(16), nullable=False),
    Column("reserved_at", Float, nullable=False),
    Column("state", String(16), nullable=False),
    Column("outcome", String(16)),
    Column("ringing_at", Float, nullable=False),
    Column("answered_at", Float, nullable=False),
    Column("bridged_at", Float, nullable=False),
    Column("ended_at", Float, nullable=False),
    Column("release_at", Float, nullable=False),
    Column("generation", Integer, nullable=False),
    Index("queue_offers_by_worker", "worker"),
    Index("queue_offers_by_agent", "agent"),
)

# Whom each queue asked last, for those that go round.
cursors = Table(
    "queue_cursors",
    metadata,
    Column("queue", String(64), primary_key=True),
    Column("agent", String(64), nullable=False),
)

# Processes that share the database. `beat` grows while they live.
workers = Table(
    "workers",
    metadata,
    Column("name", String(96), primary_key=True),
    Column("beat", BigInteger, nullable=False),
)
