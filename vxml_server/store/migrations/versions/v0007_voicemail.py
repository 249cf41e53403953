"""Voicemail: messages, who is to be told of them, and the PINs of boxes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    def text(name: str, length: int, *, key: bool = False) -> sa.Column[str]:
        return sa.Column(name, sa.String(length), primary_key=key, nullable=False)

    def instant(name: str, *, nullable: bool = False) -> sa.Column[object]:
        return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)

    op.create_table(
        "voicemail_messages",
        *(text("id", 64, key=True), text("box", 64)),
        *(instant("left_at"), instant("heard_at", nullable=True)),
        instant("deleted_at", nullable=True),
    )
    op.create_index("voicemail_messages_by_box", "voicemail_messages", ["box", "left_at", "id"])
    op.create_table(
        "voicemail_notices",
        text("message", 64, key=True),
        sa.Column("number", sa.Integer, primary_key=True, nullable=False),
        *(text("way", 16), text("address", 2048), text("state", 16)),
        instant("due_at"),
        sa.Column("tries", sa.Integer, nullable=False),
        text("trouble", 256),
    )
    op.create_index("voicemail_notices_by_state", "voicemail_notices", ["state", "due_at"])
    op.create_table(
        "voicemail_pins",
        *(text("box", 64, key=True), text("salt", 64), text("hash", 128)),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("not_before", sa.Float, nullable=False),
    )


def downgrade() -> None:
    for table in ("voicemail_pins", "voicemail_notices", "voicemail_messages"):
        op.drop_table(table)
