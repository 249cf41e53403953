"""Any history of a contact centre keeps what must hold, in memory."""

from __future__ import annotations

from hypothesis import settings

from tests.queues.machine import QueueMachine

TestHistories = QueueMachine.TestCase
TestHistories.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
