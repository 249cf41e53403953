"""A worker of a contact centre as a process: callers come all the time, telephones answer.

`python -m tests.integration.queue_worker URL NAME SECONDS [CALLERS] [STATE]`. With a STATE
(`ringing` or `talking`) all offers stay there. Says `ready` on standard output, and at the end, or
on SIGTERM, what became of its callers.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
from collections import Counter

from tests.queues.contact_centre import agent, queue
from vxml_server.clock import SystemClock
from vxml_server.queues.centre import ContactCentre
from vxml_server.queues.profiles import Agent
from vxml_server.queues.rows import Exit, Offer, Presence
from vxml_server.queues.telephony import Happening
from vxml_server.store import Store, StoreError

AGENTS = tuple(agent(f"agent{n}", wrap_up_time=0.2, failure_delay=0.5) for n in range(6))
QUEUE = queue("sales", [one.name for one in AGENTS])


class Telephone:
    """Rings, answers and hangs up after a moment each."""

    def __init__(self, state: str) -> None:
        self._happenings = [Happening.RINGING, Happening.ANSWERED, Happening.HUNG_UP]
        if state:
            del self._happenings[{"ringing": 1, "talking": 2}[state] :]

    async def next(self, seconds: float | None) -> Happening | None:
        if seconds == 0:
            return None
        pause = 0.05 if self._happenings else seconds
        await asyncio.sleep(3600 if pause is None else pause)
        return self._happenings.pop(0) if self._happenings else None

    def hang_up(self) -> None:
        self._happenings = []


class Caller:
    """Somebody who waits until he has spoken with an agent, whatever happens."""

    def __init__(self, centre: ContactCentre, name: str, state: str) -> None:
        self._centre = centre
        self._name = name
        self._state = state
        self._news: asyncio.Queue[str] = asyncio.Queue()

    async def run(self) -> str:
        entered_at = self._centre.now()
        while True:
            entry = await self._centre.enter(self, "sales", self._name, entered_at=entered_at)
            try:
                news = await self._news.get()
            finally:
                await self._centre.leave(entry, Exit.ABANDONED)
            if news != "lost":
                return news

    def ring(self, agent: Agent, offer: Offer) -> Telephone:
        return Telephone(self._state)

    async def connect(self, telephone: object, offer: Offer) -> bool:
        return True

    def disconnect(self) -> None:
        pass

    def served(self, offer: Offer) -> None:
        pass

    def parted(self, offer: Offer) -> None:
        self._news.put_nowait("served")

    def put_out(self) -> None:
        self._news.put_nowait("put out")

    def moved(self, queue: str) -> None:
        self._news.put_nowait("moved")

    def lost(self) -> None:
        self._news.put_nowait("lost")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def main(url: str, name: str, seconds: float, callers: int, state: str) -> None:
    clock = SystemClock()
    store = await Store.open(url, clock, worker=name)
    centre = ContactCentre(store, clock, random.Random(), worker=name)
    await centre.start()
    await centre.declare([*AGENTS, QUEUE])
    for one in AGENTS:
        await centre.present(one.name, Presence.AVAILABLE)
    say("ready")
    became: Counter[str] = Counter()
    end = asyncio.Event()
    clock.call_later(seconds, end.set)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)

    async def come(number: int) -> None:
        while not end.is_set():
            try:
                became[await Caller(centre, f"{name}-{number}", state).run()] += 1
            except StoreError:
                became["no store"] += 1
                await clock.sleep(0.2)

    await asyncio.gather(end.wait(), *(come(number) for number in range(callers)))
    await centre.stop()
    await store.close()
    say(json.dumps({**became, "restarts": centre.counters.restarts}))


if __name__ == "__main__":
    arguments = [*sys.argv[1:], "8", ""][:5]
    asyncio.run(
        main(arguments[0], arguments[1], float(arguments[2]), int(arguments[3]), arguments[4])
    )
