"""Recordings as people get them: found, heard whole or in part, held, deleted; each time by name.

The rule that must hold: before anybody gets a byte of audio, the log says who he is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from vxml_server.clock import Clock
from vxml_server.recording.archive import Archive, NotStored
from vxml_server.recording.envelope import EnvelopeError, Keyring, Opened, is_encrypted
from vxml_server.recording.ledger import NOTHING_TO_HOLD
from vxml_server.recording.records import Found, Recording, Wanted
from vxml_server.recording.spool import SEALED, samples_of, wav_header
from vxml_server.recording.transitions import State
from vxml_server.store import Cursor, Json

PIECE = 1 << 16


class NoRecording(Exception):
    """There is no recording of this id."""


@dataclass(frozen=True, slots=True)
class Audio:
    """The audio of a recording from `start` up to `end`, in octets of a file of `length`."""

    recording: Recording
    start: int
    end: int
    pieces: AsyncIterator[bytes]

    @property
    def length(self) -> int:
        return self.recording.octets


class Library:
    """What is kept. Raises `StoreError` when the database does not answer."""

    def __init__(self, archive: Archive, clock: Clock) -> None:
        self._archive = archive
        self._ledger = archive.ledger
        self._clock = clock

    async def search(self, wanted: Wanted, limit: int = 50, cursor: Cursor | None = None) -> Found:
        return await self._ledger.search(wanted, limit, cursor)

    async def get(self, recording: str) -> Recording:
        """Raises `NoRecording`."""
        found = await self._ledger.get(recording)
        if found is None:
            raise NoRecording(recording)
        return found

    async def elsewhere(self, call_id: str) -> str:
        """The other worker that records a call, or did; "" if it was this one, or nobody."""
        found = await self._ledger.search(Wanted(call_id=call_id), 1, None)
        worker = found.recordings[0].worker if found.recordings else ""
        return "" if worker == self._ledger.worker else worker

    async def audio(
        self, recording: str, who: str, start: int = 0, end: int | None = None
    ) -> Audio:
        """The audio, or part of it, for somebody, which is written down.

        Raises `NoRecording`, `NotStored`; and OSError or `EnvelopeError` when the target does not
        answer or has something else than was stored. The same may come out of `pieces` later.
        """
        found = await self.get(recording)
        if found.state is not State.STORED:
            raise NotStored(found.state)
        end = found.octets if end is None else min(end, found.octets)
        at = self._clock.utc_now()
        about: dict[str, Json] = {"by": who, "start": start, "end": end, "length": found.octets}
        await self._ledger.accessed(found, at, about)
        pieces = self._pieces(found, start, end)
        # What is wrong from the beginning is told before anything is sent.
        first = await anext(pieces, b"")
        return Audio(found, start, end, _with(first, pieces))

    async def whole(self, recording: str, who: str) -> bytes:
        """All of the audio, as a file: of the target, or of this process's spool, while it is on
        its way, as WAV.

        Raises what `audio` does; `NotStored` for one that is in the spool of another process.
        """
        found = await self.get(recording)
        if found.state is State.STOPPED:
            spool, in_thread = self._archive.spool, self._archive.in_thread
            if (path := spool.find(recording)) is not None:
                about: dict[str, Json] = {"by": who, "from": "spool"}
                await self._ledger.accessed(found, self._clock.utc_now(), about)
                with suppress(FileNotFoundError):
                    return await in_thread(lambda: _wav(path, spool.keyring))
            # It has left the spool meanwhile.
        audio = await self.audio(recording, who)
        return b"".join([piece async for piece in audio.pieces])

    async def hold(self, recording: str, who: str, reason: str, *, held: bool) -> Recording:
        """Sets or ends a legal hold. Raises `NoRecording`, `NotStored` (there is nothing to hold),
        `TooLate`."""
        found = await self.get(recording)
        if found.state in NOTHING_TO_HOLD:
            raise NotStored(found.state)
        about = {"by": who, "reason": reason}
        return await self._ledger.hold(found, held, self._clock.utc_now(), about)

    async def delete(self, recording: str, who: str, reason: str) -> Recording:
        """Raises `NoRecording`, and what `Archive.delete` does."""
        found = await self.get(recording)
        return await self._archive.delete(found, {"by": who, "reason": reason})

    async def _pieces(self, recording: Recording, start: int, end: int) -> AsyncIterator[bytes]:
        keyring = self._archive.spool.keyring
        targets = self._archive.targets
        in_thread = self._archive.in_thread

        def there() -> BinaryIO:
            return targets.of(recording.target).open(recording.path)

        try:
            with closing(await in_thread(there)) as file:
                pieces = await in_thread(lambda: plain(file, keyring, start, end))
                while piece := await in_thread(lambda: next(pieces, b"")):
                    yield piece
        except EnvelopeError as error:
            await self._ledger.tampered(recording, self._clock.utc_now(), str(error))
            raise


async def _with(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if first:
        yield first
    async for piece in rest:
        yield piece


def _wav(path: Path, keyring: Keyring) -> bytes:
    """What is in a file of the spool."""
    samples = samples_of(path, keyring)
    octets = b"".join(samples.pieces)
    return wav_header(len(octets), samples.channels) + octets


def plain(
    file: BinaryIO, keyring: Keyring, start: int = 0, end: int | None = None
) -> Iterator[bytes]:
    """The octets of a stored file from `start` up to `end`, decrypted if need be.

    Raises `EnvelopeError`, at once or on the way.
    """
    file.seek(0)
    if is_encrypted(file.read(16)):
        return Opened(file, keyring).read(start, end)
    return _as_it_is(file, start, end)


def _as_it_is(file: BinaryIO, start: int, end: int | None) -> Iterator[bytes]:
    file.seek(start)
    while end is None or start < end:
        piece = file.read(PIECE if end is None else min(PIECE, end - start))
        if not piece:
            return
        start += len(piece)
        yield piece


def decrypt(source: Path, out: Path, keyring: Keyring) -> int:
    """Writes the audio of a file of the target or of the spool to `out`; its octets.

    Of a file that a crash has left in the spool it is as much as there is, as WAV. Raises OSError
    and `EnvelopeError`; then `out` is not there.
    """
    try:
        with out.open("xb") as file:
            if source.suffixes == [SEALED]:
                # The sizes of a WAV file come first.
                octets = sum(map(len, samples_of(source, keyring).pieces))
                samples = samples_of(source, keyring)
                file.write(wav_header(octets, samples.channels))
                for piece in samples.pieces:
                    file.write(piece)
            else:
                with source.open("rb") as sealed:
                    for piece in plain(sealed, keyring):
                        file.write(piece)
            return file.tell()
    except EnvelopeError:
        out.unlink(missing_ok=True)
        raise
