"""Records of calls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from vxml_server.store import CallRecord

START = datetime(2026, 1, 1, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def call(
    id_: str = "one", started: float = 0.0, **fields: Any
) -> CallRecord:  # Any: fields of the record
    return CallRecord(
        id=id_,
        sip_call_id=f"{id_}@10.0.0.1",
        direction="inbound",
        from_uri="sip:+33612345678@10.0.0.1",
        to_uri="sip:1000@10.0.0.2",
        application="http://h/index.vxml",
        started_at=after(started),
        **fields,
    )
