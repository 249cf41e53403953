"""A contact centre without a database, as the web sees it."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.queues.contact_centre import TODAY, ContactCentre, agent, queue
from vxml_server.queues import (
    Agent,
    BadPin,
    Board,
    Box,
    Definition,
    Group,
    IsDeclared,
    Kind,
    NoSuchAgent,
    Presence,
    Queue,
    Report,
    Standing,
    kind_of,
)
from vxml_server.store import StoreError

_DAY = datetime(2026, 1, 1, tzinfo=UTC)
_KINDS = {"agent": Agent, "box": Box, "group": Group, "queue": Queue}


class FakeCentre:
    """`world` does what telephones and callers would."""

    def __init__(self) -> None:
        self.world = ContactCentre(
            [agent("ann", skills={"loans": 50}), agent("bob"), agent("cyd")],
            [queue("sales", ["ann", "bob"]), queue("empty")],
            [Group("team", ("ann", "cyd"))],
        )
        self.declared: set[tuple[Kind, str]] = set()
        self.pins: dict[str, str] = {}
        self.day = TODAY
        self.database_answers = True

    @property
    def board(self) -> Board:
        return self.world.board

    def now(self) -> float:
        return self.world.now

    def today(self) -> str:
        return self.day

    def standing(self, entry_id: str) -> Standing | None:
        entry = self.board.entries.get(entry_id)
        if entry is None:
            return None
        waiting = self.board.waiting([entry.queue])
        place = sorted(one.entry.entered_at for one in waiting).index(entry.entered_at) + 1
        wait = 30.0 * place if self.board.row("ann").presence is Presence.AVAILABLE else None
        elapsed = self.now() - entry.entered_at
        return Standing(entry.queue, place, len(waiting), wait, 1, elapsed)

    async def present(self, agent: str, presence: Presence, reason: str = "", by: str = "") -> None:
        self._ask()
        if agent not in self.board.agents:
            raise NoSuchAgent(agent)
        self.world.present(agent, presence, reason)

    async def release(self, agent: str) -> bool:
        self._ask()
        return self.world.release(agent)

    async def set_pin(self, agent: str, pin: str) -> None:
        self._ask()
        if not pin.isdigit():
            raise BadPin("expected digits")
        self.pins[agent] = pin

    async def remove_pin(self, agent: str) -> bool:
        self._ask()
        return self.pins.pop(agent, None) is not None

    async def define(self, definition: Definition) -> bool:
        self._ask()
        self._check_undeclared(kind_of(definition), definition.name)
        known, key = self._definitions(), (type(definition), definition.name)
        self._define({**known, key: definition})
        return key not in known

    async def undefine(self, kind: Kind, name: str) -> bool:
        self._ask()
        self._check_undeclared(kind, name)
        known = self._definitions()
        found = known.pop((_KINDS[kind], name), None)
        self._define(known)
        return found is not None

    def is_declared(self, kind: Kind, name: str) -> bool:
        return (kind, name) in self.declared

    def _check_undeclared(self, kind: Kind, name: str) -> None:
        if self.is_declared(kind, name):
            raise IsDeclared

    def _ask(self) -> None:
        if not self.database_answers:
            raise StoreError

    def _definitions(self) -> dict[tuple[type, str], Definition]:
        board = self.board
        known: list[Definition] = [one.profile for one in board.agents.values()]
        known += [*board.groups.values(), *board.queues.values(), *board.boxes.values()]
        return {(type(one), one.name): one for one in known}

    def _define(self, known: dict[tuple[type, str], Definition]) -> None:
        self.board.define(
            [one for one in known.values() if isinstance(one, Agent)],
            [one for one in known.values() if isinstance(one, Group)],
            [one for one in known.values() if isinstance(one, Queue)],
            [one for one in known.values() if isinstance(one, Box)],
        )


class FakeStatistics:
    """Figures that the test says; `asked` is what the last report was asked for."""

    def __init__(self) -> None:
        self.levels: dict[str, float] = {}
        self.answer: Report | Exception = Report(_DAY, _DAY, (), ())
        self.asked: list[object] = []

    def service_levels(self) -> dict[str, float]:
        return self.levels

    async def report(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        minutes: int | None = None,
        *,
        queue: str | None = None,
        agent: str | None = None,
    ) -> Report:
        self.asked = [start, end, minutes, queue, agent]
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer
