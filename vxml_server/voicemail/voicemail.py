"""The boxes of a server: messages are left, counted, heard and deleted, and PINs are judged."""

from __future__ import annotations

from collections.abc import Mapping

from vxml_server.queues import Box
from vxml_server.recording import Library
from vxml_server.store import Cursor, Json
from vxml_server.voicemail.records import Counts, Message, Messages


class Voicemail:
    """`start` it after the recordings and the contact centre, then `close` it before them."""

    library: Library
    """Gives the audio out in ranges: a message's id is that of its recording."""

    async def start(self) -> None:
        """Begins to tell people of messages."""
        raise NotImplementedError

    async def close(self) -> None:
        """Stops; what is not told by then is told after the next start."""
        raise NotImplementedError

    # Boxes -------------------------------------------------------------------------------------

    def box(self, name: str) -> Box | None:
        """The box of that name."""
        raise NotImplementedError

    def box_of_queue(self, queue: str) -> Box | None:
        """The box of a queue; of several the first by name."""
        raise NotImplementedError

    def box_of_agent(self, agent: str) -> Box | None:
        """The box of an agent; of several the first by name."""
        raise NotImplementedError

    def box_of_number(self, number: str) -> Box | None:
        """The box that is named by dialling `number`; of several the first by name."""
        raise NotImplementedError

    def boxes(self) -> tuple[Box, ...]:
        """All of them, by name."""
        raise NotImplementedError

    # Messages ----------------------------------------------------------------------------------

    async def leave(
        self,
        box: str,
        audio: bytes,
        media_type: str,
        *,
        caller: str,
        call_id: str,
        data: Mapping[str, Json] | None = None,
    ) -> Message:
        """Keeps what a caller has said; when this returns, it is kept.

        It goes on to its end when whoever waits for it is cancelled: callers hang up. Raises
        `NoSuchBox`, `BoxFull`, `TooShort`, `BadAudio`; OSError when the disk does not take it, and
        `StoreError` when the database does not answer for long.
        """
        raise NotImplementedError

    async def counts(self, box: str) -> Counts:
        """How many messages there are. Raises `StoreError`, as all below."""
        raise NotImplementedError

    async def messages(
        self, box: str, *, new_only: bool = False, limit: int = 100, cursor: Cursor | None = None
    ) -> Messages:
        """At most `limit`, newest first, those after `cursor`."""
        raise NotImplementedError

    async def message(self, id_: str) -> Message:
        """Raises `NoSuchMessage`."""
        raise NotImplementedError

    async def audio(self, message: str, by: str) -> bytes:
        """All of it, as WAV (16 bits, 8 kHz, mono), for somebody, which is written down.

        Raises `NoSuchMessage`, `recording.NotStored` (it is still on another worker's disk),
        OSError, `recording.EnvelopeError`.
        """
        raise NotImplementedError

    async def heard(self, message: str, by: str, is_heard: bool = True) -> Message:
        """Marks a message as heard, or as new. Raises `NoSuchMessage`."""
        raise NotImplementedError

    async def delete(self, message: str, by: str) -> Message:
        """Deletes a message. Raises `NoSuchMessage`, `recording.Held`."""
        raise NotImplementedError

    # PINs --------------------------------------------------------------------------------------

    async def check_pin(self, box: str, pin: str) -> bool:
        """Whether this is the PIN of the box, or of an agent who is one of its owners.

        Raises `TooManyTries`.
        """
        raise NotImplementedError

    async def set_pin(self, box: str, pin: str) -> None:
        """Makes or replaces the PIN of a box. Raises `NoSuchBox`, `BadPin`."""
        raise NotImplementedError

    async def remove_pin(self, box: str) -> bool:
        """Removes the PIN of a box; False when there is none."""
        raise NotImplementedError
