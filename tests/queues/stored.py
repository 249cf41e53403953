"""The histories of `machine`, each of their changes stored by a ledger in SQLite.

The rule that must hold besides: what the board says is what the database says, always.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable

from hypothesis.stateful import invariant

from tests.queues.contact_centre import ContactCentre
from tests.queues.machine import AGENTS, GROUPS, QUEUES, QueueMachine
from vxml_server.clock import VirtualClock
from vxml_server.queues.ledger import Ledger
from vxml_server.queues.profiles import Agent, Group, Queue
from vxml_server.queues.rows import Change
from vxml_server.store import Store


class StoredContactCentre(ContactCentre):
    """A contact centre whose changes are stored first."""

    def __init__(
        self, agents: Iterable[Agent], queues: Iterable[Queue], groups: Iterable[Group] = ()
    ) -> None:
        super().__init__(agents, queues, groups)
        self._runner = asyncio.Runner()
        self._folder = tempfile.TemporaryDirectory()
        url = f"sqlite+aiosqlite:///{self._folder.name}/queues.db"
        self._store = self._runner.run(Store.open(url, VirtualClock()))
        self._ledger = Ledger(self._store, "main.1")
        self._checked = 0

    def do(self, change: Change) -> None:
        if change != Change():
            assert self._runner.run(self._ledger.commit(change)), "nobody else changes anything"
        super().do(change)

    def check(self) -> None:
        """The board is what is stored."""
        if self._checked == len(self.changes):
            return
        self._checked = len(self.changes)
        stored = self._runner.run(self._ledger.load())
        board = self.board
        assert {row.name: row for row in stored.rows.agents} == {
            row.name: row for row in board.rows()
        }
        assert {row.id: row for row in stored.rows.entries} == board.entries
        assert {row.id: row for row in stored.rows.offers} == board.offers
        assert stored.cursors == board.cursors
        assert stored.seq == len(self.facts)

    def close(self) -> None:
        self._runner.run(self._store.close())
        self._runner.close()
        self._folder.cleanup()


class StoredMachine(QueueMachine):
    """As `QueueMachine`, stored."""

    def __init__(self) -> None:
        super().__init__()
        self.stored = StoredContactCentre(AGENTS, QUEUES, GROUPS)
        self.centre = self.stored

    @invariant()
    def what_is_stored_is_what_is_on_the_board(self) -> None:
        self.stored.check()

    def teardown(self) -> None:
        try:
            super().teardown()
            self.stored.check()
        finally:
            self.stored.close()
