"""The table of registrations: which telephones users have, for all processes.

Times are seconds since the epoch.
"""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Float, Index, Integer, String, Table

from vxml_server.store.tables import metadata

registrations = Table(
    "registrations",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("user", String(64), key="user_name", nullable=False),
    Column("contact", String(1024), nullable=False),
    Column("protocol", String(8), nullable=False),
    Column("host", String(64), nullable=False),
    Column("port", Integer, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("call_id", String(256), nullable=False),
    Column("cseq", Integer, nullable=False),
    Column("q", Float, nullable=False),
    Column("path", JSON, nullable=False),
    Column("worker", String(64), nullable=False),
    Column("registered_at", Float, nullable=False),
    Column("user_agent", String(256), nullable=False),
    Column("reachable", Boolean, nullable=False),
    Index("registrations_by_user", "user_name"),
)
