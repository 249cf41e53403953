"""Agents: how long a delay still was when the row was written, whatever clock that was by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("agents", sa.Column("delay", sa.Float, nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("agents", "delay")
