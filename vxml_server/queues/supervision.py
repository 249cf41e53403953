"""Supervisors: who listens to conversations, whispers, barges in, takes, moves and parts callers.

Everything is an `Order`, which the worker that has the caller's call carries out. The rules that
must hold: caller and agent hear each other whatever a supervisor does, and lose nothing when he
goes; he goes when their conversation ends; what was done, and by whom, is in the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from random import Random
from typing import Protocol, runtime_checkable

import structlog

from vxml_server.clock import Clock
from vxml_server.queues.centre import ContactCentre, NoSuchAgent
from vxml_server.queues.destination import BadDestination, wanted
from vxml_server.queues.offering import Offering
from vxml_server.queues.orders import OF_WAITING, Action, Order, Post, Reason, Refused
from vxml_server.queues.rows import Entry, EntryState, Offer
from vxml_server.queues.telephony import Caller, CannotRing, Happening, Mode, Telephone
from vxml_server.store import Json, NewEvent, Store

_log = structlog.get_logger(__name__)
RING_TIME = 30.0
"""Seconds for which a supervisor's telephone rings."""
KEYS: Mapping[str, Mode] = {"4": Mode.LISTEN, "5": Mode.WHISPER, "6": Mode.BARGE}
"""What a supervisor presses on his telephone."""


@runtime_checkable
class SupervisorTelephone(Telephone, Protocol):
    """A telephone whose keys are heard."""

    def on_key(self, pressed: Callable[[str], None]) -> None:
        """Keys are told here from now on, and go nowhere else."""


Ring = Callable[[str, Mapping[str, str]], SupervisorTelephone]
"""Rings a line (a user name, a number or a URI) with these headers; raises `CannotRing`."""
Tell = Callable[[Iterable[NewEvent]], None]
"""Appends facts to the log."""


class Supervision:
    """What supervisors may do with the callers of all workers. `start` it, `stop` it."""

    def __init__(
        self,
        centre: ContactCentre,
        store: Store,
        clock: Clock,
        random: Random,
        *,
        ring: Ring,
        tell: Tell,
    ) -> None:
        self._centre = centre
        self._clock = clock
        self._ring = ring
        self._tell = tell
        self._post = Post(store, clock, random, centre.worker, self._obey)
        self._sessions: dict[str, _Session] = {}
        self._actions: Mapping[Action, Callable[[Order], Awaitable[None]]] = {
            Action.SUPERVISE: self._supervise,
            Action.SWITCH: self._switch,
            Action.END_SUPERVISION: self._end_supervision,
            Action.HANG_UP: self._hang_up,
            Action.GIVE_BACK: self._give_back,
            Action.SEND_ON: self._send_on,
            Action.TAKE_OVER: self._take_over,
            Action.TAKE: self._take,
            Action.TAKE_OUT: self._take_out,
            Action.MOVE: self._move,
            Action.PRIORITISE: self._prioritise,
        }

    def start(self) -> None:
        """Begins to hear what other workers order; the contact centre has been started."""
        self._post.start()

    async def stop(self) -> None:
        """Hangs up all supervisors."""
        await self._post.stop()
        await asyncio.gather(*(one.stop("stopped") for one in list(self._sessions.values())))

    async def do(self, order: Order) -> None:
        """Carries out an order, here or where the caller is. Raises `Refused` and `StoreError`."""
        row: Offer | Entry
        if order.action in OF_WAITING:
            row = self._entry(order)
        else:
            found = self._centre.board.offers.get(order.target)
            if found is None or found.outcome is not None:
                raise _nothing("There is no such offer, or it is over.")
            row = found
        if row.worker == self._centre.worker:
            await self._obey(order)
        else:
            await self._post.send(row.worker, order)

    async def _obey(self, order: Order) -> None:
        await self._actions[order.action](order)

    # Conversations -----------------------------------------------------------------------------

    async def _supervise(self, order: Order) -> None:
        offering = self._conversation(order)
        if order.target in self._sessions:
            raise _conflict("The conversation has a supervisor.")
        line, mode = str(order.values["line"]), Mode(str(order.values["mode"]))
        offer = offering.offer
        headers = {"X-Queue": offer.queue, "X-Supervise": mode.value}
        try:
            telephone = self._ring(line, headers)
        except CannotRing as error:
            raise _conflict(f"The telephone cannot be rung: {error}.") from None
        session = _Session(self._clock, offering, telephone, mode, self._teller(order, line))
        self._sessions[offer.id] = session
        session.start(lambda: self._sessions.pop(offer.id))

    async def _switch(self, order: Order) -> None:
        self._session(order).switch(Mode(str(order.values["mode"])), order.by)

    async def _end_supervision(self, order: Order) -> None:
        await self._session(order).stop("ended")

    async def _hang_up(self, order: Order) -> None:
        offer = self._offering(order).offer
        self._note("offer.hung_up", offer, order.by)
        await self._centre.offers.part(offer.id)

    async def _give_back(self, order: Order) -> None:
        await self._part(order, "conversation.returned", {})

    async def _send_on(self, order: Order) -> None:
        dest = str(order.values["dest"])
        scheme = dest.partition(":")[0].lower()
        if scheme in {"queue", "agent"}:
            try:
                queue = wanted(dest).queue
            except BadDestination as error:
                raise _conflict(f"{dest!r}: {error}.") from None
            if self._centre.board.roster(queue) is None:
                raise _conflict(f"There is no {scheme} for {dest!r}.")
        await self._part(order, "conversation.sent_on", {"dest": dest})

    async def _take_over(self, order: Order) -> None:
        agent = self._free_agent(order)
        await self._part(order, "conversation.taken", {"to": agent})

    async def _part(self, order: Order, name: str, data: Mapping[str, Json]) -> None:
        """The agent is released, and the caller goes on."""
        offering = self._conversation(order)
        self._note(name, offering.offer, order.by, data)
        offering.caller.send_on(str(data.get("dest", "")), str(data.get("to", "")))
        await self._centre.offers.part(order.target)

    def _offering(self, order: Order) -> Offering:
        offering = self._centre.offers.get(order.target)
        if offering is None:
            raise _nothing("There is no such offer, or it is over.")
        return offering

    def _conversation(self, order: Order) -> Offering:
        offering = self._offering(order)
        if not offering.is_bridged:
            raise _conflict("The agent does not talk to the caller.")
        return offering

    def _session(self, order: Order) -> _Session:
        session = self._sessions.get(order.target)
        if session is None:
            raise _nothing("The conversation has no supervisor.")
        return session

    # Waiting callers ---------------------------------------------------------------------------

    async def _take(self, order: Order) -> None:
        entry, agent = self._entry(order), str(order.values["agent"])
        if not await self._centre.offers.offer_to(entry.id, agent):
            raise _conflict(f"{agent!r} cannot be offered the caller now.")
        self._note("queue.taken", entry, order.by, {"to": agent})

    async def _take_out(self, order: Order) -> None:
        entry = self._entry(order)
        if not await self._centre.put_out(entry.id):
            raise _nothing("The caller does not wait any more.")
        self._note("queue.taken_out", entry, order.by)

    async def _move(self, order: Order) -> None:
        entry, queue = self._entry(order), str(order.values["queue"])
        if self._centre.board.roster(queue) is None:
            raise _conflict(f"There is no queue {queue!r}.")
        if queue == entry.queue:
            raise _conflict("He waits there.")
        caller = self._caller(entry)
        self._note("queue.moved", entry, order.by, {"to": queue})
        caller.move(queue, keeps_place=bool(order.values.get("keep_place", True)))

    async def _prioritise(self, order: Order) -> None:
        entry, priority = self._entry(order), order.values["priority"]
        assert isinstance(priority, int | float), "checked by whoever gave the order"
        if not await self._centre.prioritise(entry.id, float(priority)):
            raise _nothing("The caller does not wait any more.")
        self._note("queue.prioritised", entry, order.by, {"priority": priority})

    def _entry(self, order: Order) -> Entry:
        entry = self._centre.board.entries.get(order.target)
        if entry is None or entry.state is not EntryState.WAITING:
            raise _nothing("The caller does not wait (any more).")
        return entry

    def _caller(self, entry: Entry) -> Caller:
        caller = self._centre.caller(entry.id)
        if caller is None:
            raise _nothing("The caller does not wait any more.")
        return caller

    def _free_agent(self, order: Order) -> str:
        agent = str(order.values["agent"])
        try:
            if not self._centre.can_take(agent):
                raise _conflict(f"{agent!r} cannot be offered anybody now.")
        except NoSuchAgent:
            raise _conflict(f"There is no agent {agent!r}.") from None
        return agent

    # Facts -------------------------------------------------------------------------------------

    def _note(
        self, name: str, row: Offer | Entry, by: str, data: Mapping[str, Json] | None = None
    ) -> None:
        about: dict[str, Json] = {"by": by, "worker": self._centre.worker, **(data or {})}
        agent = ""
        if isinstance(row, Offer):
            about |= {"offer": row.id, "entry": row.entry}
            agent = row.agent
        else:
            about["entry"] = row.id
        now = self._clock.utc_now()
        self._tell([NewEvent(row.call_id, now, name, about, queue=row.queue, agent=agent)])

    def _teller(self, order: Order, line: str) -> _Note:
        offer = self._offering(order).offer

        def note(name: str, data: Mapping[str, Json]) -> None:
            self._note(name, offer, order.by, {"line": line, **data})

        return note


_Note = Callable[[str, Mapping[str, Json]], None]


class _Session:
    """A supervisor's telephone, from ringing to the end."""

    def __init__(
        self,
        clock: Clock,
        offering: Offering,
        telephone: SupervisorTelephone,
        mode: Mode,
        note: _Note,
    ) -> None:
        self._clock = clock
        self._offering = offering
        self._telephone = telephone
        self._mode = mode
        self._note = note
        self._is_in = False
        self._stopped: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None

    def start(self, done: Callable[[], object]) -> None:
        self._task = asyncio.create_task(self._run(), name="supervisor")
        self._task.add_done_callback(lambda _: done())

    async def stop(self, why: str) -> None:
        """Hangs up; returns when he is gone."""
        self._end(why)
        if self._task is not None:
            await asyncio.wait([self._task])

    def _end(self, why: str) -> None:
        if not self._stopped.done():
            self._stopped.set_result(why)

    def switch(self, mode: Mode, by: str = "") -> None:
        """He does something else from now on, or when he answers."""
        if mode is self._mode:
            return
        self._mode = mode
        if self._is_in:
            self._offering.caller.oversee(self._telephone, mode)
            self._note("supervision.changed", {"mode": mode} | ({"by": by} if by else {}))

    async def _run(self) -> None:
        over = asyncio.create_task(self._offering.ended(), name="supervised conversation")
        over.add_done_callback(lambda _: self._end("over"))
        began = self._clock.monotonic()
        why = "failed"
        try:
            why = await self._until_gone()
        except Exception:
            # A defect of ours costs the supervisor, and neither caller nor agent.
            _log.exception("a supervision failed")
        finally:
            over.cancel()
            if self._is_in:
                self._offering.caller.oversee(None, self._mode)
            self._telephone.hang_up()
        if self._is_in:
            lasted = round(self._clock.monotonic() - began, 3)
            self._note("supervision.ended", {"why": why, "lasted": lasted})
        else:
            self._note("supervision.failed", {"why": why})

    async def _until_gone(self) -> str:
        deadline = self._clock.monotonic() + RING_TIME
        happened: Happening | str | None = Happening.RINGING
        while happened is Happening.RINGING:
            happened = await self._hear(max(0.0, deadline - self._clock.monotonic()))
        if happened is None:
            return Happening.NO_ANSWER
        if happened is not Happening.ANSWERED:
            return happened
        if self._stopped.done():
            return self._stopped.result()
        self._is_in = True
        self._telephone.on_key(self._pressed)
        self._offering.caller.oversee(self._telephone, self._mode)
        self._note("supervision.started", {"mode": self._mode})
        while (ended := await self._hear(None)) in {None, Happening.RINGING, Happening.ANSWERED}:
            pass
        return str(ended)

    def _pressed(self, key: str) -> None:
        if (mode := KEYS.get(key)) is not None:
            self.switch(mode)

    async def _hear(self, seconds: float | None) -> Happening | str | None:
        """What happens next on the telephone, or why the supervision was stopped."""
        hearing = asyncio.ensure_future(self._telephone.next(seconds))
        either: set[asyncio.Future[Happening | None] | asyncio.Future[str]]
        either = {hearing, self._stopped}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if hearing.done() and not self._stopped.done():
            return hearing.result()
        hearing.cancel()
        await asyncio.wait([hearing])
        return self._stopped.result()


def _nothing(message: str) -> Refused:
    return Refused(Reason.NOT_FOUND, message)


def _conflict(message: str) -> Refused:
    return Refused(Reason.CONFLICT, message)
