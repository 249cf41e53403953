from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from vxml_server.audio import encode_wav, loudness_lufs
from vxml_server.clock import SystemClock
from vxml_server.events import VoiceXmlEvent
from vxml_server.settings import TtsSettings
from vxml_server.tts import SpeechRequest, speech_of, voices
from vxml_server.tts.phrases import EDGE_GAP, GROUP_GAP, WORD_GAP, Pack, RecordedPhrases
from vxml_server.tts.plan import Clip, Item, Plan, Style, Text
from vxml_server.tts.ssml import parse

WORD_SECONDS = 0.2


def tone(number: int, level: float = 0.1) -> npt.NDArray[np.int16]:
    """A 'recording' that is known by its frequency, with silence around it."""
    time = np.arange(round(WORD_SECONDS * 8000)) / 8000
    sound = level * 32767 * np.sin(2 * np.pi * (300 + 50 * number) * time)
    silence = np.zeros(2400)
    return np.concatenate([silence, sound, silence]).astype(np.int16)


def heard(pcm: npt.NDArray[np.int16]) -> list[int]:
    """The numbers of the recordings in a row."""
    window = 640
    numbers: list[int] = []
    quiet = True
    for start in range(0, len(pcm) - window, 80):
        part = pcm[start : start + window].astype(np.float64)
        if np.abs(part).max() < 500:
            quiet = True
        elif np.abs(part[:80]).max() > 500 and np.abs(part[-80:]).max() > 500 and quiet:
            spectrum = np.abs(np.fft.rfft(part * np.hanning(window), 8000))
            numbers.append(round((int(spectrum.argmax()) - 300) / 50))
            quiet = False
        elif np.abs(part[: window // 2]).max() < 500:
            quiet = True
    return numbers


ENGLISH = {"digits/2": 2, "digits/4": 4, "digits/40": 40, "digits/oh": 11, "digits/p-m": 12}
FRENCH = {"digits/20": 20, "digits/1": 1, "digits/60": 25, "digits/et": 21, "digits/70": 27}


def pack(folder: Path, files: dict[str, int], **levels: float) -> Path:
    for name, number in files.items():
        path = folder / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_wav(tone(number, levels.get(name.replace("/", "_"), 0.1))))
    return folder


def items(phrases: RecordedPhrases, content: str, lang: str = "en-US") -> list[Item]:
    plan = parse(SpeechRequest(f"<speak>{content}</speak>", lang))
    return list(phrases.applied(plan).items)


def say(text: str, kind: str = "number") -> str:
    return f'<say-as interpret-as="{kind}">{text}</say-as>'


def test_a_number_is_made_of_recordings_amid_synthesised_words(tmp_path: Path) -> None:
    phrases = RecordedPhrases({"en": pack(tmp_path, ENGLISH)})
    before, clip, after = items(phrases, f"You have {say('42')} points")
    assert before == Text("You have ", Style("en-US"))
    assert isinstance(clip, Clip)
    assert clip.text == "forty-two"
    assert heard(clip.pcm) == [40, 2]
    assert after == Text(" points", Style("en-US"))


def recorded(item: Item) -> npt.NDArray[np.int16]:
    assert isinstance(item, Clip)
    return item.pcm


def word(pcm: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """Without the gaps around it."""
    edge = round(EDGE_GAP * 8000)
    return pcm[edge:-edge]


def test_recordings_are_cut_and_joined_with_small_gaps(tmp_path: Path) -> None:
    phrases = RecordedPhrases({"en": pack(tmp_path, ENGLISH)})
    (one,) = items(phrases, say("2"))
    (two,) = items(phrases, say("42"))
    (grouped,) = items(phrases, say("4 2", "digits"))
    single, double, parted = (len(recorded(item)) / 8000 for item in (one, two, grouped))
    assert single == pytest.approx(WORD_SECONDS + 2 * EDGE_GAP, abs=0.05)
    assert double - single == pytest.approx(WORD_SECONDS + WORD_GAP, abs=0.05)
    assert parted - double == pytest.approx(GROUP_GAP - WORD_GAP + 0.0, abs=0.03)


def test_recordings_have_the_level_of_speech_whatever_it_was(tmp_path: Path) -> None:
    phrases = RecordedPhrases({"en": pack(tmp_path, ENGLISH, digits_2=0.8, digits_4=0.05)})
    for text in ("2", "4"):
        (item,) = items(phrases, say(text))
        assert loudness_lufs(word(recorded(item))) == pytest.approx(-20, abs=0.5)


def test_a_word_that_is_missing_leaves_the_whole_phrase_to_an_engine(tmp_path: Path) -> None:
    phrases = RecordedPhrases({"en": pack(tmp_path, ENGLISH)})
    assert items(phrases, say("43")) == [Text("forty-three", Style("en-US"), said_as="number")]


def test_several_words_may_be_one_recording_and_the_fewest_are_used(tmp_path: Path) -> None:
    folder = pack(tmp_path, FRENCH | {"digits/10": 10, "digits/11": 11, "digits/7": 7})
    own = Pack(folder, "fr")
    for text, numbers in (
        ("vingt et un", [20, 21, 1]),
        ("soixante et onze", [25, 21, 11]),
        ("soixante-dix", [27]),
        ("soixante-dix-sept", [27, 7]),
    ):
        pcm = own.phrase(text)
        assert pcm is not None
        assert heard(pcm) == numbers


def test_own_words_are_named_by_their_files(tmp_path: Path) -> None:
    folder = pack(tmp_path, {"digits/2": 2, "words/euros": 30, "words/deux cents": 31})
    phrases = RecordedPhrases({"fr": folder})
    (money,) = items(phrases, say("2 EUR", "currency"), "fr-FR")
    (hundreds,) = items(phrases, say("200"), "fr-FR")
    assert heard(recorded(money)) == [2, 30]
    assert heard(recorded(hundreds)) == [31]


def test_letters_are_letters_only_where_text_is_spelled(tmp_path: Path) -> None:
    files = {"letters/a": 1, "letters/z": 2, "letters/zed": 3, "digits/2": 4}
    american = RecordedPhrases({"en": pack(tmp_path, files)})
    british = RecordedPhrases({"en-GB": tmp_path})
    (us,) = items(american, say("az2", "characters"))
    (gb,) = items(british, say("z", "spell-out"), "en-GB")
    assert heard(recorded(us)) == [1, 2, 4]
    assert heard(recorded(gb)) == [3]
    assert Pack(tmp_path, "en").phrase("a") is None


def test_the_nearest_language_has_its_pack_and_others_none(tmp_path: Path) -> None:
    phrases = RecordedPhrases(
        {"en": pack(tmp_path / "en", {"digits/2": 2}), "en-GB": pack(tmp_path / "gb", ENGLISH)}
    )
    assert isinstance(items(phrases, say("42"), "en-GB")[0], Clip)
    assert isinstance(items(phrases, say("42"), "en-US")[0], Text)
    assert isinstance(items(phrases, say("2"), "en")[0], Clip)
    assert isinstance(items(phrases, say("2"), "fr")[0], Text)


def test_a_rate_that_a_recording_has_not_is_left_to_an_engine(tmp_path: Path) -> None:
    phrases = RecordedPhrases({"en": pack(tmp_path, ENGLISH)})
    (slow,) = items(phrases, f'<prosody rate="slow">{say("2")}</prosody>')
    (loud,) = items(phrases, f'<prosody volume="loud">{say("2")}</prosody>')
    assert isinstance(slow, Text)
    assert isinstance(loud, Clip)
    assert loud.style.gain_db == 3.0


def test_text_that_nobody_marked_is_synthesised(tmp_path: Path) -> None:
    phrases = RecordedPhrases({"en": pack(tmp_path, ENGLISH)})
    assert items(phrases, "two") == [Text("two", Style("en-US"))]
    assert RecordedPhrases({}).applied(Plan(())) == Plan(())


@pytest.mark.parametrize(
    "damaged", [b"", b"RIFF", b"RIFF\xff\xff\xff\x7fWAVEfmt ", encode_wav(np.zeros(800, np.int16))]
)
def test_a_recording_that_cannot_be_read_is_missing(tmp_path: Path, damaged: bytes) -> None:
    folder = pack(tmp_path, ENGLISH)
    (folder / "digits/2.wav").write_bytes(damaged)
    phrases = RecordedPhrases({"en": folder})
    assert isinstance(items(phrases, say("2"))[0], Text)
    assert isinstance(items(phrases, say("4"))[0], Clip)


@pytest.mark.parametrize("name", ["empty", "missing"])
def test_a_folder_without_recordings_is_no_pack(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(VoiceXmlEvent) as caught:
        RecordedPhrases({"en": tmp_path / name})
    assert caught.value.name == "error.noresource"


def test_the_identity_changes_with_the_recordings(tmp_path: Path) -> None:
    folder = pack(tmp_path, ENGLISH)
    before = RecordedPhrases({"en": folder}).identity
    assert RecordedPhrases({"en": folder}).identity == before
    (folder / "digits/2.wav").write_bytes(encode_wav(tone(2, 0.2))[:-100])
    assert RecordedPhrases({"en": folder}).identity != before


def test_equal_phrases_are_equal_items(tmp_path: Path) -> None:
    phrases = RecordedPhrases({"en": pack(tmp_path, ENGLISH)})
    assert items(phrases, say("42")) == items(phrases, say("42"))
    assert len({*items(phrases, say("42")), *items(phrases, say("42"))}) == 1


async def test_the_packs_of_the_settings_are_heard_and_named(tmp_path: Path) -> None:
    settings = TtsSettings(packs={"en": pack(tmp_path, ENGLISH)})
    made, bare = voices(settings, SystemClock()), voices(TtsSettings(), SystemClock())
    request = SpeechRequest(f"<speak>{say('42')}</speak>", "en-US")
    try:
        assert heard((await speech_of(made.stream(request))).pcm) == [40, 2]
        assert heard((await speech_of(bare.stream(request))).pcm) != [40, 2]
        assert made.identity != bare.identity
    finally:
        await made.close()
        await bare.close()
