"""What supervisors order, and how an order comes to the worker that can carry it out.

A conversation and a waiting caller are with the worker that has the caller's call. An order that
another worker is asked for goes to it as a fact in the event log, and the answer comes back as one.
The rules that must hold: an order is carried out once at most, and never when whoever gave it has
been told that nobody answered; who gave it learns what became of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

import structlog

from vxml_server.clock import Clock
from vxml_server.queues.tasks import for_ever
from vxml_server.store import EventRecord, Json, NewEvent, Store, StoreError, append_facts

_log = structlog.get_logger(__name__)
GIVEN, ANSWERED = "order.given", "order.answered"
PATIENCE = 5.0
"""Seconds for which an order waits for the worker that it is for; it is void after them."""
_ANSWER_TIME = 5.0
# So many seconds longer an answer is waited for.


class Action(StrEnum):
    """What may be ordered; the first are of offers, the others of waiting callers."""

    SUPERVISE = "supervise"
    SWITCH = "switch"
    END_SUPERVISION = "end_supervision"
    HANG_UP = "hang_up"
    GIVE_BACK = "give_back"
    SEND_ON = "send_on"
    TAKE_OVER = "take_over"
    TAKE = "take"
    TAKE_OUT = "take_out"
    MOVE = "move"
    PRIORITISE = "prioritise"


OF_WAITING = frozenset({Action.TAKE, Action.TAKE_OUT, Action.MOVE, Action.PRIORITISE})
"""What is ordered of a waiting caller, by the id of his entry."""


@dataclass(frozen=True, slots=True)
class Order:
    """`target` is the id of an offer, or of the entry of a waiting caller; `by` is who gave it."""

    action: Action
    target: str
    by: str
    values: Mapping[str, Json] = field(default_factory=dict)


class Reason(StrEnum):
    """Why an order is not carried out."""

    NOT_FOUND = "not_found"
    """What it is about is not there (any more)."""
    CONFLICT = "conflict"
    """It does not fit what is going on."""
    NO_ANSWER = "no_answer"
    """The worker that it is for does not answer."""


class Refused(Exception):
    """An order that is not carried out, and nothing has changed; the text says why."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Post:
    """Brings orders from worker to worker. `start` it, `stop` it."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        random: Random,
        worker: str,
        obey: Callable[[Order], Awaitable[None]],
    ) -> None:
        """`obey` carries out what others order of this worker, or raises `Refused`."""
        self._store = store
        self._clock = clock
        self._random = random
        self._worker = worker
        self._obey = obey
        self._answers: dict[str, asyncio.Future[Refused | None]] = {}
        self._obeying: set[asyncio.Task[None]] = set()
        self._following: asyncio.Task[None] | None = None
        self._seq = 0

    def start(self) -> None:
        # What was ordered before was of a worker that is not there any more.
        self._seq = self._store.feed.last
        following = for_ever(self._follow, self._clock, lambda: None)
        self._following = asyncio.create_task(following, name="queues orders")

    async def stop(self) -> None:
        tasks = [task for task in (self._following, *self._obeying) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def send(self, worker: str, order: Order) -> None:
        """Has an order carried out by another worker. Raises `Refused` and `StoreError`."""
        number = f"{self._random.getrandbits(96):024x}"
        answer: asyncio.Future[Refused | None] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer

        def give_up() -> None:
            if not answer.done():
                answer.set_result(_nobody(worker))

        timer = self._clock.call_later(PATIENCE + _ANSWER_TIME, give_up)
        try:
            await self._tell(
                GIVEN,
                {
                    "order": number,
                    "to": worker,
                    "action": order.action,
                    "target": order.target,
                    "by": order.by,
                    "values": dict(order.values),
                },
            )
            refused = await answer
        finally:
            timer.cancel()
            del self._answers[number]
        if refused is not None:
            raise refused

    async def _follow(self) -> None:
        async for events in self._store.feed.batches(self._seq):
            for event in events:
                self._seq = event.seq
                if event.name == ANSWERED:
                    self._take_answer(event)
                elif event.name == GIVEN and event.data["to"] == self._worker:
                    # How old it is no clock says: those of two workers differ.
                    if (age := self._store.feed.age) > PATIENCE:
                        _log.warning("an order came too late", order=event.seq, seconds=age)
                        continue
                    task = asyncio.create_task(self._carry_out(event), name="queues order")
                    self._obeying.add(task)
                    task.add_done_callback(self._obeying.discard)

    def _take_answer(self, event: EventRecord) -> None:
        answer = self._answers.get(str(event.data["order"]))
        if answer is not None and not answer.done():
            reason = event.data.get("refused")
            message = str(event.data.get("message", ""))
            answer.set_result(Refused(Reason(str(reason)), message) if reason else None)

    async def _carry_out(self, event: EventRecord) -> None:
        data = event.data
        values = data["values"]
        order = Order(
            Action(str(data["action"])),
            str(data["target"]),
            str(data["by"]),
            values if isinstance(values, dict) else {},
        )
        said: dict[str, Json] = {"order": data["order"], "to": data["worker"]}
        try:
            await self._obey(order)
        except Refused as refused:
            said |= {"refused": refused.reason, "message": str(refused)}
        except StoreError:
            said |= {"refused": Reason.NO_ANSWER, "message": "the database does not answer"}
        try:
            await self._tell(ANSWERED, said)
        except StoreError as error:
            _log.warning("an order is not answered", action=order.action, error=str(error))

    async def _tell(self, name: str, data: Mapping[str, Json]) -> None:
        fact = NewEvent("", self._clock.utc_now(), name, {**data, "worker": self._worker})
        async with self._store.transaction() as connection:
            await append_facts(connection, [fact])


def _nobody(worker: str) -> Refused:
    return Refused(Reason.NO_ANSWER, f"The worker {worker.rpartition('.')[0]!r} does not answer.")
