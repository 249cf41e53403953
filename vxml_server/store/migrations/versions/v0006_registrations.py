"""Registrations: telephones, and where they are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    def text(name: str, length: int, *, key: bool = False) -> sa.Column[str]:
        return sa.Column(name, sa.String(length), primary_key=key, nullable=False)

    op.create_table(
        "registrations",
        *(text("id", 64, key=True), text("user", 64), text("contact", 1024)),
        *(text("protocol", 8), text("host", 64)),
        sa.Column("port", sa.Integer, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
        text("call_id", 256),
        sa.Column("cseq", sa.Integer, nullable=False),
        sa.Column("q", sa.Float, nullable=False),
        sa.Column("path", sa.JSON, nullable=False),
        text("worker", 64),
        sa.Column("registered_at", sa.Float, nullable=False),
        text("user_agent", 256),
        sa.Column("reachable", sa.Boolean, nullable=False),
    )
    op.create_index("registrations_by_user", "registrations", ["user"])


def downgrade() -> None:
    op.drop_table("registrations")
