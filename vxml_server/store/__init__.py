"""The store: calls, their transfers and the numbered event log, in SQLite or PostgreSQL.

`Store.open()` brings the tables up to date and closes what a killed process left open. Writing is
telling: `call_started()`, `call_answered()`, `leg_ended()`, `call_ended()` and `append()` return at
once, and one writer puts what it was told into the database in batches, in order.
"""

from vxml_server.store import (
    queue_tables,
    recording_tables,
    registration_tables,
    voicemail_tables,
)
from vxml_server.store.cursor import BadCursor, Cursor
from vxml_server.store.errors import StoreError, Unstorable
from vxml_server.store.log import append as append_rows
from vxml_server.store.log import event_row
from vxml_server.store.records import (
    CallEnd,
    CallRecord,
    Direction,
    EndReason,
    EventRecord,
    HungUpBy,
    Json,
    LegRecord,
    NewEvent,
    Page,
)
from vxml_server.store.store import Store, append_facts
from vxml_server.store.tables import events as event_table
from vxml_server.store.values import fit, storable_json

__all__ = [
    "BadCursor",
    "CallEnd",
    "CallRecord",
    "Cursor",
    "Direction",
    "EndReason",
    "EventRecord",
    "HungUpBy",
    "Json",
    "LegRecord",
    "NewEvent",
    "Page",
    "Store",
    "StoreError",
    "Unstorable",
    "append_facts",
    "append_rows",
    "event_row",
    "event_table",
    "fit",
    "queue_tables",
    "recording_tables",
    "registration_tables",
    "storable_json",
    "voicemail_tables",
]
