"""Recordings with a real store, disk and writer, over a network in memory and on virtual time.

Threads write and pack; `until` waits for those. The time of recordings and of retries is the
clock's.
"""

from __future__ import annotations

import asyncio
import io
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tests.databases import url_of
from tests.media.world import FarEnd, ramp
from tests.media.world import World as MediaWorld
from vxml_server.calls import Conversation
from vxml_server.clock import VirtualClock
from vxml_server.interpreter import Json, Outcome
from vxml_server.media import Channel, Codec, StereoTap
from vxml_server.media.play import ENCODE
from vxml_server.media.stream import FRAME
from vxml_server.recording import Recording, Recordings, Wanted
from vxml_server.recording.recorder import ConversationRecorder
from vxml_server.recording.target import Target, TargetError
from vxml_server.settings import RecordingSettings
from vxml_server.store import EventRecord, Store

KEY = {"id": "one", "key": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}
EVERYTHING = {"name": "all"}


def conversation(**changes: Any) -> Conversation:
    given: dict[str, Any] = {
        "call_id": "call-1",
        "direction": "inbound",
        "caller": "+33612345678",
        "number": "1000",
        "application": "http://h/index.vxml",
    }
    return Conversation(**(given | changes))


def target_is_away(patch: pytest.MonkeyPatch, method: str = "put") -> None:
    """No target does any more what it is asked for: to `put`, `open` or `remove` a file."""

    def away(self: Target, *_: object) -> None:
        raise TargetError("away")

    patch.setattr(Target, method, away)


@dataclass
class Notice:
    """The caller's part in a notice."""

    value: Json = "accepted"
    reason: Any = "exit"
    played: list[tuple[str, Mapping[str, Json]]] = field(default_factory=list)

    async def __call__(self, uri: str, variables: Mapping[str, Json]) -> Outcome:
        self.played.append((uri, variables))
        await asyncio.sleep(0)
        return Outcome(self.reason, self.value if self.reason == "exit" else None)


@dataclass
class World:
    store: Store
    recordings: Recordings
    media: MediaWorld
    clock: VirtualClock
    folder: Path

    def parties(self) -> tuple[Channel, Channel, FarEnd, FarEnd]:
        """A caller and an agent, bridged."""
        a, _, far_a = self.media.call()
        b, _, far_b = self.media.call(5002)
        self.media.engine.bridge(a, b)
        self.media.run()
        return a, b, far_a, far_b

    def talk(self, a: FarEnd, b: FarEnd, left: NDArray[np.int16], right: NDArray[np.int16]) -> None:
        one, other = (ENCODE[Codec.PCMU](pcm).tobytes() for pcm in (left, right))
        for place in range(0, len(one), FRAME):
            a.send(a.packet(one[place : place + FRAME]))
            b.send(b.packet(other[place : place + FRAME]))
            self.media.run()
            self.clock.advance(0.02)

    async def settled(self, state: str = "stored", call_id: str = "call-1") -> Recording:
        """The newest recording of a call, which comes to that state."""
        wanted = Wanted(call_id=call_id)
        for _ in range(5000):
            await self.clock.settle(3)
            found = (await self.recordings.library.search(wanted)).recordings
            if found and found[0].state == state:
                return found[0]
            await asyncio.sleep(0.001)
        raise AssertionError(f"expected {state}, there is {found}")

    async def facts(self) -> list[EventRecord]:
        return [e for e in await self.store.events() if e.name.startswith("recording.")]

    async def told(self) -> list[str]:
        return [fact.name.removeprefix("recording.") for fact in await self.facts()]

    async def audio(self, recording: Recording) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        """Both channels of a stored recording, as the library gives them out."""
        got = await self.recordings.library.audio(recording.id, "test")
        octets = b"".join([piece async for piece in got.pieces])
        assert len(octets) == recording.octets
        samples, rate = soundfile.read(io.BytesIO(octets), dtype="int16")
        assert rate == 8000 or recording.format == "opus"
        return samples[:, 0], samples[:, 1]

    def spooled(self) -> list[Path]:
        return sorted(path for path in (self.folder / "spool").rglob("*") if path.is_file())

    def kept(self) -> list[Path]:
        return sorted(path for path in (self.folder / "target").rglob("*") if path.is_file())


@asynccontextmanager
async def world_of(
    folder: Path, *, clock: VirtualClock | None = None, worker: str = "main", **settings: Any
) -> AsyncIterator[World]:
    """Closed at the end, unless that was done."""
    given = {"rules": [EVERYTHING], "mask_keys": False, "target": str(folder / "target")}
    clock = clock or VirtualClock()
    store = await Store.open(url_of(folder), clock, worker=worker)
    media = MediaWorld()
    obey_soon(media)
    recordings = Recordings(
        RecordingSettings.model_validate({**given, "spool": str(folder / "spool"), **settings}),
        store=store,
        worker=worker,
        clock=clock,
        random=random.Random(),
        engine=media.engine,
        language="en",
    )
    await recordings.start()
    try:
        yield World(store, recordings, media, clock, folder)
    finally:
        media.run()
        await recordings.close()
        await store.close()


def obey_soon(media: MediaWorld) -> None:
    """The end of a tap is obeyed without a tick, so that no test has to make one for it."""
    untap_pair = media.engine.untap_pair

    def untaps(tap: StereoTap, ended: Callable[[], None]) -> None:
        untap_pair(tap, ended)
        asyncio.get_running_loop().call_soon(media.engine._obey)

    media.engine.untap_pair = untaps


SECOND = 50 * FRAME


async def accepted(world: World, **facts: Any) -> ConversationRecorder:
    one = world.recordings.recorder.for_call(conversation(**facts))
    assert one is not None
    assert await one.notice(Notice())
    return one


async def recorded(world: World, seconds: float = 1.0, **facts: Any) -> Recording:
    """A conversation that has come to the target."""
    one = await accepted(world, **facts)
    a, b, far_a, far_b = world.parties()
    one.start(a, b)
    said = ramp(round(seconds * SECOND))
    world.talk(far_a, far_b, said, -said)
    one.close()
    a.close()
    b.close()
    world.media.run()
    return await world.settled(call_id=facts.get("call_id", "call-1"))
