"""Threads that may be given up."""

from __future__ import annotations

import threading
from queue import SimpleQueue

import pytest

from vxml_server.asr import ThreadWorkers

SOON = 10.0
"""Seconds after which a test gives up."""


def test_work_is_done_by_as_many_threads_as_there_may_be() -> None:
    workers, together = ThreadWorkers(2), threading.Barrier(3)
    workers.submit(lambda: together.wait(SOON))
    workers.submit(lambda: together.wait(SOON))
    together.wait(SOON)
    workers.close()


def test_threads_are_used_again() -> None:
    workers, threads = ThreadWorkers(4), SimpleQueue[int]()
    for _ in range(8):
        workers.submit(lambda: threads.put(threading.get_ident()))
        threads.get(timeout=SOON)
    assert threading.active_count() < 40
    workers.close()


def test_a_thread_that_does_not_come_back_is_replaced_while_there_are_spare_ones() -> None:
    workers, done, stuck = ThreadWorkers(1, spare=1), SimpleQueue[str](), threading.Event()
    hanging = workers.submit(lambda: stuck.wait(SOON))
    workers.submit(lambda: done.put("next"))
    assert done.empty()
    assert workers.abandon(hanging)
    assert done.get(timeout=SOON) == "next"
    assert not workers.abandon(workers.submit(lambda: stuck.wait(SOON)))
    stuck.set()
    workers.close()


@pytest.mark.parametrize("spare", [0, 1])
def test_threads_that_come_back_late_are_there_again(spare: int) -> None:
    workers = ThreadWorkers(1, spare=spare)
    for _ in range(3):
        begun, stuck, back = threading.Event(), threading.Event(), SimpleQueue[threading.Thread]()

        def hang(
            begun: threading.Event = begun,
            stuck: threading.Event = stuck,
            back: SimpleQueue[threading.Thread] = back,
        ) -> None:
            begun.set()
            stuck.wait(SOON)
            back.put(threading.current_thread())

        job = workers.submit(hang)
        assert begun.wait(SOON)
        assert workers.abandon(job) is bool(spare)
        stuck.set()
        late = back.get(timeout=SOON)
        if spare:
            late.join(SOON)
            assert not late.is_alive()
    done = threading.Event()
    workers.submit(done.set)
    assert done.wait(SOON)
    workers.close()


def test_a_job_that_was_done_when_it_is_given_up_costs_no_thread() -> None:
    workers, done = ThreadWorkers(1, spare=0), threading.Event()
    job = workers.submit(lambda: None)
    workers.submit(done.set)
    assert done.wait(SOON)
    assert workers.abandon(job)
    workers.close()


def test_a_thread_that_was_given_up_takes_no_more_work() -> None:
    workers, done, stuck = ThreadWorkers(1, spare=1), SimpleQueue[int](), threading.Event()
    given_up = SimpleQueue[int]()

    def hang() -> None:
        stuck.wait(SOON)
        given_up.put(threading.get_ident())

    job = workers.submit(hang)
    workers.abandon(job)
    stuck.set()
    lost = given_up.get(timeout=SOON)
    for _ in range(20):
        workers.submit(lambda: done.put(threading.get_ident()))
    assert lost not in {done.get(timeout=SOON) for _ in range(20)}
    workers.close()


def test_what_was_given_is_done_before_the_end_and_what_hangs_is_left() -> None:
    workers, done, stuck = ThreadWorkers(1), SimpleQueue[str](), threading.Event()
    job = workers.submit(lambda: stuck.wait(SOON))
    workers.abandon(job)
    workers.submit(lambda: done.put("done"))
    workers.close()
    assert done.get(timeout=SOON) == "done"
    stuck.set()


def test_threads_end_when_they_are_closed() -> None:
    workers, threads = ThreadWorkers(2), SimpleQueue[threading.Thread]()
    workers.submit(lambda: threads.put(threading.current_thread()))
    thread = threads.get(timeout=SOON)
    workers.close()
    thread.join(SOON)
    assert not thread.is_alive()
