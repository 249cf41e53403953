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
    Column("delay", Float, nullable=False, server_default="0"),
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

# The scrypt hashes of the agents' PINs, and the wrong ones since the last right one.
pins = Table(
    "agent_pins",
    metadata,
    Column("agent", String(64), primary_key=True),
    Column("salt", String(64), nullable=False),
    Column("hash", String(128), nullable=False),
    Column("failures", Integer, nullable=False),
    Column("not_before", Float, nullable=False),
)

OUTCOMES = (
    "completed",
    "refused",
    "busy",
    "no_answer",
    "failed",
    "agent_dropped",
    "caller_gone",
    "withdrawn",
    "lost",
)
WAITS = (5, 10, 20, 30, 60, 120, 300)
"""Bounds in seconds of the classes of waits."""
_CLASSES = (*map(str, WAITS), "longer")
LONGEST = "longest_wait_ms"
QUEUE_FIGURES = (
    *("offered", "answered", "answered_in_target", "abandoned", "abandoned_in_target"),
    *("timed_out", "no_agents", "key", "moved", "removed", "lost", "refused", "overflowed"),
    *("wait_ms", "answer_wait_ms", "abandon_wait_ms", LONGEST),
    *("handled", "talk_ms", "wrapped_up", "wrap_up_ms"),
    *(f"offers_{outcome}" for outcome in OUTCOMES),
    *(f"answered_{one}" for one in _CLASSES),
    *(f"abandoned_{one}" for one in _CLASSES),
)
"""What is counted for a queue in a quarter of an hour; all add up but the longest wait."""
AGENT_FIGURES = (
    *("handled", "talk_ms", "wrap_up_ms", "signed_in_ms", "break_ms"),
    *(f"offers_{outcome}" for outcome in OUTCOMES),
)
"""What is counted for an agent in a quarter of an hour."""


def _summary(name: str, figures: tuple[str, ...]) -> Table:
    return Table(
        name,
        metadata,
        Column("name", String(64), primary_key=True),
        # The number of the quarter of an hour since 1970, in UTC.
        Column("slot", Integer, primary_key=True),
        *(Column(figure, BigInteger, nullable=False) for figure in figures),
        Index(f"{name}_by_slot", "slot"),
    )


# What the log says up to the number in `summary_state`, added up.
queue_summaries = _summary("queue_summaries", QUEUE_FIGURES)
agent_summaries = _summary("agent_summaries", AGENT_FIGURES)
summary_state = Table(
    "summary_state",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # one row
    Column("seq", BigInteger, nullable=False),
    Column("state", JSON, nullable=False),  # what has begun and is not over
)
