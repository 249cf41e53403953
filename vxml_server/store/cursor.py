"""The place in a list of calls: newest first, stable while new calls come in at the top."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime


class BadCursor(ValueError):
    """Not a cursor of ours."""


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """After the call that started then and has this id. Greater is newer, so it comes earlier."""

    started_at: datetime
    id: str

    def encode(self) -> str:
        """Opaque text that may stand in a URI as it is."""
        text = f"{self.started_at.astimezone(UTC).isoformat()} {self.id}"
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @staticmethod
    def decode(text: str) -> Cursor:
        """The cursor of `encode()`; raises `BadCursor`."""
        try:
            plain = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True).decode()
            at, _, id_ = plain.partition(" ")
            started_at = datetime.fromisoformat(at)
            if started_at.tzinfo is None or not id_:
                raise BadCursor
            return Cursor(started_at.astimezone(UTC), id_)
        except (ValueError, binascii.Error, OverflowError):
            raise BadCursor("not a cursor of this server") from None
