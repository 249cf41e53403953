"""Any history of a contact centre keeps what must hold, in memory and in a database."""

from __future__ import annotations

import os

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.queues.machine import QueueMachine
from tests.queues.stored import StoredMachine

HISTORIES = int(os.environ.get("HISTORIES", "80"))


def test_whatever_happens_in_memory_the_rules_hold() -> None:
    run_state_machine_as_test(
        QueueMachine,
        settings=settings(
            max_examples=HISTORIES, stateful_step_count=40, deadline=None, database=None
        ),
    )


def test_whatever_happens_and_is_stored_the_rules_hold() -> None:
    # A step that is stored costs a hundred times one in memory.
    run_state_machine_as_test(
        StoredMachine,
        settings=settings(
            max_examples=max(6, HISTORIES // 40),
            stateful_step_count=25,
            deadline=None,
            database=None,
        ),
    )
