"""What may be stored: text and JSON made fit for any database, whatever a caller or document sent.

A record must not be lost because a SIP header held a zero byte or a script a NaN.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from sqlalchemy import String, Table

from vxml_server.store.records import Json

_MAX_DEPTH = 20


def fit(table: Table, values: Mapping[str, object]) -> dict[str, object]:
    """The values with every text cut to the length of its column, and storable."""
    fitted = dict(values)
    for column in table.columns:
        value = fitted.get(column.key)
        if isinstance(value, str) and isinstance(column.type, String):
            fitted[column.key] = storable_text(value)[: column.type.length]
    return fitted


def storable_text(text: str) -> str:
    """Without zero bytes (PostgreSQL takes none) and lone surrogates (UTF-8 has none)."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd")


def storable_json(value: object, depth: int = 0) -> Json:
    """What JSON can hold of `value`: no NaN or infinity, keys as text, other objects as text."""
    if depth > _MAX_DEPTH:
        return None
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {
            storable_text(str(key)): storable_json(below, depth + 1) for key, below in value.items()
        }
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [storable_json(below, depth + 1) for below in value]
    return storable_text(str(value))
