"""Where speech begins, pauses and goes on, to the frame."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vxml_server.asr.endpointer import (
    _TABLE,
    BATCH_FRAMES,
    LEAD_FRAMES,
    PAUSE_FRAMES,
    Endpoint,
    Endpointer,
    News,
    _Input,
    _State,
)


def told(pattern: str, **limits: int) -> list[tuple[int, Endpoint]]:
    """What is told at which frame of a pattern: `x` is speech, `.` is none. Frames are numbered."""
    endpointer = Endpointer(**limits)
    found = []
    for number, letter in enumerate(pattern):
        frame = np.full(160, number, np.int16)
        if (endpoint := endpointer.feed(frame, letter == "x")) is not None:
            found.append((number, endpoint))
    return found


def numbers(endpoint: Endpoint) -> list[int]:
    return [int(frame[0]) for frame in endpoint.frames]


def test_silence_tells_nothing() -> None:
    assert told("." * 1000) == []


def test_speech_begins_at_its_first_frame_and_brings_what_came_before() -> None:
    [(at, began)] = told("." * 40 + "x")
    assert (at, began.news, began.quiet) == (40, News.BEGAN, 0)
    assert numbers(began) == list(range(40 - LEAD_FRAMES, 41))[-LEAD_FRAMES:]


def test_speech_that_goes_on_is_told_in_batches() -> None:
    found = told("x" * (1 + 3 * BATCH_FRAMES))
    assert [endpoint.news for _, endpoint in found] == [News.BEGAN] + 3 * [News.GOES_ON]
    assert [len(endpoint.frames) for _, endpoint in found] == [1] + 3 * [BATCH_FRAMES]


def test_a_gap_in_a_word_is_no_pause() -> None:
    found = told("xxx" + "." * (PAUSE_FRAMES - 1) + "xxx")
    assert News.PAUSED not in [endpoint.news for _, endpoint in found]


def test_a_pause_is_told_once_with_how_long_it_has_lasted() -> None:
    found = told("xxx" + "." * 60)
    assert [(at, one.news) for at, one in found] == [
        (0, News.BEGAN),
        (2 + PAUSE_FRAMES, News.PAUSED),
    ]
    assert found[1][1].quiet == PAUSE_FRAMES


def test_speech_after_a_pause_brings_the_pause_along() -> None:
    found = told("xxx" + "." * 30 + "x")
    assert [one.news for _, one in found] == [News.BEGAN, News.PAUSED, News.RESUMED]
    assert list(itertools.chain(*(numbers(one) for _, one in found))) == list(range(34))


def test_after_a_long_silence_it_is_a_new_utterance() -> None:
    found = told("xxx" + "." * 200 + "x", end=100)
    assert [one.news for _, one in found] == [News.BEGAN, News.PAUSED, News.BEGAN]
    assert numbers(found[2][1]) == list(range(204 - LEAD_FRAMES, 204))


def test_a_shorter_pause_can_be_asked_for() -> None:
    assert [at for at, one in told("x..........", pause=3) if one.news is News.PAUSED] == [3]


def test_the_table_answers_whatever_can_come() -> None:
    # Quiet is counted: a state that has just heard speech cannot see a lull next.
    impossible = {
        (_State.SPEECH, _Input.LULL),
        (_State.SPEECH, _Input.END),
        (_State.GAP, _Input.END),
        (_State.PAUSE, _Input.QUIET),
    }
    for state, read in itertools.product(_State, _Input):
        assert (read in _TABLE[state]) is ((state, read) not in impossible)


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 40)), max_size=30),
    st.integers(0, 15),
    st.integers(0, 60),
)
def test_every_frame_of_speech_is_told_once_and_in_order(
    runs: list[tuple[bool, int]], pause: int, more: int
) -> None:
    pattern = "".join(".x"[on] * length for on, length in runs)
    found = told(pattern, pause=pause, end=pause + more)
    heard: list[int] = []
    for at, endpoint in found:
        frames = numbers(endpoint)
        assert frames[-1] == at
        assert frames == sorted(set(frames))
        assert pattern[at - endpoint.quiet] == "x"
        assert "x" not in pattern[at - endpoint.quiet + 1 : at + 1]
        if endpoint.news is News.BEGAN:
            assert len(frames) <= LEAD_FRAMES
        elif heard:
            # Nothing is left out within an utterance.
            assert frames[0] == heard[-1] + 1
        heard += frames
    last_told = {number for number in heard if pattern[number] == "x"}
    spoken = {number for number, letter in enumerate(pattern) if letter == "x"}
    # What has not been told is what a batch still waits for.
    assert spoken - last_told <= set(range(len(pattern) - BATCH_FRAMES - max(2, pause), 9999))
    news = [endpoint.news for _, endpoint in found]
    for before, after in itertools.pairwise(news):
        assert (after is News.RESUMED) <= (before is News.PAUSED)
        assert (after in {News.GOES_ON, News.PAUSED}) <= (before is not News.PAUSED)


@pytest.mark.parametrize("letter", [".", "x"])
def test_a_frame_costs_microseconds(letter: str) -> None:
    endpointer, frame = Endpointer(), np.zeros(160, np.int16)
    began = time.process_time()
    for _ in range(2000):
        endpointer.feed(frame, letter == "x")
    assert (time.process_time() - began) / 2000 < 50e-6
