"""Calls, their transfers, and the event log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    instant = sa.DateTime(timezone=True)
    op.create_table(
        "calls",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("worker", sa.String(64), nullable=False),
        sa.Column("sip_call_id", sa.String(256), nullable=False),
        sa.Column("direction", sa.String(16), nullable=False),
        sa.Column("from", sa.String(1024), nullable=False),
        sa.Column("to", sa.String(1024), nullable=False),
        sa.Column("application", sa.String(2048), nullable=False),
        sa.Column("started_at", instant, nullable=False),
        sa.Column("answered_at", instant),
        sa.Column("ended_at", instant),
        sa.Column("duration_s", sa.Float),
        sa.Column("end_reason", sa.String(16)),
        sa.Column("hung_up_by", sa.String(16)),
        sa.Column("codec", sa.String(32)),
        sa.Column("packets_lost", sa.Integer),
        sa.Column("jitter_ms", sa.Float),
    )
    op.create_index("calls_by_start", "calls", ["started_at", "id"])
    op.create_index("calls_by_end", "calls", ["ended_at"])
    op.create_table(
        "call_legs",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("call_id", sa.String(64), sa.ForeignKey("calls.id"), nullable=False),
        sa.Column("destination", sa.String(1024), nullable=False),
        sa.Column("type", sa.String(16), nullable=False),
        sa.Column("outcome", sa.String(128), nullable=False),
        sa.Column("started_at", instant, nullable=False),
        sa.Column("answered_at", instant),
        sa.Column("ended_at", instant, nullable=False),
        sa.Column("duration_s", sa.Float, nullable=False),
    )
    op.create_index("call_legs_by_call", "call_legs", ["call_id"])
    op.create_table(
        "call_events",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("call_id", sa.String(64), nullable=False),
        sa.Column("at", instant, nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("call_events_by_call", "call_events", ["call_id", "seq"])


def downgrade() -> None:
    for table in ("call_events", "call_legs", "calls"):
        op.drop_table(table)
