"""Threads for work that may never come back.

Not an executor of the standard library: those wait for their threads at exit, and a thread that
hangs in an engine would keep its place for ever. Here a job can be given up: another thread takes
the place of its own, while there are spare ones.

The rule: what a thread took is given back when it returns, however late. One that was replaced
ends, and there is a spare one again; one that was not goes on to the next job.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Protocol

# How long threads that are to end are waited for, in seconds.
_GOODBYE = 1.0
Work = Callable[[], object]


class Job:
    """Work on its way through a thread; what it leaves behind is the work's own matter."""

    __slots__ = ("is_done", "is_replaced", "work")

    def __init__(self, work: Work) -> None:
        self.work = work
        self.is_done = False
        self.is_replaced = False
        """Whether another thread took the place of the one that it hangs in."""


class Workers(Protocol):
    """Who does work beside the event loop."""

    def submit(self, work: Work) -> Job:
        """Has `work` done by some thread; it must not raise."""

    def abandon(self, job: Job) -> bool:
        """Gives up a job that does not come back; False when its thread cannot be replaced, and is
        missing until the job is done after all."""

    def close(self) -> None:
        """Ends the threads when they have done what they were given; one that hangs is left."""


class ThreadWorkers:
    """Daemon threads, started when they are first needed."""

    def __init__(self, threads: int, *, spare: int | None = None, name: str = "asr") -> None:
        self._limit = threads
        self._spare = threads if spare is None else spare
        self._name = name
        self._lock = threading.Lock()
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._threads = 0
        """Threads that take work: those given up are none of them."""
        self._running: set[threading.Thread] = set()
        self._idle = 0
        self._is_closed = False

    def submit(self, work: Work) -> Job:
        job = Job(work)
        with self._lock:
            if self._idle <= self._jobs.qsize() and self._threads < self._limit:
                self._start()
            self._jobs.put(job)
        return job

    def abandon(self, job: Job) -> bool:
        with self._lock:
            if job.is_done:  # meanwhile
                return True
            if not self._spare or self._is_closed:
                return False
            job.is_replaced = True
            self._spare -= 1
            self._start()
            self._threads -= 1
            return True

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            threads = tuple(self._running)
            for _ in threads:
                self._jobs.put(None)
        for thread in threads:
            thread.join(_GOODBYE / len(threads))

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._threads += 1
        self._running.add(thread)
        thread.start()

    def _run(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            job = self._jobs.get()
            with self._lock:
                self._idle -= 1
            if job is None:
                return
            job.work()
            with self._lock:
                job.is_done = True
                if job.is_replaced:
                    self._spare += 1
                    self._running.discard(threading.current_thread())
                    return
