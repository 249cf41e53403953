from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from vxml_server.audio import Audio, decode, encode_alaw, encode_ulaw, encode_wav, rms_dbfs
from vxml_server.events import VoiceXmlEvent

TONE = (8192 * np.sin(2 * np.pi * 440 / 8000 * np.arange(8000))).astype(np.int16)


def written(samples: np.ndarray, rate: int, form: str, subtype: str, endian: str = "FILE") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=form, subtype=subtype, endian=endian)
    return buffer.getvalue()


def tone_at(rate: int, seconds: float = 1.0) -> np.ndarray:
    return 0.25 * np.sin(2 * np.pi * 440 / rate * np.arange(round(rate * seconds)))


def assert_is_the_tone(audio: Audio, tolerance: float = 0.5) -> None:
    assert audio.rate == 8000
    assert audio.duration == pytest.approx(1.0, abs=0.08)
    assert audio.pcm.dtype == np.int16
    middle = audio.pcm[1000:7000]
    assert rms_dbfs(middle) == pytest.approx(-15.05, abs=tolerance)
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert np.argmax(spectrum) * 8000 / len(middle) == pytest.approx(440, abs=2)


@pytest.mark.parametrize(
    ("form", "subtype"),
    [
        *(("WAV", s) for s in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")),
        *(("WAV", s) for s in ("ALAW", "ULAW", "IMA_ADPCM", "GSM610")),
        ("WAVEX", "PCM_16"),
        ("RF64", "PCM_16"),
        *(("AU", s) for s in ("PCM_16", "ULAW", "ALAW", "FLOAT")),
        *(("AIFF", s) for s in ("PCM_16", "PCM_24", "ULAW")),
        ("FLAC", "PCM_16"),
        ("OGG", "VORBIS"),
        ("OGG", "OPUS"),
        ("MP3", "MPEG_LAYER_III"),
    ],
)
@pytest.mark.parametrize("media_type", ["", "application/octet-stream", "audio/basic", "text/html"])
def test_a_file_is_known_by_its_content_whatever_type_it_is_said_to_have(
    form: str, subtype: str, media_type: str
) -> None:
    if form == "MP3" and media_type == "audio/basic":
        pytest.skip("an MPEG frame header is too weak a sign against headerless samples")
    rate = 16000 if form == "MP3" else 8000
    assert_is_the_tone(decode(written(tone_at(rate), rate, form, subtype), media_type))


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_any_rate_and_number_of_channels_becomes_8_khz_mono(rate: int, channels: int) -> None:
    samples = np.repeat(tone_at(rate)[:, np.newaxis], channels, axis=1)
    assert_is_the_tone(decode(written(samples, rate, "WAV", "PCM_16")), tolerance=0.1)


def test_big_endian_wav_is_read() -> None:
    assert_is_the_tone(decode(written(tone_at(8000), 8000, "WAV", "PCM_16", "BIG")))


def test_16_bit_samples_at_8_khz_come_out_bit_for_bit() -> None:
    everything = np.arange(-32768, 32768).astype(np.int16)
    assert np.array_equal(decode(encode_wav(everything)).pcm, everything)


def test_stereo_is_mixed_to_the_mean_of_its_channels() -> None:
    stereo = np.stack((np.full(800, 1000), np.full(800, 3000)), axis=1).astype(np.int16)
    assert set(decode(encode_wav(stereo)).pcm.tolist()) == {2000}


def test_opposite_full_scale_channels_cancel_without_overflow() -> None:
    stereo = np.stack((np.full(800, 32767), np.full(800, 32767)), axis=1).astype(np.int16)
    assert set(decode(encode_wav(stereo)).pcm.tolist()) == {32767}


def test_floats_beyond_full_scale_and_no_numbers_are_tamed() -> None:
    floats = np.array([2.0, -2.0, np.nan, np.inf, 0.5], np.float32)
    pcm = decode(written(floats, 8000, "WAV", "FLOAT")).pcm
    assert pcm[[0, 1, 2, 4]].tolist() == [32767, -32768, 0, 16384]


@pytest.mark.parametrize(
    ("media_type", "data"),
    [
        ("audio/basic", encode_ulaw(TONE).tobytes()),
        ("Audio/Basic; rate=8000", encode_ulaw(TONE).tobytes()),
        ("audio/PCMU", encode_ulaw(TONE).tobytes()),
        ("audio/x-alaw-basic", encode_alaw(TONE).tobytes()),
        ("audio/PCMA", encode_alaw(TONE).tobytes()),
        ("audio/L16;rate=8000;channels=1", TONE.astype(">i2").tobytes()),
        ("audio/L16; rate=8000; channels=2", np.repeat(TONE, 2).astype(">i2").tobytes()),
        ("audio/L16; rate=nonsense", TONE.astype(">i2").tobytes() + b"x"),
        ("audio/basic; a*=x; a*1=y", encode_ulaw(TONE).tobytes()),
        ("audio/PCMA; a*" + "1" * 5000, encode_alaw(TONE).tobytes()),
    ],
)
def test_headerless_samples_are_known_by_their_media_type(media_type: str, data: bytes) -> None:
    assert_is_the_tone(decode(data, media_type), tolerance=0.1)


def test_headerless_silence_is_not_taken_for_mpeg() -> None:
    """mu-law silence is 0xFF 0xFF 0xFF..., which begins like an MPEG frame."""
    assert not decode(b"\xff" * 8000, "audio/basic").pcm.any()
    with pytest.raises(VoiceXmlEvent, match=r"error\.unsupported\.format"):
        decode(b"\xff" * 8000)


@pytest.mark.parametrize(
    ("data", "media_type", "name"),
    [
        (b"", "audio/basic", "error.badfetch"),
        (b"<html>not found</html>", "text/html", "error.unsupported.format"),
        (b"<html>not found</html>", "audio/x-wav", "error.badfetch"),
        (b"\x00" * 100, "", "error.unsupported.format"),
        (b"RIFF\x00\x00\x00\x00WAVE", "", "error.badfetch"),
        (b"fLaC" + b"\x00" * 50, "", "error.badfetch"),
        (b"OggS" + b"\x00" * 50, "audio/ogg", "error.badfetch"),
        (b"ID3" + b"\x00" * 50, "audio/mpeg", "error.badfetch"),
        (b"\xff\xfb\x90\x00" + b"\x00" * 50, "audio/mpeg", "error.badfetch"),
        (b"RIFF\x24\x00\x00\x00AVI LIST", "", "error.unsupported.format"),
        (encode_wav(TONE[:0]), "", "error.badfetch"),
        (encode_wav(TONE, 500), "", "error.unsupported.format"),
        (encode_wav(np.zeros((8, 20), np.int16)), "", "error.unsupported.format"),
        (b"x", "audio/L16; rate=8000", "error.badfetch"),
        (b"x" * 100, "audio/basic; channels=99", "error.unsupported.format"),
    ],
)
def test_what_cannot_be_played_ends_in_the_event_that_says_so(
    data: bytes, media_type: str, name: str
) -> None:
    with pytest.raises(VoiceXmlEvent) as caught:
        decode(data, media_type)
    assert caught.value.name == name
    assert caught.value.message


def test_a_file_longer_than_allowed_is_refused_before_it_is_all_in_memory() -> None:
    silence = written(np.zeros(8000 * 600, np.int16), 8000, "FLAC", "PCM_16")
    assert len(silence) < 100_000
    with pytest.raises(VoiceXmlEvent, match="longer than the 60 s") as caught:
        decode(silence, max_duration=60)
    assert caught.value.name == "error.badfetch"
    assert decode(silence, max_duration=600).duration == 600


def test_a_header_that_promises_more_than_there_is_gives_what_there_is() -> None:
    wav = bytearray(encode_wav(TONE))
    wav[40:44] = struct.pack("<I", 0x7FFFFFFF)
    assert_is_the_tone(decode(bytes(wav)))


def test_decoded_samples_cannot_be_written_to() -> None:
    audio = decode(encode_wav(TONE))
    with pytest.raises(ValueError, match="read-only"):
        audio.pcm[0] = 1


@given(
    st.sampled_from(["WAV", "AU", "AIFF", "FLAC"]),
    st.lists(st.tuples(st.integers(0, 199), st.integers(0, 255)), min_size=1, max_size=8),
    st.integers(0, 1200),
)
@settings(max_examples=examples(150), deadline=None)
def test_a_damaged_file_gives_audio_or_an_event_and_nothing_else(
    form: str, changes: list[tuple[int, int]], length: int
) -> None:
    data = bytearray(written(TONE[:400], 8000, form, "PCM_16")[:length])
    for place, value in changes:
        if place < len(data):
            data[place] = value
    try:
        audio = decode(bytes(data), max_duration=10)
    except VoiceXmlEvent as event:
        assert event.name in {"error.badfetch", "error.unsupported.format"}
    else:
        assert 0 < audio.duration <= 10
