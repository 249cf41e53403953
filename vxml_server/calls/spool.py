"""Recordings on disk while they are made, so that a crash loses less than a second of them.

One thread writes for all calls, and no call waits for it until its recording is over. Each process
has a folder of its own below the operator's, which it holds locked: what is found in a folder that
nobody holds was left by a process that crashed. It is moved to `recovered`, and told of, and is the
operator's from then on.

The rules that must hold: at any time the file is one that players read, and it holds all but the
last second of what was said; memory does not grow with a recording; and a file stays until its call
is over, because only then has the application had its chance to send it away.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray

from vxml_server.audio import RATE, encode_alaw, encode_ulaw
from vxml_server.clock import Clock
from vxml_server.events import VoiceXmlEvent
from vxml_server.interpreter import RecordedAudio
from vxml_server.process_folder import ProcessFolder, write_all

_log = structlog.get_logger(__name__)

Samples = NDArray[np.int16]

RECOVERED = "recovered"
# Seconds of audio that wait before they are written.
FLUSH = 0.4
# Seconds of audio that may wait for a disk that does not keep up.
MOST_WAITING = 30.0

_MULAW = 7
_HEADER = 58


def wav_header(octets: int) -> bytes:
    """The header of a WAV file of mono mu-law at 8 kHz (RFC 2361 appendix A)."""
    return struct.pack(
        "<4sI4s 4sIHHIIHHH 4sII 4sI",
        *(b"RIFF", _HEADER - 8 + octets, b"WAVE"),
        *(b"fmt ", 18, _MULAW, 1, RATE, RATE, 1, 8, 0),
        *(b"fact", 4, octets),
        *(b"data", octets),
    )


@dataclass(frozen=True, slots=True)
class _Format:
    """How samples become a file: an octet each, after a header or none."""

    extension: str
    encode: Callable[[Samples], NDArray[np.uint8]]
    header: Callable[[int], bytes]


def _no_header(octets: int) -> bytes:
    return b""


_FORMATS = {
    "audio/x-wav": _Format(".wav", encode_ulaw, wav_header),
    "audio/wav": _Format(".wav", encode_ulaw, wav_header),
    "audio/basic": _Format(".ulaw", encode_ulaw, _no_header),
    "audio/x-alaw-basic": _Format(".alaw", encode_alaw, _no_header),
}


class Spool:
    """The folder of one process. `start` it, then ask for each call's share, then `stop`."""

    def __init__(self, folder: Path, worker: str, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._own = ProcessFolder(folder, worker)
        self.writer = ThreadPoolExecutor(1, thread_name_prefix="recordings")
        """The one thread that writes."""

    def start(self) -> list[Path]:
        """Takes a folder; returns the recordings that crashed processes left, where they are now.

        Raises OSError when the folder cannot be made or written to.
        """
        with self._own.take() as left:
            recovered = [path for folder in left for path in self._recover(folder)]
        for path in recovered:
            _log.warning(
                "a recording was left by a process that crashed",
                path=str(path),
                seconds=round(path.stat().st_size / RATE, 1),
            )
        return recovered

    def stop(self) -> None:
        """Writes what is still to be written, and leaves nothing behind."""
        self.writer.shutdown()
        if self._own.is_taken:
            shutil.rmtree(self.own, ignore_errors=True)
            self._own.let_go()

    def of_call(self, call_id: str) -> CallSpool:
        """The place for one call's recordings."""
        return CallSpool(self, f"{self._clock.utc_now():%Y%m%dT%H%M%SZ}-{call_id}")

    @property
    def own(self) -> Path:
        """The folder of this process."""
        return self._own.path

    def _recover(self, folder: Path) -> Iterator[Path]:
        """Moves the recordings of a folder that was left to where the operator finds them."""
        for path in sorted(folder.iterdir()):
            kept = self._folder / RECOVERED / path.name
            kept.parent.mkdir(mode=0o700, exist_ok=True)
            yield path.replace(kept)
        folder.rmdir()


class CallSpool:
    """The recordings of one call; `close` it when the call is over."""

    def __init__(self, spool: Spool, name: str) -> None:
        self._spool = spool
        self._name = name
        self._files: list[SpooledAudio] = []

    def record(self, media_type: str) -> SpooledAudio:
        """A new recording of one of the types of appendix E; `error.unsupported.format` else."""
        try:
            form = _FORMATS[media_type]
        except KeyError:
            raise VoiceXmlEvent(
                "error.unsupported.format", f"no audio is written as {media_type!r}"
            ) from None
        path = self._spool.own / f"{self._name}-{len(self._files) + 1}{form.extension}"
        file = SpooledAudio(path, media_type, form, self._spool.writer)
        self._files.append(file)
        return file

    def close(self) -> None:
        """Removes the recordings: whoever wanted them has them."""
        for file in self._files:
            file.discard()


class SpooledAudio:
    """One recording on its way to disk. Its methods are called on the loop and do not wait."""

    def __init__(
        self, path: Path, media_type: str, form: _Format, writer: ThreadPoolExecutor
    ) -> None:
        self.path = path
        self._media_type = media_type
        self._format = form
        self._writer = writer
        self._waiting: list[Samples] = []
        self._waiting_samples = 0
        self._given = 0  # samples handed to the thread
        # Of the thread alone from here on; the loop reads them.
        self._file = -1
        self._octets = 0
        self._trouble: OSError | None = None

    def append(self, samples: Samples) -> None:
        """Takes what comes next; it is on disk within `FLUSH` seconds and a moment.

        Raises `error.noresource` when the disk is full, fails, or does not keep up.
        """
        self._waiting.append(samples)
        self._waiting_samples += len(samples)
        if self._waiting_samples < FLUSH * RATE:
            return
        if self._trouble is None and self._given - self._octets > MOST_WAITING * RATE:
            self._trouble = OSError("the disk does not keep up")
        self._raise_trouble()
        self._flush()

    async def finish(self, samples: int) -> RecordedAudio:
        """Ends the file after so many samples of all that were appended, and reads it.

        Raises `error.noresource` as `append` does.
        """
        self._flush()
        loop = asyncio.get_running_loop()
        data = await loop.run_in_executor(self._writer, self._finish, samples)
        self._raise_trouble()
        return RecordedAudio(data, self._media_type, samples / RATE)

    def discard(self) -> None:
        """Removes the file, if there is one."""
        self._waiting.clear()
        self._writer.submit(self._remove)

    def _raise_trouble(self) -> None:
        if self._trouble is not None:
            raise VoiceXmlEvent("error.noresource", f"{self.path.name}: {self._trouble}")

    def _flush(self) -> None:
        if self._waiting:
            samples = np.concatenate(self._waiting)
            self._waiting.clear()
            self._waiting_samples = 0
            self._given += len(samples)
            self._writer.submit(self._write, samples)

    # In the thread.

    def _write(self, samples: Samples) -> None:
        if self._trouble is not None:
            return
        try:
            if self._file < 0:
                flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
                self._file = os.open(self.path, flags, 0o600)
                self._set_size()
            place = len(self._format.header(0)) + self._octets
            write_all(self._file, self._format.encode(samples).tobytes(), place)
            self._octets += len(samples)
            self._set_size()
        except OSError as error:
            _log.error("a recording cannot be written", path=str(self.path), error=str(error))
            self._trouble = error

    def _set_size(self) -> None:
        """Says how long it is by now. A crash before leaves a size that is too small by little."""
        if header := self._format.header(self._octets):
            write_all(self._file, header, 0)

    def _finish(self, samples: int) -> bytes:
        if self._trouble is not None or self._file < 0:
            return self._format.header(0)
        try:
            self._octets = min(samples, self._octets)
            self._set_size()
            end = len(self._format.header(0)) + self._octets
            os.ftruncate(self._file, end)
            data = os.pread(self._file, end, 0)
        except OSError as error:
            self._trouble = error
            data = b""
        self._close()
        return data

    def _remove(self) -> None:
        self._close()
        self.path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
