"""What the event log adds up to by quarters of an hour, and the PINs of agents."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_OUTCOMES = (
    *("completed", "refused", "busy", "no_answer", "failed"),
    *("agent_dropped", "caller_gone", "withdrawn", "lost"),
)
_WAITS = ("5", "10", "20", "30", "60", "120", "300", "longer")
_FIGURES = {
    "queue_summaries": (
        *("offered", "answered", "answered_in_target", "abandoned", "abandoned_in_target"),
        *("timed_out", "no_agents", "key", "moved", "removed", "lost", "refused", "overflowed"),
        *("wait_ms", "answer_wait_ms", "abandon_wait_ms", "longest_wait_ms"),
        *("handled", "talk_ms", "wrapped_up", "wrap_up_ms"),
        *(f"offers_{outcome}" for outcome in _OUTCOMES),
        *(f"answered_{wait}" for wait in _WAITS),
        *(f"abandoned_{wait}" for wait in _WAITS),
    ),
    "agent_summaries": (
        *("handled", "talk_ms", "wrap_up_ms", "signed_in_ms", "break_ms"),
        *(f"offers_{outcome}" for outcome in _OUTCOMES),
    ),
}


def upgrade() -> None:
    for table, figures in _FIGURES.items():
        op.create_table(
            table,
            sa.Column("name", sa.String(64), primary_key=True),
            sa.Column("slot", sa.Integer, primary_key=True),
            *(sa.Column(figure, sa.BigInteger, nullable=False) for figure in figures),
        )
        op.create_index(f"{table}_by_slot", table, ["slot"])
    op.create_table(
        "summary_state",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("state", sa.JSON, nullable=False),
    )
    op.execute("INSERT INTO summary_state (id, seq, state) VALUES (1, 0, '{}')")
    op.create_table(
        "agent_pins",
        sa.Column("agent", sa.String(64), primary_key=True),
        sa.Column("salt", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(128), nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("not_before", sa.Float, nullable=False),
    )


def downgrade() -> None:
    for table in ("agent_pins", "summary_state", *_FIGURES):
        op.drop_table(table)
