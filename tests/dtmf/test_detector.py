"""The detector under the conditions of ITU-T Q.24, ETSI ES 201 235-3 and Bellcore TR-TSY-181.

Each condition sends strings of random keys through G.711 on a bank of channels, every channel with
its own phases and its own place within the frame, and compares what was heard.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from vxml_server.audio import decode_alaw, decode_ulaw, encode_alaw, encode_ulaw
from vxml_server.dtmf import KEYS, DtmfBank, DtmfDetector, silence, tone

CHANNELS = 48
STRING = 8
Signal = npt.NDArray[np.int16]
Change = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]


def string_of(
    keys: str,
    random: np.random.Generator,
    *,
    on: float = 100,
    off: float = 100,
    level: float = -10.0,
    twist: float = 0.0,
    deviation: float | tuple[float, float] = 0.0,
) -> Signal:
    """A string of digits after 50 to 70 ms of silence; `level` is that of the louder tone."""
    parts = [np.zeros(random.integers(400, 560), np.int16)]
    for key in keys:
        phases = (random.uniform(0, 6.28), random.uniform(0, 6.28))
        low = level - max(twist, 0)
        parts += [tone(key, on, low, twist, deviation=deviation, phases=phases), silence(off)]
    return np.concatenate((*parts, silence(200)))


def listen(
    signals: list[Signal], lost: Callable[[int], npt.NDArray[np.bool_]] | None = None
) -> list[str]:
    """What a bank hears, one channel a signal; `lost(tick)` names the channels that lose it."""
    frames = max(len(signal) for signal in signals) // 160 + 1
    samples = np.zeros((len(signals), frames * 160), np.int16)
    for channel, signal in enumerate(signals):
        samples[channel, : len(signal)] = signal
    bank = DtmfBank(len(signals))
    heard = [""] * len(signals)
    for tick in range(frames):
        frame = samples[:, tick * 160 : tick * 160 + 160].copy()
        gone = None if lost is None else lost(tick)
        if gone is not None:
            frame[gone] = 0
        for channel, keys in enumerate(bank.feed(frame, gone)):
            heard[channel] += keys
    return heard


def heard_share(change: Change | None = None, law: str = "u", seed: int = 1, **how: float) -> float:
    """The share of channels that heard their whole string and nothing else."""
    random = np.random.default_rng(seed)
    sent = ["".join(random.choice(list(KEYS), STRING)) for _ in range(CHANNELS)]
    signals = []
    for keys in sent:
        signal = string_of(keys, random, **how)
        if change is not None:
            signal = np.clip(change(signal.astype(float)), -32768, 32767).astype(np.int16)
        coded = decode_ulaw(encode_ulaw(signal)) if law == "u" else decode_alaw(encode_alaw(signal))
        signals.append(coded)
    return sum(h == s for h, s in zip(listen(signals), sent, strict=True)) / CHANNELS


def heard_digits(seed: int = 1, **how: float) -> int:
    """How many digits were heard in all channels."""
    random = np.random.default_rng(seed)
    sent = ["".join(random.choice(list(KEYS), STRING)) for _ in range(CHANNELS)]
    return sum(len(keys) for keys in listen([string_of(s, random, **how) for s in sent]))


def rms_of(level: float) -> float:
    return float(32768 * 10 ** ((level - 3.17) / 20) / np.sqrt(2))


def noise(below: float, level: float = -10.0, seed: int = 5) -> Change:
    """Adds white noise `below` decibels under the power of both tones at `level` dBm0."""
    random = np.random.default_rng(seed)
    rms = 32768 * 10 ** ((level - 3.17 - below) / 20)
    return lambda samples: samples + random.normal(0, rms, len(samples))


def test_a_soft_tone_after_a_loud_one_is_judged_by_its_own_level() -> None:
    """The high tone of the second key is 12 dB below that of the first."""
    random = np.random.default_rng(9)
    signals = []
    for _ in range(CHANNELS):
        phases = (random.uniform(0, 6.28), random.uniform(0, 6.28))
        loud = tone("2", 40, -28, 8, phases=phases)
        soft = tone("2", 40, -24, -8, phases=phases)
        lead = np.zeros(random.integers(400, 560), np.int16)
        signals.append(np.concatenate((lead, loud, silence(40), soft, silence(100))))
    assert listen(signals) == ["22"] * CHANNELS


def test_an_echo_of_a_key_in_the_pause_does_not_join_it_to_the_next() -> None:
    random = np.random.default_rng(10)
    signals = []
    for _ in range(CHANNELS):
        clear = string_of("444", random, on=80, off=80).astype(float)
        clear[160:] += clear[:-160] / 2
        signals.append(clear.astype(np.int16))
    assert listen(signals) == ["444"] * CHANNELS


def test_a_bank_tells_where_a_reported_key_sounds() -> None:
    bank = DtmfBank(2)
    frames = np.concatenate((silence(40), tone("6", 100), silence(100))).reshape(-1, 160)
    sounding = []
    for frame in frames:
        bank.feed(np.stack((frame, np.zeros(160, np.int16))))
        sounding.append(bank.sounding.tolist())
    # The key is in frames 2 to 6 and reported in the fourth; the frame after it may have an end.
    assert [here for here, _ in sounding] == [False] * 3 + [True] * 5 + [False] * 4
    assert not any(there for _, there in sounding)


@pytest.mark.parametrize("key", KEYS)
def test_each_key_is_heard_once_while_it_lasts(key: str) -> None:
    detector = DtmfDetector()
    samples = np.concatenate((silence(47), tone(key, 2000), silence(193)))
    heard = [detector.feed(frame) for frame in samples.reshape(-1, 160)]
    assert "".join(heard) == key
    onset = 47 / 20
    assert heard.index(key) + 1 - onset <= 60 / 20


@pytest.mark.parametrize("law", ["u", "a"])
def test_digits_and_pauses_of_40_ms_are_heard_in_both_laws(law: str) -> None:
    assert heard_share(law=law, on=40, off=40) == 1.0


@pytest.mark.parametrize("level", [0, -10, -20, -30, -35])
def test_levels_down_to_minus_35_dbm0_are_heard(level: float) -> None:
    assert heard_share(level=level, on=50, off=50) == 1.0


@pytest.mark.parametrize("level", [-45, -55])
def test_levels_of_minus_45_dbm0_and_less_are_not_heard(level: float) -> None:
    assert heard_digits(level=level) == 0


@pytest.mark.parametrize("on", [40, 100])
@pytest.mark.parametrize("deviation", [0.015, -0.015, (0.015, -0.015), (0.018, 0.018)])
def test_frequencies_off_by_up_to_one_and_a_half_percent_are_heard(
    deviation: float, on: float
) -> None:
    assert heard_share(deviation=deviation, on=on) == 1.0


@pytest.mark.parametrize("on", [40, 100, 300])
@pytest.mark.parametrize("deviation", [0.035, -0.035, (0.035, 0.0), (0.0, -0.035), 0.05, -0.05])
def test_frequencies_off_by_three_and_a_half_percent_are_not_heard(
    deviation: float, on: float
) -> None:
    assert heard_digits(deviation=deviation, on=on) == 0


@pytest.mark.parametrize("twist", [-10, -8, -4, 4, 8, 10])
def test_twist_is_heard_in_either_direction(twist: float) -> None:
    assert heard_share(twist=twist, on=50) == 1.0


@pytest.mark.parametrize("twist", [-16, 16])
def test_one_tone_far_above_the_other_is_no_digit(twist: float) -> None:
    assert heard_digits(twist=twist) == 0


@pytest.mark.parametrize("on", [10, 15, 20, 22])
def test_tones_under_23_ms_are_not_heard(on: float) -> None:
    assert heard_digits(on=on) == 0


def test_tones_of_23_ms_are_next_to_never_heard() -> None:
    assert heard_digits(on=23) <= 0.005 * CHANNELS * STRING


@pytest.mark.parametrize("gap", [5, 10, 15])
def test_a_short_interruption_does_not_make_two_digits(gap: int) -> None:
    random = np.random.default_rng(2)
    signals = []
    for _ in range(CHANNELS):
        key = tone("5", 120).copy()
        start = random.integers(300, 600)
        key[start : start + gap * 8] = 0
        signals.append(np.concatenate((silence(random.uniform(50, 70)), key, silence(100))))
    assert listen(signals) == ["5"] * CHANNELS


def test_the_same_key_after_a_pause_of_40_ms_is_a_second_digit() -> None:
    random = np.random.default_rng(3)
    signals = [string_of("77777", random, on=60, off=40) for _ in range(CHANNELS)]
    assert listen(signals) == ["77777"] * CHANNELS


@pytest.mark.parametrize(("below", "on"), [(15, 40), (9, 50), (6, 50)])
def test_digits_are_heard_above_noise(below: float, on: float) -> None:
    assert heard_share(noise(below), on=on) == 1.0


def test_a_key_is_heard_under_a_voice_6_db_below_it() -> None:
    time = np.arange(8000 * 4) / 8000
    phase = np.cumsum(2 * np.pi * (140 + 40 * np.sin(7 * time))) / 8000
    voice = np.sum([np.sin(k * phase) / k for k in range(1, 20)], axis=0)
    voice *= rms_of(-10) * np.sqrt(2) * 10 ** (-6 / 20) / voice.std()
    assert heard_share(lambda samples: samples + voice[: len(samples)]) >= 0.95


def test_everything_at_its_limit_at_once_is_heard() -> None:
    share = heard_share(
        noise(15, level=-22.0), on=40, off=40, level=-20, deviation=(0.015, -0.015), twist=-4
    )
    assert share >= 0.95


@pytest.mark.parametrize("dial", [(350, 440), (425,), (400, 450)])
def test_digits_are_heard_over_a_dial_tone(dial: tuple[float, ...]) -> None:
    def add(samples: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        time = np.arange(len(samples)) / 8000
        return samples + sum(7000 * np.sin(2 * np.pi * frequency * time) for frequency in dial)

    assert heard_share(add, level=-15) == 1.0


def test_a_lost_frame_within_a_digit_does_not_hide_or_double_it() -> None:
    random = np.random.default_rng(4)
    signals = [string_of("3", random, on=140) for _ in range(CHANNELS)]
    # every channel loses another frame of the digit, which lies in frames 3 to 10
    which = 4 + np.arange(CHANNELS) % 5
    assert listen(signals, lambda tick: which == tick) == ["3"] * CHANNELS


@pytest.mark.parametrize("share", [0.01, 0.02])
def test_lost_frames_that_the_network_reports_do_little_harm(share: float) -> None:
    random = np.random.default_rng(6)
    sent = ["".join(random.choice(list(KEYS), STRING)) for _ in range(CHANNELS)]
    signals = [string_of(keys, random) for keys in sent]
    heard = listen(signals, lambda _: random.random(CHANNELS) < share)
    right = sum(h == s for h, s in zip(heard, sent, strict=True))
    assert right >= 0.98 * CHANNELS


@pytest.mark.parametrize(("frames", "heard"), [(1, "3"), (3, "3"), (4, "3"), (8, "33")])
def test_a_long_key_goes_on_after_frames_lost_in_a_row_if_not_too_many(
    frames: int, heard: str
) -> None:
    random = np.random.default_rng(7)
    signals = [string_of("3", random, on=500) for _ in range(CHANNELS)]
    gone = np.ones(CHANNELS, np.bool_)
    assert listen(signals, lambda tick: gone & (12 <= tick < 12 + frames)) == [heard] * CHANNELS


def test_a_key_that_ended_before_the_frames_were_lost_does_not_go_on_after_them() -> None:
    parts = silence(60), tone("3", 88), silence(52), tone("3", 100), silence(60)
    lost = {8, 9}  # in the pause, which began 12 ms before
    assert listen([np.concatenate(parts)], lambda tick: np.array([tick in lost])) == ["33"]


def test_what_replaces_a_lost_frame_is_not_listened_to() -> None:
    bank = DtmfBank(1)
    frames = tone("9", 200).reshape(1, -1)
    gone = np.array([True])
    assert [bank.feed(frames[:, n : n + 160], gone) for n in range(0, 1600, 160)] == [[""]] * 10


def test_digits_parted_by_lost_frames_and_silence_stay_two() -> None:
    signal = np.concatenate((silence(60), tone("6", 80), silence(60), tone("6", 80), silence(60)))
    lost = {7}  # in the pause
    assert listen([signal], lambda tick: np.array([tick in lost])) == ["66"]


@pytest.mark.parametrize(
    "frequencies",
    [(1000,), (697,), (1209,), (697, 770), (1209, 1336), (440, 480), (480, 620), (1270, 1070)],
)
def test_other_tones_are_no_digits(frequencies: tuple[float, ...]) -> None:
    time = np.arange(8000) / 8000
    sound = sum(6000 * np.sin(2 * np.pi * frequency * time) for frequency in frequencies)
    assert listen([np.asarray(sound).astype(np.int16)]) == [""]


def test_noise_and_harmonic_sounds_like_a_voice_are_no_digits() -> None:
    """Glottal pulses at changing pitch put harmonics across every pair of tones."""
    random = np.random.default_rng(8)
    signals: list[Signal] = [random.normal(0, 4000, 80_000).astype(np.int16) for _ in range(8)]
    time = np.arange(80_000) / 8000
    for _ in range(24):
        rate, depth = random.uniform(1, 6), random.uniform(5, 60)
        phase = (
            np.cumsum(2 * np.pi * (random.uniform(80, 350) + depth * np.sin(rate * time))) / 8000
        )
        voice = sum(np.sin(k * phase) / k ** random.uniform(0.3, 1.5) for k in range(1, 12))
        signals.append((5000 * np.asarray(voice)).clip(-32768, 32767).astype(np.int16))
    assert listen(signals) == [""] * 32


def test_digital_silence_and_full_scale_give_nothing() -> None:
    square = np.where(np.arange(8000) % 7 < 3, 32767, -32768).astype(np.int16)
    assert listen([silence(1000), np.full(8000, -32768, np.int16), square]) == ["", "", ""]


@settings(max_examples=examples(20), deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(KEYS), st.integers(15, 90), st.integers(10, 90)),
        min_size=1,
        max_size=5,
    ),
    st.integers(0, 5),
)
def test_a_channel_of_a_bank_decides_as_a_detector_alone(
    presses: list[tuple[str, int, int]], place: int
) -> None:
    parts = [part for key, on, off in presses for part in (tone(key, on), silence(off))]
    signal = np.concatenate((silence(33), *parts, silence(80)))
    signal = signal[: len(signal) // 160 * 160].reshape(-1, 160)
    others = np.random.default_rng(place).normal(0, 3000, (len(signal), 6, 160)).astype(np.int16)
    detector, bank = DtmfDetector(), DtmfBank(6)
    for frame, around in zip(signal, others, strict=True):
        around[place] = frame
        assert bank.feed(around)[place] == detector.feed(frame)


def test_a_channel_that_is_reset_forgets_the_tone_before() -> None:
    bank = DtmfBank(2)
    frames = np.stack([tone("8", 400).reshape(-1, 160)] * 2)
    for tick in range(10):
        bank.feed(frames[:, tick])
    bank.reset(1)
    after = [bank.feed(frames[:, tick]) for tick in range(10, 20)]
    assert ["".join(keys) for keys in zip(*after, strict=True)] == ["", "8"]


def test_a_short_burst_before_the_reset_does_not_count_after_it() -> None:
    bank = DtmfBank(1)
    burst = tone("8", 20).reshape(1, 160)
    bank.feed(burst)
    bank.reset(0)
    assert bank.feed(burst) == [""]
    assert bank.feed(np.zeros((1, 160), np.int16)) == [""]
