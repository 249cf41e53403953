"""What people are told of in tests of the ways of telling: one message, and its audio."""

from __future__ import annotations

from datetime import UTC, datetime

from vxml_server.voicemail import Message

LEFT_AT = datetime(2026, 3, 12, 14, 30, tzinfo=UTC)
MESSAGE = Message("m1", "sales", "call-1", "+33612345678", LEFT_AT, 75.2)


async def no_audio() -> bytes:
    raise AssertionError("it is not wanted")
