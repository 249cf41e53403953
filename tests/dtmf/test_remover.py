"""What leaves a remover is compared with what went in, the delay taken off."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from vxml_server.dtmf import KEYS, DtmfDetector, ToneMute, ToneRemover, dial, silence, tone

DELAY = 320
Samples = npt.NDArray[np.int16]


def removed(samples: Samples, remover: ToneRemover | None = None) -> Samples:
    """The output for `samples`, in step with them."""
    remover = remover or ToneRemover()
    padded = np.concatenate((samples, silence(80)))
    frames = padded[: len(padded) // 160 * 160].reshape(-1, 160)
    return np.concatenate([remover.feed(frame) for frame in frames])[DELAY:][: len(samples)]


def heard(samples: Samples) -> str:
    detector = DtmfDetector()
    padded = np.concatenate((samples, silence(80)))
    frames = padded[: len(padded) // 160 * 160].reshape(-1, 160)
    return "".join(detector.feed(frame) for frame in frames)


def voice(seconds: float, seed: int = 3) -> Samples:
    """Harmonics at a changing pitch: no key in it."""
    time = np.arange(round(8000 * seconds)) / 8000
    random = np.random.default_rng(seed)
    pitch = 130 + 30 * np.sin(2 * np.pi * 1.3 * time)
    phase = np.cumsum(2 * np.pi * pitch) / 8000
    waves = [np.sin(k * phase + random.uniform(0, 6)) / k for k in range(1, 15)]
    return (3000 * np.sum(waves, axis=0)).astype(np.int16)


@pytest.mark.parametrize("place", range(0, 160, 20))
@pytest.mark.parametrize("on", [40, 47, 65, 100, 333])
def test_no_sample_of_a_clean_key_leaves(place: int, on: int) -> None:
    lead = np.zeros(800 + place, np.int16)
    samples = np.concatenate((lead, tone("5", on), silence(200)))
    assert not removed(samples).any()


def test_keys_in_a_row_leave_nothing_to_read() -> None:
    number = dial(KEYS, 60, 60)
    assert heard(number) == KEYS
    assert not removed(np.concatenate((silence(53), number))).any()


def test_of_a_key_in_noise_less_than_20_ms_leave() -> None:
    random = np.random.default_rng(1)
    worst = 0
    for number in range(64):
        key = tone(KEYS[number % 16], 100, -12, 0, phases=(number, number / 3))
        lead = np.zeros(random.integers(400, 560), np.int16)
        clean = np.concatenate((lead, key, silence(200)))
        noisy = clean + random.normal(0, 600, len(clean)).astype(np.int16)  # S/N 15 dB or so
        out = removed(noisy)
        worst = max(worst, int(np.count_nonzero(out[len(lead) : len(lead) + len(key)])))
    assert worst <= 160


def test_an_interruption_within_a_key_does_not_let_it_out() -> None:
    key = tone("8", 300).copy()
    key[900:980] = 0
    samples = np.concatenate((silence(61), key, silence(200)))
    assert not removed(samples).any()


def test_sound_without_keys_passes_unchanged_after_40_ms() -> None:
    samples = voice(2)
    assert heard(samples) == ""
    assert np.array_equal(removed(samples), samples)


def test_speech_before_and_after_a_key_passes_but_for_less_than_60_ms_each() -> None:
    before, after = voice(0.5), voice(0.5, seed=4)
    out = removed(np.concatenate((before, tone("2", 100, -6), after)))
    kept = len(before) - 480
    assert np.array_equal(out[:kept], before[:kept])
    assert np.array_equal(out[-len(after) + 480 :], after[480:])
    assert heard(out) == ""


def test_sound_rises_after_what_was_silenced() -> None:
    mute = ToneMute()
    loud = np.full(160, 8000, np.int16)
    flags = [False, False, False, False, True, False, False, False, False]
    out = [mute.feed(loud, flag) for flag in flags]
    assert not out[0].any()  # the delay
    assert not out[1].any()
    assert np.array_equal(out[2], loud)
    # Told in the fifth frame, it silences the third to the fifth; the second has left in full.
    assert np.array_equal(out[3], loud)
    assert not any(out[n].any() for n in (4, 5, 6))
    assert 0 < out[7][0] < 100
    assert np.all(np.diff(out[7][:24]) >= 0)
    assert np.array_equal(out[7][24:], loud[24:])
    assert np.array_equal(out[8], loud)


def test_without_a_delay_only_what_follows_the_decision_is_silenced() -> None:
    mute = ToneMute(delay=0)
    loud = np.full(160, 8000, np.int16)
    assert np.array_equal(mute.feed(loud, False), loud)
    assert not mute.feed(loud, True).any()


def test_what_is_fed_is_not_changed() -> None:
    frame = tone("1", 20)
    before = frame.copy()
    remover = ToneRemover()
    for _ in range(5):
        remover.feed(frame)
    assert np.array_equal(frame, before)
