"""From the media thread to the disk: both parties, 20 ms at a time, written by a thread.

The media thread appends to a list and, twice a second, hands it over a queue without locks; the
writer's thread interleaves and writes. So the audio itself is the clock here, and nothing in a tick
waits for a disk. A pause is silence in the file, decided in the media thread: what is said
meanwhile never leaves it, and the time in the file stays the time of the conversation.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import numpy as np
import structlog
from numpy.typing import NDArray

from vxml_server.audio import FRAME_SECONDS
from vxml_server.recording.spool import BATCH, SpoolFile

_log = structlog.get_logger(__name__)

Frame = NDArray[np.int16]
Both = tuple[Frame, Frame]
Pauses = tuple[tuple[float, float], ...]
"""From when to when, in seconds from the beginning of the audio."""

FRAME = 160
MOST_WAITING = round(30.0 / FRAME_SECONDS)
"""Frames that may wait for a disk that does not keep up."""
LONGEST = round(24 * 3600 / FRAME_SECONDS)
"""Frames after which a recording ends: nobody talks for a day, and WAV has no sizes for more."""
ON_THE_WAY = 17
"""Frames that what was said may take at most until it is here: network, jitter buffer, and the
delay of what is heard without keys. What was said in a pause must not come after it."""

_SILENT = np.zeros(FRAME, np.int16)


@dataclass(frozen=True, slots=True)
class Taken:
    """What a capture has made: its length (seconds), its pauses, and why it ended early."""

    seconds: float
    pauses: Pauses
    trouble: str


class Writer:
    """The one thread that writes. `start` it, then `stop`, which writes what is left."""

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="recording", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._work.put(None)
        self._thread.join()

    def submit(self, work: Callable[[], None]) -> None:
        """From any thread; what it raises is logged."""
        self._work.put(work)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            try:
                work()
            except Exception:
                # One recording's defect must not keep the others from being written.
                _log.exception("the writer of recordings failed")


class Capture:
    """One conversation on its way to disk: a `StereoTap`, and how to pause and end it.

    `open_file` is called in the writer's thread, and `on_trouble` too: once, when the disk fails or
    does not keep up, or the longest time is over. What was written until then stays.
    """

    def __init__(
        self,
        writer: Writer,
        open_file: Callable[[], SpoolFile],
        on_trouble: Callable[[], None],
    ) -> None:
        self._writer = writer
        self._open_file = open_file
        self._on_trouble = on_trouble
        self._wants_pause = False
        self._is_over = False
        # Of the media thread; the writer's has them after the end.
        self._is_paused = False
        self._muted = 0
        self._batch: list[Both] = []
        self._given = 0
        self._pauses: list[tuple[int, int]] = []
        # Of the writer's thread.
        self._file: SpoolFile | None = None
        self._written = 0
        self._trouble = ""

    # On the loop -------------------------------------------------------------------------------

    def pause(self) -> Pauses:
        """From the next tick on nothing is kept. The pauses so far, to a tick or two."""
        self._wants_pause = True
        now = self._given * FRAME_SECONDS
        return (*self._pauses_so_far(), (now, now))

    def resume(self) -> Pauses:
        """Goes on; the pauses so far."""
        self._wants_pause = False
        return self._pauses_so_far()

    # In the media thread -----------------------------------------------------------------------

    def frames(self, left: Frame, right: Frame) -> None:
        if self._is_over:
            return
        if self._wants_pause != self._is_paused:
            self._turn()
        if self._is_paused or self._muted:
            # What was said in the pause is still on its way when it ends.
            self._muted -= not self._is_paused
            left = right = _SILENT
        self._batch.append((left, right))
        self._given += 1
        if len(self._batch) == BATCH:
            batch, self._batch = self._batch, []
            self._writer.submit(lambda: self._write(batch))
            if self._given - self._written > MOST_WAITING:
                self._fail("the disk does not keep up")
            elif self._given >= LONGEST:
                self._fail("the recording is as long as one may be")

    def _turn(self) -> None:
        if self._is_paused:
            start, _ = self._pauses[-1]
            self._muted = ON_THE_WAY
            self._pauses[-1] = start, self._given + self._muted
        else:
            self._pauses.append((self._given, -1))
        self._is_paused = not self._is_paused

    def _fail(self, trouble: str) -> None:
        self._is_over = True
        self._writer.submit(lambda: self._give_up(trouble))

    def finish(self, done: Callable[[Taken], None]) -> None:
        """Ends it, after the last frames; `done` is called in the writer's thread when the file is
        complete."""
        self._is_over = True
        self._writer.submit(lambda: done(self._finish()))

    # In the writer's thread --------------------------------------------------------------------

    def _write(self, batch: list[Both]) -> None:
        if self._trouble:
            return
        try:
            if self._file is None:
                self._file = self._open_file()
            self._file.append(interleaved(batch))
            self._written += len(batch)
        except OSError as error:
            self._give_up(error.strerror or str(error))

    def _give_up(self, trouble: str) -> None:
        if not self._trouble:
            self._is_over = True
            self._trouble = trouble
            _log.error("a recording cannot go on", reason=trouble)
            self._on_trouble()

    def _finish(self) -> Taken:
        batch, self._batch = self._batch, []
        if batch:
            self._write(batch)
        try:
            if self._file is not None:
                self._file.close()
        except OSError as error:
            self._trouble = self._trouble or error.strerror or str(error)
        return Taken(self._written * FRAME_SECONDS, self._pauses_so_far(), self._trouble)

    def _pauses_so_far(self) -> Pauses:
        """From when to when; one that goes on, to now."""
        return tuple(
            (round(start * FRAME_SECONDS, 2), round(min(end, self._given) * FRAME_SECONDS, 2))
            for start, end in ((start, inf if end < 0 else end) for start, end in self._pauses)
        )


def interleaved(batch: list[Both]) -> bytes:
    """Samples of both, left first, little endian."""
    left = np.concatenate([one for one, _ in batch])
    right = np.concatenate([other for _, other in batch])
    return np.stack((left, right), axis=1).astype("<i2").tobytes()
