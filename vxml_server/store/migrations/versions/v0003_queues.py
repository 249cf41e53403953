"""Queues: definitions, agents, callers, offers, and the processes that share them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    def text(name: str, length: int, *, key: bool = False) -> sa.Column[str]:
        return sa.Column(name, sa.String(length), primary_key=key, nullable=False)

    def number(name: str) -> sa.Column[float]:
        return sa.Column(name, sa.Float, nullable=False)

    def count(name: str) -> sa.Column[int]:
        return sa.Column(name, sa.Integer, nullable=False)

    def json(name: str) -> sa.Column[object]:
        return sa.Column(name, sa.JSON, nullable=False)

    op.create_table(
        "definitions",
        text("kind", 16, key=True),
        text("name", 64, key=True),
        json("body"),
        sa.Column("declared", sa.Boolean, nullable=False),
    )
    op.create_table(
        "agents",
        *(text("name", 64, key=True), text("presence", 16), text("reason", 64)),
        *(number("since"), number("idle_since"), json("busy"), number("not_before")),
        *(count("missed"), text("day", 10), count("calls"), number("talk_time")),
        count("generation"),
    )
    op.create_table(
        "queue_entries",
        *(text("id", 64, key=True), text("queue", 64), text("call_id", 64), text("worker", 96)),
        *(number("entered_at"), text("medium", 16), number("priority"), json("skills")),
        *(text("language", 35), number("draw"), json("data"), text("state", 16)),
        sa.Column("exit", sa.String(16)),
        *(count("offers"), count("attempts"), number("connected_at"), number("left_at")),
        count("generation"),
    )
    op.create_index("queue_entries_by_worker", "queue_entries", ["worker"])
    op.create_table(
        "queue_offers",
        *(text("id", 64, key=True), text("agent", 64), text("entry", 64), text("queue", 64)),
        *(text("call_id", 64), text("worker", 96), text("medium", 16), number("reserved_at")),
        text("state", 16),
        sa.Column("outcome", sa.String(16)),
        *(number("ringing_at"), number("answered_at"), number("bridged_at")),
        *(number("ended_at"), number("release_at"), count("generation")),
    )
    op.create_index("queue_offers_by_worker", "queue_offers", ["worker"])
    op.create_index("queue_offers_by_agent", "queue_offers", ["agent"])
    op.create_table("queue_cursors", text("queue", 64, key=True), text("agent", 64))
    op.create_table(
        "workers", text("name", 96, key=True), sa.Column("beat", sa.BigInteger, nullable=False)
    )


def downgrade() -> None:
    for table in (
        "workers",
        "queue_cursors",
        "queue_offers",
        "queue_entries",
        "agents",
        "definitions",
    ):
        op.drop_table(table)
