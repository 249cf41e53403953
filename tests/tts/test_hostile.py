"""Documents and files that mean harm: each ends soon, in an event or in what can be heard of it."""

from __future__ import annotations

import io
import struct
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
import soundfile

from vxml_server.audio import decode, encode_wav
from vxml_server.events import VoiceXmlEvent
from vxml_server.tts import SpeechRequest
from vxml_server.tts.plan import Pause, Plan
from vxml_server.tts.sayas import say_as
from vxml_server.tts.ssml import MAX_PAUSE, MAX_TEXT, parse

MEMORY = 40 * 2**20  # bytes beyond what is there: no input costs more


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    tracemalloc.start()
    yield
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MEMORY


def plan_of(content: str) -> Plan:
    return parse(SpeechRequest(f"<speak>{content}</speak>", "fr"))


def refused(ssml: str) -> str:
    with pytest.raises(VoiceXmlEvent) as caught:
        parse(SpeechRequest(ssml, "fr"))
    return caught.value.name


def laughs(use: str) -> str:
    """Entities in entities: a billion of them if they were expanded."""
    entities = "".join(f'<!ENTITY l{level} "{f"&l{level - 1};" * 10}">' for level in range(1, 10))
    return f'<!DOCTYPE speak [<!ENTITY l0 "lol">{entities}]>{use}'


def test_a_billion_laughs_are_not_heard() -> None:
    assert refused(laughs("<speak>a &l9; b</speak>")) == "error.semantic"
    assert refused(laughs("<speak><mark name='&l9;'/></speak>")) == "error.semantic"


def test_text_without_end_is_refused() -> None:
    assert refused(f"<speak>{'mot ' * 2_500_000}</speak>") == "error.semantic"
    assert refused(f"<speak>{'x' * (MAX_TEXT + 1)}</speak>") == "error.semantic"


@pytest.mark.parametrize("depth", [61, 250, 5_000])
def test_elements_in_elements_without_end_are_refused(depth: int) -> None:
    assert refused(f"<speak>{'<p>' * depth}x{'</p>' * depth}</speak>") == "error.semantic"
    assert refused(f"<speak>{'<p>' * depth}") == "error.semantic"


@pytest.mark.parametrize("kind", ["cardinal", "digits", "telephone", "characters", "ordinal"])
def test_a_number_of_a_million_digits_is_left_to_be_refused_as_text(kind: str) -> None:
    number = "9" * 200_000
    assert say_as(number, kind, "", "fr") is None
    assert refused(f'<speak><say-as interpret-as="{kind}">{number}</say-as></speak>') == (
        "error.semantic"
    )


@pytest.mark.parametrize("kind", ["cardinal", "ordinal", "currency", "measure", "time", "date"])
def test_a_long_number_is_said_soon(kind: str) -> None:
    for lang in ("fr", "en", "de", "xx"):
        for number in ("9" * 200, "1" + "0" * 199, "0." + "1" * 190, "1," * 99):
            spoken = say_as(number, kind, "EUR", lang)
            assert spoken is None or len(spoken) < 4000


def test_a_break_lasts_no_longer_than_all_breaks_may() -> None:
    for time in ("1e9s", "999999999999s", "9" * 300 + "s", "inf", "1" * 5000):
        items = plan_of(f'a<break time="{time}"/>b').items
        assert sum(item.seconds for item in items if isinstance(item, Pause)) <= MAX_PAUSE


def test_attributes_without_end_are_a_matter_of_the_largest_document() -> None:
    content = "".join(f'<prosody contour="{"(0%,high)" * 20}">x</prosody>' for _ in range(800))
    assert len(plan_of(content).items) <= 800
    assert refused(f"<speak><voice name='{'x ' * 200_000}'>y</voice></speak>") == "error.semantic"


# Audio -------------------------------------------------------------------------------------------


def wav(
    data: bytes = bytes(3200),
    *,
    riff_size: int = 0xFFFFFFFF,
    data_size: int = 0xFFFFFFFF,
    code: int = 1,
    channels: int = 1,
    rate: int = 8000,
    bits: int = 16,
) -> bytes:
    frame = channels * bits // 8
    form = struct.pack(
        "<HHIIHH", code, channels, rate, rate * frame & 0xFFFFFFFF, frame & 0xFFFF, bits
    )
    return (
        b"RIFF" + struct.pack("<I", riff_size) + b"WAVEfmt " + struct.pack("<I", 16) + form
        + b"data" + struct.pack("<I", data_size) + data
    )  # fmt: skip


def outcome(data: bytes, media_type: str = "", seconds: float = 60.0) -> float | str:
    """Seconds that are heard, or the event."""
    try:
        return decode(data, media_type, max_duration=seconds).duration
    except VoiceXmlEvent as event:
        assert event.name in {"error.badfetch", "error.unsupported.format"}
        return event.name


def test_a_header_that_claims_four_gigabytes_has_what_there_is() -> None:
    assert outcome(wav()) == pytest.approx(0.2)
    assert outcome(wav(data_size=0x7FFFFFFF)) == pytest.approx(0.2)


@pytest.mark.parametrize("rate", [0, 1, 999, 384_001, 4_000_000_000, 0xFFFFFFFF])
def test_a_rate_that_nobody_records_at_is_refused(rate: int) -> None:
    assert outcome(wav(rate=rate)) in {"error.unsupported.format", "error.badfetch"}
    assert outcome(bytes(3200), f"audio/L16;rate={rate}") == (
        "error.unsupported.format" if rate < 10**7 else pytest.approx(0.2)
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"channels": 0},
        {"channels": 65535},
        {"bits": 0},
        {"bits": 65528},
        {"code": 0xFFFF},
        {"code": 0},
        {"code": 0x55},
        {"riff_size": 0, "data_size": 0},
    ],
)
def test_a_header_that_is_a_lie_is_an_event(fields: dict[str, int]) -> None:
    numbers = {
        "riff_size": 0xFFFFFFFF,
        "data_size": 0xFFFFFFFF,
        "code": 1,
        "channels": 1,
        "bits": 16,
    }
    numbers |= fields
    heard = outcome(
        wav(
            riff_size=numbers["riff_size"],
            data_size=numbers["data_size"],
            code=numbers["code"],
            channels=numbers["channels"],
            bits=numbers["bits"],
        )
    )
    assert isinstance(heard, str)


def test_many_channels_at_the_highest_rate_are_read_in_blocks() -> None:
    whole = encode_wav(np.zeros((384_000, 4), np.int16), 384_000)
    assert outcome(whole) == pytest.approx(1.0, abs=0.01)
    assert outcome(whole, seconds=0.5) == "error.badfetch"


def test_a_small_file_that_holds_hours_is_stopped_when_it_is_too_long() -> None:
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", 8000, 1, "PCM_16", format="FLAC") as file:
        for _ in range(60):
            file.write(np.zeros(8000 * 60, np.int16))
    assert len(buffer.getvalue()) < 2**20
    assert outcome(buffer.getvalue(), seconds=120.0) == "error.badfetch"


@pytest.mark.parametrize("coding", ["VORBIS", "OPUS"])
def test_chained_ogg_files_are_heard_from_the_first_on_or_are_an_event(coding: str) -> None:
    buffer = io.BytesIO()
    tone = (np.sin(np.arange(8000) / 5) * 9000).astype(np.int16)
    soundfile.write(buffer, tone, 8000, format="OGG", subtype=coding)
    heard = outcome(buffer.getvalue() * 20)
    assert isinstance(heard, str) or 0.9 < heard < 21
