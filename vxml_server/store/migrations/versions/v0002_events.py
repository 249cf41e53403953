"""One log for calls, queues and agents, with numbers that become visible in their order."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.rename_table("call_events", "events")
    for name in ("queue", "agent"):
        op.add_column("events", sa.Column(name, sa.String(64), nullable=False, server_default=""))
    op.drop_index("call_events_by_call", "events")
    op.create_index("events_by_call", "events", ["call_id", "seq"])
    op.create_table(
        "counters",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
    op.execute(
        "INSERT INTO counters (name, value) SELECT 'event', COALESCE(MAX(seq), 0) FROM events"
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION events_told() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN NOTIFY vxml_events; RETURN NULL; END $$"
        )
        op.execute(
            "CREATE TRIGGER events_told AFTER INSERT ON events"
            " FOR EACH STATEMENT EXECUTE FUNCTION events_told()"
        )


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER events_told ON events")
        op.execute("DROP FUNCTION events_told")
    op.drop_table("counters")
    op.drop_index("events_by_call", "events")
    for name in ("queue", "agent"):
        op.drop_column("events", name)
    op.create_index("call_events_by_call", "events", ["call_id", "seq"])
    op.rename_table("events", "call_events")
