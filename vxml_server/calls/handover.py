"""Where a caller may be handed to beside a telephone: queues, agents, and what else there is.

A destination is chosen by the scheme of `<transfer dest="queue:sales">`. Whoever takes the caller
makes a `Transferral`, which the call runs like a transfer of its own, and has the caller's leg for
as long as that runs: it may play, listen, run VoiceXML documents on it, dial others and bridge.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from vxml_server.calls.leg import Leg
from vxml_server.calls.recorded import Recorded
from vxml_server.calls.voice import Ear
from vxml_server.interpreter import Connection, Json, Outcome, TransferRequest, TransferResult
from vxml_server.store import LegRecord


class Transferral(Protocol):
    """One caller's way to somebody else. `dial` it, then `run` it unless that was refused."""

    @property
    def record(self) -> LegRecord | None:
        """What happened, once it is over."""

    def dial(self) -> TransferResult | None:
        """Begins; the result if it is refused here, None while it is under way."""

    async def connected(self) -> TransferResult | None:
        """Waits until somebody has the caller (None), or the transfer has failed."""

    async def run(self) -> TransferResult:
        """Goes on to the end. Nobody else may read the caller's mailbox meanwhile. Cancelled when
        the caller's call is over."""


def _nobody_records(request: TransferRequest, queue: str) -> Recorded | None:
    return None


@dataclass(frozen=True, slots=True)
class Handover:
    """A caller who is handed over.

    `converse` runs a VoiceXML document on the leg: its URI, and the variables that it finds in its
    `session` scope; it ends when the document does or the caller hangs up, and may be cancelled at
    any time, which ends what he hears. It cannot transfer him. `ear` hears voice. `transfer` sends
    him on to another destination, and `hops` counts how often that was done. `recorded` says who
    records what is said with an agent of a queue, if anybody does.
    """

    call_id: str
    leg: Leg
    ear: Ear
    connection: Connection
    converse: Callable[[str, Mapping[str, Json]], Awaitable[Outcome]]
    transfer: Callable[[TransferRequest], Awaitable[TransferResult]]
    hops: int = 0
    recorded: Callable[[TransferRequest, str], Recorded | None] = _nobody_records


MakeTransferral: TypeAlias = Callable[[Handover, TransferRequest], Transferral]


def scheme_of(dest: str) -> str:
    """The scheme of a destination, in lower case; "" when there is none."""
    scheme, colon, _ = dest.partition(":")
    return scheme.lower() if colon else ""
