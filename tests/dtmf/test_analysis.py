from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vxml_server.dtmf import KEYS, tone
from vxml_server.dtmf.analysis import MAX_GAP, MAX_GAP_AROUND_LOSS, MAX_LOST, LookBack, last_run

BLOCKS = 25
SIGNS = {"#": (1, 0), ".": (0, 0), "?": (0, 1)}  # present, absent, lost


def run_of(picture: str) -> tuple[int, int]:
    present, lost = (
        sum(SIGNS[sign][which] << place for place, sign in enumerate(picture)) for which in (0, 1)
    )
    return last_run(present, lost)


@pytest.mark.parametrize(
    ("picture", "run"),
    [
        ("", (0, -1)),
        (".........", (0, -1)),
        ("###......", (0, 2)),
        ("..###..##", (2, 8)),
        ("##.....##", (0, 8)),  # a gap of 20 ms
        ("##......##", (8, 9)),  # one of 24 ms
        ("#..#......##..##", (10, 15)),
        ("##?????##", (0, 8)),
        ("##??????????##", (0, 13)),
        ("##.?????.##", (0, 10)),
        ("##..?????.##", (10, 11)),  # of a pause, some was lost
        ("##???????????????##", (17, 18)),
    ],
)
def test_the_last_run_closes_short_gaps_and_lost_frames(picture: str, run: tuple[int, int]) -> None:
    assert run_of(picture) == run


@given(st.text("#.?", max_size=BLOCKS))
def test_the_last_run_is_what_closing_gap_by_gap_makes(picture: str) -> None:
    """The same by other means: presences as matches of a pattern, joined from the last one back."""
    presences = [match.span() for match in re.finditer("#+", picture)]
    start, end = presences[-1] if presences else (0, 0)
    for earlier, last in reversed(presences[:-1]):
        gap = picture[last:start]
        lost, absent = gap.count("?"), gap.count(".")
        if lost > MAX_LOST or absent > (MAX_GAP_AROUND_LOSS if lost else MAX_GAP):
            break
        start = earlier
    assert run_of(picture) == (start, end - 1)


@pytest.mark.parametrize("key", KEYS)
def test_a_tone_measures_as_what_it_is(key: str) -> None:
    samples = np.zeros(800, np.float32)
    samples[320:720] = tone(key, 50, -20, 3, deviation=(0.004, 0.012))
    look = LookBack(samples[np.newaxis], np.array([KEYS.index(key)]))
    assert abs(int(look.start[0]) - 10) <= 1
    assert abs(int(look.end[0]) - 22) <= 1
    _, share, deviation, twist, level = look.measures()[:, 0]
    assert share > 0.98
    assert deviation == pytest.approx(0.012, abs=0.0015)
    assert 20 * np.log10(twist) == pytest.approx(3, abs=0.5)
    assert 20 * np.log10(level / 32768) + 3.17 == pytest.approx(-20, abs=0.5)


def test_a_run_that_is_mostly_gaps_counts_as_short() -> None:
    """Far off nominal, only the blocks at both ends pass for presence; they prove nothing."""
    samples = np.zeros((100, 800), np.float32)
    for number, row in enumerate(samples):
        phases = (number % 10 * 0.63, number // 10 * 0.63)
        row[548:] = tone("B", 31.5, -10, 0, deviation=0.05, phases=phases)
    look = LookBack(samples, np.full(100, KEYS.index("B")))
    long = look.length >= 8
    assert long.any()
    assert (look.measures()[0, long] < 5).any()
    assert not look.are_digits().any()


def test_nothing_at_all_is_no_digit() -> None:
    look = LookBack(np.zeros((2, 800), np.float32), np.array([0, 15]))
    assert look.length.tolist() == [0, 0]
    assert not look.are_digits().any()
