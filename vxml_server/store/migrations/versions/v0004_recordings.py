"""Recordings of conversations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    def text(name: str, length: int, *, key: bool = False) -> sa.Column[str]:
        return sa.Column(name, sa.String(length), primary_key=key, nullable=False)

    def instant(name: str) -> sa.Column[object]:
        return sa.Column(name, sa.DateTime(timezone=True))

    def large(name: str) -> sa.Column[int]:
        return sa.Column(name, sa.BigInteger, nullable=False)

    def json(name: str) -> sa.Column[object]:
        return sa.Column(name, sa.JSON, nullable=False)

    def flag(name: str) -> sa.Column[bool]:
        return sa.Column(name, sa.Boolean, nullable=False)

    op.create_table(
        "recordings",
        *(text("id", 64, key=True), text("call_id", 64), text("state", 16), text("worker", 96)),
        *(text("rule", 64), text("direction", 16), text("caller", 256), text("number", 256)),
        *(text("destination", 1024), text("application", 2048)),
        *(text("queue", 64), text("agent", 64), json("data")),
        sa.Column("words", sa.Text, nullable=False),
        sa.Column("announced_at", sa.DateTime(timezone=True), nullable=False),
        *(instant("started_at"), instant("ended_at"), instant("expires_at")),
        sa.Column("duration_s", sa.Float, nullable=False),
        *(json("pauses"), flag("interrupted")),
        *(text("format", 8), text("key_id", 64), text("target", 1024), text("path", 512)),
        *(large("octets"), large("stored_octets"), text("checksum", 64)),
        *(flag("held"), text("trouble", 256)),
        sa.Column("generation", sa.Integer, nullable=False),
    )
    op.create_index("recordings_by_announcement", "recordings", ["announced_at", "id"])
    op.create_index("recordings_by_call", "recordings", ["call_id"])
    op.create_index("recordings_by_state", "recordings", ["state", "expires_at"])


def downgrade() -> None:
    op.drop_table("recordings")
