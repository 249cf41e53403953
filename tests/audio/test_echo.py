"""What may be the echo of what is sent, and what is too loud for that."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from tests.media.world import sine
from vxml_server.audio import EchoGuard, rms_dbfs
from vxml_server.audio.echo import LONGEST_FRAMES, LOSS_DB

QUIET = np.zeros(160, np.int16)
PROMPT = sine(0.02, level=6000)


def floors(sent: list[npt.NDArray[np.int16]]) -> list[float]:
    guard = EchoGuard()
    return [guard.floor(frame) for frame in sent]


def test_while_nothing_is_sent_nothing_is_echo() -> None:
    assert max(floors([QUIET] * 50)) < -100


def test_echo_is_what_is_that_much_weaker_than_the_prompt() -> None:
    assert floors([PROMPT])[0] == pytest.approx(rms_dbfs(PROMPT) - LOSS_DB, abs=0.1)


@pytest.mark.parametrize("late", [1, LONGEST_FRAMES])
def test_echo_that_comes_late_is_echo_still(late: int) -> None:
    assert floors([PROMPT, *[QUIET] * late])[-1] == pytest.approx(rms_dbfs(PROMPT) - LOSS_DB)


def test_after_the_prompt_a_quiet_voice_is_heard_again() -> None:
    assert floors([PROMPT, *[QUIET] * (LONGEST_FRAMES + 1)])[-1] < -100
