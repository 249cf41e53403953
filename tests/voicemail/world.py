"""Voicemail with a real store, disk and target, on virtual time, telling nobody but the test.

Threads decode and pack; `until` waits for those. The time of messages and of tries is the clock's.
"""

from __future__ import annotations

import asyncio
import io
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from tests.recording.world import KEY
from tests.waiting import until
from vxml_server.audio import RATE, encode_wav
from vxml_server.clock import VirtualClock
from vxml_server.queues import Agent, Board, Box
from vxml_server.queues.ledger import Ledger as Definitions
from vxml_server.recording import Archive, Recording, make_archive
from vxml_server.settings import RecordingSettings
from vxml_server.store import EventRecord, Store
from vxml_server.voicemail import Message, Voicemail
from vxml_server.voicemail.notices import News, NotSent, Way, WayName

__all__ = ["KEY"]

SALES = Box("sales", number="800", queue="sales", owners=("ann", "bob"))
ANN = Box("ann", agent="ann", email=("ann@example.org",), webhook="https://h.example/hook")
AGENTS = (Agent("ann", line="ann"), Agent("bob", line="bob"))
URL = "sqlite+aiosqlite:///{folder}/store.db"


def tone(seconds: float, hertz: float = 440.0) -> NDArray[np.int16]:
    at = np.arange(round(seconds * RATE)) / RATE
    return (8000 * np.sin(2 * np.pi * hertz * at)).astype(np.int16)


def said(seconds: float = 2.0) -> bytes:
    """What a caller says, as a file."""
    return encode_wav(tone(seconds))


def heard(wav: bytes) -> NDArray[np.int16]:
    """The samples of a WAV of one channel, 16 bits, 8 kHz."""
    with soundfile.SoundFile(io.BytesIO(wav)) as file:
        assert (file.samplerate, file.channels, file.subtype) == (RATE, 1, "PCM_16")
        samples: NDArray[np.int16] = file.read(dtype="int16")
        return samples


async def true_at_last(condition: Callable[[], Awaitable[object]]) -> None:
    """Waits for what the database says."""
    for _ in range(2000):
        if await condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it has not happened")


@dataclass
class Listener:
    """A way of telling that remembers what it was told, and has `troubles` first."""

    told: list[News] = field(default_factory=list)
    troubles: list[Exception] = field(default_factory=list)
    gate: asyncio.Event | None = None
    tries: int = 0
    is_closed: bool = False

    async def send(self, news: News) -> None:
        self.tries += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.troubles:
            raise self.troubles.pop(0)
        self.told.append(news)

    async def close(self) -> None:
        self.is_closed = True

    def fail(self, times: int, why: str = "away", *, is_final: bool = False) -> None:
        self.troubles += [NotSent(why, is_final=is_final) for _ in range(times)]


@dataclass
class World:
    store: Store
    archive: Archive
    board: Board
    voicemail: Voicemail
    clock: VirtualClock
    folder: Path
    mail: Listener
    webhook: Listener

    async def define(self, *boxes: Box, agents: Iterable[Agent] = AGENTS) -> None:
        """These boxes, and no others."""
        definitions = Definitions(self.store, "main.1")
        for name in self.board.boxes.keys() - {box.name for box in boxes}:
            await definitions.undefine("box", name, 0.0)
        for box in boxes:
            await definitions.define(box, 0.0)
        self.board.define(agents, (), (), boxes)

    async def leave(self, box: str = "sales", seconds: float = 2.0, **given: Any) -> Message:
        told = {"caller": "+33612345678", "call_id": "call-1"} | given
        return await self.voicemail.leave(box, said(seconds), "audio/x-wav", **told)

    async def tell(self, after: float = 0.0) -> None:
        """Tells people what is due then, in seconds from now."""
        self.clock.advance(after)
        while await self.voicemail._notifier.round():
            pass

    async def notified(self, message: Message) -> str:
        return (await self.voicemail.message(message.id)).notified

    async def stored(self, message: Message) -> Recording:
        """The recording of a message, which has come to the target."""
        for _ in range(5000):
            await self.clock.settle(3)
            found = await self.voicemail.library.get(message.id)
            if found.state == "stored":
                await until(lambda: self.archive.spool.find(message.id) is None)
                return found
            await asyncio.sleep(0.001)
        raise AssertionError(f"it is {found}")

    async def facts(self, room: str = "voicemail.") -> list[EventRecord]:
        return [e for e in await self.store.events() if e.name.startswith(room)]

    async def told(self) -> list[str]:
        return [fact.name.removeprefix("voicemail.") for fact in await self.facts()]

    def kept(self) -> list[Path]:
        return sorted(path for path in (self.folder / "target").rglob("*") if path.is_file())

    def spooled(self) -> list[Path]:
        return sorted(path for path in (self.folder / "spool").rglob("*") if path.is_file())


@asynccontextmanager
async def world_of(
    folder: Path,
    *boxes: Box,
    clock: VirtualClock | None = None,
    url: str = URL,
    worker: str = "main",
    store_type: type[Store] = Store,
    runs: bool = True,
    **settings: Any,
) -> AsyncIterator[World]:
    """Started, and closed at the end. One that does not run tells people when the test says so."""
    given = {"spool": str(folder / "spool"), "target": str(folder / "target"), **settings}
    clock = clock or VirtualClock()
    store = await store_type.open(url.format(folder=folder), clock, worker=worker)
    archive = make_archive(RecordingSettings.model_validate(given), store, worker, clock)
    await archive.start()
    board = Board()
    mail, webhook = Listener(), Listener()
    ways: dict[WayName, Way] = {"mail": mail, "webhook": webhook}
    voicemail = Voicemail(
        *(board, store, archive, clock, random.Random()), retention_days=60.0, ways=ways
    )
    world = World(store, archive, board, voicemail, clock, folder, mail, webhook)
    await world.define(*(boxes or (SALES, ANN)))
    if runs:
        voicemail.start()
    try:
        yield world
    finally:
        await voicemail.close()
        await archive.close()
        await store.close()
