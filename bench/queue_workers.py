"""Several workers on one database: how long news takes between them, and how many offers they make.

Each worker is a process with agents and callers of its own. First each makes offers at a steady
pace and all follow the log: the *news* is the time from before a claim is sent until another worker
has it from the log (the clock is the system's monotonic one, the same for all processes). Then each
makes and ends offers one after the other as fast as it can.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from typing import Any

from vxml_server.clock import SystemClock
from vxml_server.queues.ledger import Ledger
from vxml_server.queues.profiles import Agent
from vxml_server.queues.rows import AgentRow, Entry, Presence
from vxml_server.queues.transitions import OfferEvent, advance, claim, enter, present
from vxml_server.store import Store

PACE = 0.05
"""Seconds between two offers of a worker, while the news is measured."""
_PATIENCE = 120.0
"""Seconds that all may take beside the measuring itself."""
_LONGEST_LINE = 1 << 24


@dataclass(frozen=True, slots=True)
class Together:
    """Seconds of news; offers a second of all workers, and a second of their processor time."""

    news: list[float]
    rate: float
    rate_of_a_core: float


async def together(url: str, workers: int, seconds: float) -> Together:
    """That many processes, for so long in each part."""
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, __file__, url, str(number), str(seconds)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LONGEST_LINE,
        )
        for number in range(workers)
    ]
    try:
        async with asyncio.timeout(_PATIENCE + 2 * seconds):
            for process in processes:
                await _hear(process)
            # All have started, however long that took: they begin at one moment.
            begin = time.monotonic() + 0.2
            for process in processes:
                assert process.stdin is not None
                process.stdin.write(f"{begin!r}\n".encode())
            told = [await _hear(process) for process in processes]
            for process in processes:
                await process.wait()
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
                await process.wait()
    offers = sum(one["offers"] for one in told)
    return Together(
        [news for one in told for news in one["news"]],
        offers / seconds,
        offers / sum(one["processor"] for one in told),
    )


async def _hear(process: asyncio.subprocess.Process) -> Any:
    """The next that a worker tells."""
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise RuntimeError(f"a worker has ended with status {await process.wait()}")
    return json.loads(line)


def _tell(what: object) -> None:
    print(json.dumps(what), flush=True)


async def _work(url: str, number: int, seconds: float) -> None:
    store = await Store.open(url, SystemClock(), worker=f"bench{number}")
    name = f"{number}.{time.monotonic_ns()}"
    ledger = Ledger(store, f"bench{name}")
    agent = Agent(f"w{name}", line="w")
    now = time.time()
    signed_in = present(AgentRow(agent.name), Presence.AVAILABLE, now)
    entered = enter(Entry(f"e{name}", "q", "c", ledger.worker, now), now)
    assert await ledger.commit(signed_in, entered)
    row, entry = signed_in.agents[0], entered.entries[0]
    news: list[float] = []

    async def follow(after: int) -> None:
        async for event in store.feed.follow(after):
            if event.name == "offer.reserved" and event.data["worker"] != ledger.worker:
                sent = str(event.data.get("mark", ""))
                if sent:
                    news.append(time.monotonic() - float(sent))

    async def offer(mark: str = "") -> None:
        nonlocal row, entry
        claimed = claim(row, agent, entry, f"o{number}.{time.monotonic_ns()}", time.time())
        assert await ledger.commit(claimed, mark=mark)
        ended = advance(
            *(claimed.offers[0], OfferEvent.WITHDRAW, claimed.agents[0], agent),
            claimed.entries[0],
            now=time.time(),
            today="day",
        )
        assert await ledger.commit(ended)
        row, entry = ended.agents[0], ended.entries[0]

    following = asyncio.create_task(follow((await ledger.load()).seq))
    _tell("ready")
    begin = float(await asyncio.to_thread(sys.stdin.readline))
    await asyncio.sleep(max(0.0, begin - time.monotonic()))
    while time.monotonic() < begin + seconds:
        await offer(repr(time.monotonic()))
        await asyncio.sleep(PACE)
    await asyncio.sleep(max(0.0, begin + seconds + 1 - time.monotonic()))
    following.cancel()
    used, offers = time.process_time(), 0
    while time.monotonic() < begin + 2 * seconds + 1:
        await offer()
        offers += 1
    used = time.process_time() - used
    await store.close()
    _tell({"news": news, "offers": offers, "processor": used})


if __name__ == "__main__":
    _, at, which, how_long = sys.argv
    asyncio.run(_work(at, int(which), float(how_long)))
