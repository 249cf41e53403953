"""How long a prompt lasts without a voice, and what is heard of it."""

from __future__ import annotations

import numpy as np
import pytest

from vxml_server.audio import encode_wav
from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import FetchRequest, Resource
from vxml_server.interpreter.platform import AudioSegment, Prompt, Segment, SpeechSegment
from vxml_server.interpreter.playback import Playback, render

HALF_A_SECOND = encode_wav(np.zeros(4000, np.int16))


class Files:
    """A fetcher that has one sound."""

    def __init__(self) -> None:
        self.asked: list[FetchRequest] = []

    async def fetch(self, request: FetchRequest) -> Resource:
        self.asked.append(request)
        if request.uri == "http://host/sound.wav":
            return Resource(request.uri, 200, "audio/x-wav", "", HALF_A_SECOND)
        if request.uri == "http://host/text.wav":
            return Resource(request.uri, 200, "text/html", "", b"<html>Not a sound</html>")
        if request.uri == "http://host/sound.l16":
            headers = {"content-type": "audio/L16;rate=16000"}
            return Resource(request.uri, 200, "audio/l16", "", bytes(32_000), headers)
        raise VoiceXmlEvent("error.badfetch.http.404", "not found", uri=request.uri)


def speech(text: str, ssml: str | None = None) -> SpeechSegment:
    return SpeechSegment(f'<speak version="1.0">{text if ssml is None else ssml}</speak>', text, "")


async def play(*segments: Segment) -> Playback:
    return await render(Prompt(segments, "en"), Files())


async def test_a_word_takes_three_tenths_of_a_second() -> None:
    playback = await play(speech("one  two\n three"))
    assert playback.duration == pytest.approx(0.9)
    assert playback.text == "one two three"


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ('<break time="500ms"/>', 0.5),
        ('<break time="2s"/>', 2.0),
        ('<break time="+1.5s"/>', 1.5),
        ('<break time="999999999s"/>', 3600.0),
        ('<break strength="none"/>', 0.0),
        ('<break strength="strong"/>', 0.75),
        ("<break/>", 0.5),
        ('<break time="soon"/>', 0.5),
        ('<break time="1s"/><p>said<break time="2s"/></p>', 3.3),
    ],
)
async def test_a_break_takes_the_time_it_says(written: str, seconds: float) -> None:
    text = "said" if "said" in written else ""
    assert (await play(speech(text, written))).duration == pytest.approx(seconds)


async def test_marks_come_after_the_words_and_breaks_before_them() -> None:
    ssml = (
        '<mark name="a"/>one <break time="1s"/><sub alias="two three">2</sub><mark name="b"/>'
        '<desc>not <break time="9s"/> spoken</desc><!-- nor this --><?nor this?> four '
        '<mark name="c"/>'
    )
    playback = await play(speech("first"), speech("one two three four", ssml))
    names = [name for name, _ in playback.marks]
    times = [at for _, at in playback.marks]
    assert names == ["a", "b", "c"]
    assert times == pytest.approx([0.3, 2.2, 2.5])


async def test_a_mark_is_never_after_the_end() -> None:
    playback = await play(speech("one", 'said in more words <mark name="a"/>'))
    assert playback.marks == (("a", playback.duration),)


async def test_speech_that_is_no_xml_lasts_as_long_as_its_words() -> None:
    playback = await play(SpeechSegment("<speak>", "one two", "en"))
    assert playback.duration == pytest.approx(0.6)


async def test_an_audio_file_takes_its_real_length() -> None:
    playback = await play(
        speech("one"),
        AudioSegment(FetchRequest("http://host/sound.wav"), fallback=(speech("not heard"),)),
    )
    assert playback.duration == pytest.approx(0.8)
    assert playback.text == "one"
    assert playback.audio == ("http://host/sound.wav",)


@pytest.mark.parametrize("uri", ["http://host/absent.wav", "http://host/text.wav"])
async def test_the_fallback_is_heard_in_place_of_a_file_that_cannot_be_played(uri: str) -> None:
    nested = AudioSegment(
        FetchRequest("http://host/absent.wav"),
        fallback=(
            speech("two"),
            AudioSegment(FetchRequest("http://host/sound.wav")),
            speech("three"),
        ),
    )
    playback = await play(
        AudioSegment(FetchRequest(uri), fallback=(speech("one"), nested)), speech("four")
    )
    assert playback.text == "one two three four"
    assert playback.audio == ("http://host/sound.wav",)
    assert playback.duration == pytest.approx(1.7)


async def test_samples_without_a_header_are_as_long_as_their_type_says() -> None:
    playback = await play(AudioSegment(FetchRequest("http://host/sound.l16")))
    assert playback.duration == pytest.approx(1.0)


async def test_without_a_fallback_nothing_is_heard() -> None:
    assert await play(AudioSegment(FetchRequest("http://host/absent.wav"))) == Playback(
        "", 0.0, (), ()
    )


async def test_a_recording_in_memory_has_no_uri() -> None:
    playback = await play(AudioSegment(data=HALF_A_SECOND, media_type="audio/x-wav"))
    assert playback.duration == pytest.approx(0.5)
    assert playback.audio == ()


async def test_the_document_s_limits_go_with_the_fetch() -> None:
    files = Files()
    request = FetchRequest("http://host/sound.wav", timeout=2.0, maxage=3.0, base="http://host/")
    await render(Prompt((AudioSegment(request),), "en"), files)
    assert files.asked == [request]


async def test_the_record_tells_what_is_heard() -> None:
    prompt = Prompt((speech("one", 'one<mark name="a"/>'),), "fr", bargein=False)
    record = (await render(prompt, Files())).record(prompt)
    assert record == {"text": "one", "lang": "fr", "bargein": False, "audio": [], "marks": ["a"]}
    assert list(record) == ["text", "lang", "bargein", "audio", "marks"]
