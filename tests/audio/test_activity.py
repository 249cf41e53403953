"""Speech, noise and clicks are told apart by energy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vxml_server.audio import SpeechActivity


def noise(level_dbfs: float, frames: int) -> NDArray[np.int16]:
    samples = np.random.default_rng(3).standard_normal((frames, 160)) * 32768
    return (samples * 10 ** (level_dbfs / 20)).astype(np.int16)


def active(*parts: NDArray[np.int16]) -> list[bool]:
    activity = SpeechActivity()
    return [activity.feed(frame) for frame in np.concatenate(parts)]


def test_a_voice_is_noticed_within_three_frames() -> None:
    assert active(noise(-70, 50), noise(-25, 5))[50:] == [False, False, True, True, True]


def test_a_click_is_no_speech() -> None:
    assert not any(active(noise(-70, 10), noise(-20, 2), noise(-70, 10)))


def test_a_quiet_line_is_silent_and_so_is_a_noisy_one() -> None:
    assert not any(active(noise(-60, 500)))
    # Noise that was there before anybody spoke is learnt.
    assert not any(active(noise(-45, 2000))[1500:])


def test_a_voice_is_heard_over_the_noise_of_a_street() -> None:
    assert all(active(noise(-50, 1000), noise(-30, 50))[1003:])
