"""Both laws against the tables of ITU-T G.711."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vxml_server.audio import decode_alaw, decode_ulaw, encode_alaw, encode_ulaw

ALL_CODES = np.arange(256, dtype=np.uint8)
ALL_SAMPLES = np.arange(-32768, 32768).astype(np.int16)

# Tables 1a and 2a: (last interval number of a segment, decision value where the segment ends).
ALAW_SEGMENT_ENDS = [32, 48, 64, 80, 96, 112, 128]
ALAW_DECISIONS = [64, 128, 256, 512, 1024, 2048, 4096]
ULAW_SEGMENT_ENDS = [16, 32, 48, 64, 80, 96, 112, 128]
ULAW_DECISIONS = [31, 95, 223, 479, 991, 2015, 4063, 8159]


def alaw_reference(sample: int) -> int:
    """A-law by arithmetic, one sample: sign, segment by the leading bit, four bits below it."""
    magnitude = (~sample if sample < 0 else sample) >> 4
    segment = max(0, magnitude.bit_length() - 4)
    step = magnitude >> max(0, segment - 1) & 15
    return ((0 if sample < 0 else 0x80) | segment << 4 | step) ^ 0x55


def ulaw_reference(sample: int) -> int:
    """mu-law by arithmetic: the magnitude in 14 bits plus 33, then as A-law; all bits inverted."""
    magnitude = min(((~sample if sample < 0 else sample) >> 2) + 33, 0x1FFF)
    segment = magnitude.bit_length() - 6
    step = magnitude >> (segment + 1) & 15
    return ((0x80 if sample < 0 else 0) | segment << 4 | step) ^ 0xFF


def test_alaw_encodes_every_sample_as_the_arithmetic_definition_does() -> None:
    expected = [alaw_reference(int(sample)) for sample in ALL_SAMPLES]
    assert encode_alaw(ALL_SAMPLES).tolist() == expected


def test_ulaw_encodes_every_sample_as_the_arithmetic_definition_does() -> None:
    expected = [ulaw_reference(int(sample)) for sample in ALL_SAMPLES]
    assert encode_ulaw(ALL_SAMPLES).tolist() == expected


def test_every_alaw_code_survives_decoding_and_encoding() -> None:
    assert np.array_equal(encode_alaw(decode_alaw(ALL_CODES)), ALL_CODES)


def test_every_ulaw_code_but_negative_zero_survives_decoding_and_encoding() -> None:
    back = encode_ulaw(decode_ulaw(ALL_CODES))
    assert np.flatnonzero(back != ALL_CODES).tolist() == [0x7F]
    assert back[0x7F] == 0xFF


@pytest.mark.parametrize(
    ("code", "sample"),
    [(0xFF, 0), (0x7F, 0), (0xFE, 8), (0x7E, -8), (0x80, 32124), (0x00, -32124), (0xEF, 132)],
)
def test_ulaw_outputs_are_those_of_table_2(code: int, sample: int) -> None:
    assert decode_ulaw(np.array([code], np.uint8))[0] == sample


@pytest.mark.parametrize(
    ("code", "sample"), [(0xD5, 8), (0x55, -8), (0xAA, 32256), (0x2A, -32256), (0xC5, 264)]
)
def test_alaw_outputs_are_those_of_table_1(code: int, sample: int) -> None:
    assert decode_alaw(np.array([code], np.uint8))[0] == sample


def test_the_periodic_sequences_of_a_1_khz_sine_at_0_dbm0_decode_to_that_level() -> None:
    """Tables 5 and 6: eight characters that every decoder must turn into 0 dBm0."""
    alaw = np.array([0x34, 0x21, 0x21, 0x34, 0xB4, 0xA1, 0xA1, 0xB4], np.uint8)
    ulaw = np.array([0x1E, 0x0B, 0x0B, 0x1E, 0x9E, 0x8B, 0x8B, 0x9E], np.uint8)
    for samples, overload in ((decode_alaw(alaw), 3.14), (decode_ulaw(ulaw), 3.17)):
        full_scale = 32768 / np.sqrt(2)
        level = 20 * np.log10(np.sqrt(np.mean(samples.astype(float) ** 2)) / full_scale)
        assert level + overload == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize(
    ("decode", "ends", "decisions", "scale"),
    [
        (decode_alaw, ALAW_SEGMENT_ENDS, ALAW_DECISIONS, 8),
        (decode_ulaw, ULAW_SEGMENT_ENDS, ULAW_DECISIONS, 4),
    ],
)
def test_segments_end_at_the_decision_values_of_the_tables(
    decode: type[np.ndarray], ends: list[int], decisions: list[int], scale: int
) -> None:
    outputs = np.unique(np.abs(decode(ALL_CODES).astype(int)))
    for end, decision in zip(ends, decisions, strict=True):
        assert outputs[end - 1] < decision * scale
        assert end == 128 or outputs[end] > decision * scale


@pytest.mark.parametrize("law", ["alaw", "ulaw"])
def test_coding_is_monotonic_and_never_off_by_more_than_half_an_interval(law: str) -> None:
    encode, decode = {
        "alaw": (encode_alaw, decode_alaw),
        "ulaw": (encode_ulaw, decode_ulaw),
    }[law]
    back = decode(encode(ALL_SAMPLES)).astype(int)
    assert np.all(np.diff(back) >= 0)
    inside = np.abs(ALL_SAMPLES.astype(int)) <= 32124
    error = np.abs(back - ALL_SAMPLES)[inside]
    assert np.all(error <= 8 + np.abs(ALL_SAMPLES[inside].astype(int)) / 31)


@given(st.lists(st.integers(-32768, 32767), min_size=6, max_size=6))
def test_arrays_of_any_shape_and_layout_are_coded_sample_by_sample(values: list[int]) -> None:
    flat = np.array(values, np.int16)
    for shaped in (flat.reshape(2, 3), flat.reshape(3, 2).T, flat[::2], flat[:0]):
        codes = encode_ulaw(shaped)
        assert codes.shape == shaped.shape
        assert codes.dtype == np.uint8
        assert codes.ravel().tolist() == [ulaw_reference(v) for v in shaped.ravel().tolist()]
        assert decode_ulaw(codes).shape == shaped.shape
