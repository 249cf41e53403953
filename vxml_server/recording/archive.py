"""What becomes of a recording when the conversation is over: packed, brought to the target, kept
for its time, deleted.

The rules that must hold: the spool is emptied only of what the target has confirmed; what a crashed
process has left is brought to its end by the next one; nothing that is held is deleted, and nothing
is deleted without a fact that says by whom and why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

import structlog

from vxml_server.clock import Clock
from vxml_server.recording.envelope import EnvelopeError
from vxml_server.recording.ledger import Beside, Ledger, TooLate
from vxml_server.recording.packing import Format, Packed, extension, pack
from vxml_server.recording.records import Recording
from vxml_server.recording.spool import NOTHING, Spool, samples_of
from vxml_server.recording.target import TargetError, Targets
from vxml_server.recording.transitions import Event, State
from vxml_server.store import Json, StoreError, Unstorable

_log = structlog.get_logger(__name__)
T = TypeVar("T")

FIRST_RETRY, LAST_RETRY = 1.0, 300.0
"""Seconds between two attempts to bring a recording away: doubled each time."""
SWEEP_EVERY = 3600.0
AT_ONCE = 2
"""Recordings that are packed and brought away at the same time."""
LOST = "lost with the process that made it"


class Held(Exception):
    """The recording is under a legal hold."""


class NotStored(Exception):
    """The recording is not at the target, or not any more."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long recordings are kept, in days; by queue where it is another time."""

    days: float
    by_queue: Mapping[str, float]

    def end(self, recording: Recording, ended_at: datetime) -> datetime:
        """When its time is over."""
        return ended_at + timedelta(days=self.by_queue.get(recording.queue, self.days))


class Archive:
    """All that is behind the bridge. `start` it, then `close`."""

    def __init__(
        self,
        ledger: Ledger,
        spool: Spool,
        targets: Targets,
        clock: Clock,
        *,
        form: Format,
        retention: Retention,
    ) -> None:
        self.ledger = ledger
        self.spool = spool
        self.targets = targets
        self.retention = retention
        self._clock = clock
        self._format: Format = form
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._threads = ThreadPoolExecutor(AT_ONCE + 2, thread_name_prefix="archive")
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Takes over what was left, and begins to sweep. Raises OSError and `StoreError`."""
        with self.spool.opening() as left:
            await self._recover(left)
        self._begin(self._sweep(), "retention of recordings")

    async def close(self) -> None:
        """Stops; what is still on its way stays in the spool and is found at the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._threads.shutdown()
        self.spool.close()

    def keep(self, recording: Recording) -> None:
        """Brings a stopped recording from the spool to the target, however long that takes."""
        self._begin(self._keep(recording), f"recording {recording.id}")

    async def deposit(self, recording: Recording, samples: bytes, beside: Beside) -> None:
        """Keeps audio that is complete: mono samples, little endian.

        The recording is new, and stopped. `beside` makes changes in the transaction that stores it.
        A database that does not answer is waited for, however long. When this returns, nothing that
        happens to the process loses anything; when it raises (OSError of the disk, `Unstorable`, or
        what `beside` does), nothing was kept; when it is cancelled, all or nothing was.
        """
        # Not among the threads that wait for the target: a caller waits for this.
        await asyncio.to_thread(self.spool.put, recording.id, samples)
        try:
            await self._deposited(recording, beside)
        except Exception:
            await asyncio.to_thread(self.spool.remove, recording.id)
            raise
        self.keep(recording)

    async def _deposited(self, recording: Recording, beside: Beside) -> None:
        while True:
            try:
                return await self.ledger.deposit(recording, beside)
            except Unstorable:
                raise
            except StoreError as error:
                _log.warning("the database does not answer", error=str(error))
            await self._clock.sleep(FIRST_RETRY)

    @property
    def waiting(self) -> int:
        """Recordings on their way to the target."""
        return max(0, len(self._tasks) - 1)

    async def in_thread(self, work: Callable[[], T]) -> T:
        """What waits for a disk or the target."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    # To the target -----------------------------------------------------------------------------

    async def _keep(self, recording: Recording) -> None:
        packed, path = await self._bring(recording)
        if not packed.seconds:
            await self._stored(recording, Event.FAIL, trouble="nothing was recorded")
        else:
            await self._stored(
                recording,
                Event.STORE,
                duration_s=round(packed.seconds, 3),
                format=self._format,
                key_id=packed.key_id,
                target=self.targets.now.name,
                path=path,
                octets=packed.octets,
                stored_octets=packed.stored_octets,
                checksum=packed.checksum,
            )
        await self.in_thread(lambda: self.spool.remove(recording.id))

    async def _bring(self, recording: Recording) -> tuple[Packed, str]:
        """Tries until it is done."""
        packed: Packed | None = None
        delay = FIRST_RETRY
        while True:
            try:
                async with self._slots:
                    if packed is None:
                        packed = await self.in_thread(lambda: self._pack(recording))
                    return packed, await self._put(recording, packed)
            except (OSError, EnvelopeError) as error:
                _log.warning(
                    "a recording waits in the spool",
                    recording=recording.id,
                    error=str(error),
                    again_in=delay,
                )
            await self._clock.sleep(delay)
            delay = min(2 * delay, LAST_RETRY)

    def _pack(self, recording: Recording) -> Packed:
        source = self.spool.find(recording.id)
        samples = NOTHING if source is None else samples_of(source, self.spool.keyring)
        return pack(samples, self.spool.part(recording.id), self._format, self.spool.keyring)

    async def _put(self, recording: Recording, packed: Packed) -> str:
        """Where it is now, below the target."""
        at = recording.started_at or recording.announced_at
        path = f"{at:%Y/%m/%d}/{recording.id}{extension(self._format, packed.key_id)}"
        if packed.seconds:
            part = self.spool.part(recording.id)
            octets, checksum = packed.stored_octets, packed.checksum
            await self.in_thread(lambda: self.targets.now.put(part, path, octets, checksum))
        return path

    async def _stored(self, recording: Recording, event: Event, **changes: object) -> None:
        about: dict[str, Json] = {
            name: value
            for name, value in changes.items()
            if isinstance(value, str | int | float) and name != "target"
        }
        at = self._clock.utc_now()
        while True:
            try:
                await self.ledger.advance(recording, event, at, about, **changes)
                return
            except StoreError as error:
                _log.warning("the database does not answer", error=str(error))
                await self._clock.sleep(FIRST_RETRY)

    # After a crash -----------------------------------------------------------------------------

    async def _recover(self, left: Iterable[Path]) -> None:
        here = set()
        for path in left:
            recording = await self.ledger.get(path.stem)
            here.add(path.stem)
            if recording is None or recording.state is State.FAILED:
                aside = self.spool.set_aside(path)
                _log.warning("a recording that nobody knows of was set aside", path=str(aside))
            elif recording.state in {State.STORED, State.DELETED, State.REFUSED}:
                self.spool.remove(recording.id)
            else:
                await self._take_over(recording, path)
        for recording in await self.ledger.unfinished():
            if recording.id not in here:
                at = self._clock.utc_now()
                about: dict[str, Json] = {"trouble": LOST}
                await self.ledger.advance(recording, Event.FAIL, at, about, trouble=LOST)

    async def _take_over(self, recording: Recording, path: Path) -> None:
        """Ends a recording at what is there of it; from now on it is this worker's.

        Or the one that has begun it would take it for lost when it starts again.
        """
        now = self._clock.utc_now()
        if recording.state is State.ANNOUNCED:
            began = recording.announced_at
            recording = await self.ledger.advance(
                recording, Event.START, now, {"repaired": True}, started_at=began
            )
        mine = self.ledger.worker
        if recording.state is not State.STOPPED:
            seconds = await self.in_thread(lambda: self._seconds(path))
            ended = (recording.started_at or now) + timedelta(seconds=seconds)
            _log.warning(
                "a recording was left by a process that crashed",
                recording=recording.id,
                seconds=round(seconds, 1),
            )
            recording = await self.ledger.advance(
                recording,
                Event.INTERRUPT,
                now,
                {"duration_s": round(seconds, 3), "repaired": True},
                worker=mine,
                interrupted=True,
                duration_s=round(seconds, 3),
                ended_at=ended,
                expires_at=self.retention.end(recording, ended),
            )
        elif recording.worker != mine:
            about: dict[str, Json] = {"worker": mine}
            recording = await self.ledger.advance(
                recording, Event.TAKE_OVER, now, about, worker=mine
            )
        self.keep(recording)

    def _seconds(self, path: Path) -> float:
        try:
            return samples_of(path, self.spool.keyring).seconds()
        except (OSError, EnvelopeError) as error:
            _log.error("a recording cannot be read", path=str(path), error=str(error))
            return 0.0

    # Until their time is over ------------------------------------------------------------------

    async def delete(self, recording: Recording, about: Mapping[str, Json]) -> Recording:
        """Deletes a stored recording; `about` says who did and why.

        From then on nobody gets it. Its file is erased at once, or when the target answers again.
        Raises `Held`, `NotStored`, `TooLate`, `StoreError`.
        """
        deleted = await self._delete(recording, about)
        try:
            return await self._erase(deleted)
        except OSError as error:
            _log.warning(
                "a deleted recording is still there",
                target=deleted.target,
                path=deleted.path,
                error=str(error),
            )
            return deleted

    async def _delete(self, recording: Recording, about: Mapping[str, Json]) -> Recording:
        """The row alone; raises as `delete`."""
        if recording.state is not State.STORED:
            raise NotStored(recording.state)
        if recording.held:
            raise Held(recording.id)
        at = self._clock.utc_now()
        # The row first: whoever holds a recording must not find that its file is gone already.
        try:
            return await self.ledger.advance(recording, Event.DELETE, at, about)
        except TooLate:
            now = await self.ledger.get(recording.id)
            if now is not None and now.held:
                raise Held(recording.id) from None
            raise

    async def _erase(self, deleted: Recording) -> Recording:
        """The file, at the target that it was brought to."""
        await self.in_thread(lambda: self.targets.of(deleted.target).remove(deleted.path))
        at = self._clock.utc_now()
        return await self.ledger.advance(deleted, Event.ERASE, at, {"path": deleted.path}, path="")

    async def _sweep(self) -> None:
        while True:
            try:
                await self.sweep()
            except OSError as error:
                _log.warning("recordings whose time is over stay", error=str(error))
            await self._clock.sleep(SWEEP_EVERY)

    async def sweep(self) -> None:
        """Deletes what is older than it may be, and erases what was deleted."""
        after = ""
        while some := await self.ledger.expired(self._clock.utc_now(), after=after):
            after = some[-1].id
            for recording in some:
                try:
                    await self._delete(recording, {"by": "retention", "reason": "its time is over"})
                except (Held, TooLate):
                    continue  # held meanwhile, or another process was faster
        await self._erase_what_is_left()

    async def _erase_what_is_left(self) -> None:
        """Each file for itself: one that its target does not let go keeps no other."""
        troubles: dict[str, list[TargetError]] = {}
        after = ""
        while some := await self.ledger.not_erased(after=after):
            after = some[-1].id
            for deleted in some:
                try:
                    await self._erase(deleted)
                except TargetError as error:
                    troubles.setdefault(deleted.target, []).append(error)
                except TooLate:
                    continue  # another process was faster
        for target, errors in troubles.items():
            _log.error(
                "deleted recordings are still there",
                target=target,
                recordings=len(errors),
                error=str(errors[0]),
            )

    def _begin(self, work: Coroutine[object, object, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("recordings: a task failed", task=task.get_name(), exc_info=error)
