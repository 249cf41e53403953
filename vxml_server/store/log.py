"""The event log: facts get their numbers here.

The rule that must hold: whoever has read the log up to a number has read everything up to it, also
while several processes write. So a number is taken from a counter whose row stays locked until the
transaction ends: numbers become visible in their order. (A sequence of the database would not do:
its numbers are given before, and a later one may be committed first.) Take numbers last in a
transaction, for everybody else waits from then on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import BigInteger, Connection, bindparam

from vxml_server.store.records import NewEvent
from vxml_server.store.tables import counters, events
from vxml_server.store.values import fit, storable_json

COUNTER = "event"


def event_row(event: NewEvent) -> dict[str, object]:
    """The row of a fact, without its number."""
    values = {
        "call_id": event.call_id,
        "queue": event.queue,
        "agent": event.agent,
        "at": event.at,
        "name": event.name,
        "data": storable_json(event.data),
    }
    return fit(events, values)


def append(connection: Connection, rows: Sequence[Mapping[str, object]]) -> int:
    """Appends rows of `event_row` in this order; the number of the last."""
    last: int = connection.execute(_TAKE, {"count": len(rows)}).scalar_one()
    first = last - len(rows) + 1
    if rows:
        connection.execute(_INSERT, [{**row, "seq": seq} for seq, row in enumerate(rows, first)])
    return last


_TAKE = (
    counters.update()
    .where(counters.c.name == COUNTER)
    .values(value=counters.c.value + bindparam("count", type_=BigInteger))
    .returning(counters.c.value)
)
_INSERT = events.insert()
