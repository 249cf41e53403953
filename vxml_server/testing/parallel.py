"""Many tests on all cores, their results in order.

Dialogues are work for the processor, on virtual time; beyond a number of them the work is shared
among processes. Whoever reads the results sees no difference.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import chain
from typing import TypeVar

from vxml_server.testing.results import Result

Job = TypeVar("Job")

FEW = 50
"""So many tests are done before other processes would have started."""
CHUNK = 20


def in_order(
    jobs: Sequence[Job],
    perform: Callable[[Sequence[Job]], list[Result]],
    *,
    workers: int | None = None,
) -> Iterator[Result]:
    """The results of `jobs`, in their order, as they come.

    `perform` takes some of the jobs and returns a result for each; it must be a function of a
    module, and jobs must be picklable. `workers` is the number of processes; None is one for each
    processor that this process may use, when there are more than `FEW` jobs.
    """
    if workers is None:
        workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        workers = workers if len(jobs) > FEW else 1
    if workers <= 1 or len(jobs) <= 1:
        yield from perform(jobs)
        return
    chunks = [jobs[start : start + CHUNK] for start in range(0, len(jobs), CHUNK)]
    # A fresh interpreter each: a copy of this one would hold its threads' locks.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(chunks)), mp_context=context) as pool:
        yield from chain.from_iterable(pool.map(perform, chunks))
