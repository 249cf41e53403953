"""Which engine speaks what, and what happens when one does not."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from tests.tts.engines import SECONDS_A_LETTER, ToneEngine, failure
from vxml_server.audio import loudness_lufs
from vxml_server.clock import VirtualClock
from vxml_server.events import VoiceXmlEvent
from vxml_server.tts import (
    Abilities,
    Chunk,
    Offer,
    Speech,
    SpeechRequest,
    Voice,
    Voices,
    choose,
    joined,
    speech_of,
)
from vxml_server.tts.plan import Clip, Plan, Style


def request(content: str, lang: str = "fr-FR", voice: str | None = None) -> SpeechRequest:
    return SpeechRequest(f"<speak>{content}</speak>", lang, voice)


async def say(
    voices: Voices, content: str, lang: str = "fr-FR", voice: str | None = None
) -> Speech:
    return await speech_of(voices.stream(request(content, lang, voice)))


async def chunks_of(voices: Voices, content: str) -> list[Chunk]:
    return [chunk async for chunk in voices.stream(request(content))]


def two(timeout: float = 10.0) -> tuple[ToneEngine, ToneEngine, VirtualClock, Voices]:
    first, second = ToneEngine("first"), ToneEngine("second")
    clock = VirtualClock()
    return first, second, clock, Voices([first, second], clock, timeout=timeout)


# Which voice -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lang", "names", "gender", "offer"),
    [
        ("fr", (), "", Offer("denise")),
        ("fr-CA", (), "", Offer("sylvie")),
        ("fr-BE", (), "male", Offer("henri")),
        ("fr", ("nobody", "Henri"), "female", Offer("henri", 1, False)),
        ("fr", ("sylvie", "henri"), "", Offer("sylvie", 0)),
        ("en", ("denise",), "", Offer("amy")),
        ("en", ("Microsoft_Zira_Desktop",), "", Offer("Microsoft Zira  Desktop", 0)),
        ("en", ("microsoft zira desktop",), "", Offer("Microsoft Zira  Desktop", 0)),
        ("en", (), "male", Offer("amy", None, False)),
        ("de", (), "", None),
        ("", (), "", None),
    ],
)
def test_a_voice_is_chosen_by_language_then_name_then_gender(
    lang: str, names: tuple[str, ...], gender: str, offer: Offer | None
) -> None:
    voices = (
        Voice("denise", "fr-FR", "female"),
        Voice("henri", "fr-FR", "male"),
        Voice("sylvie", "fr_CA", "female"),
        Voice("amy", "en-GB", "female"),
        Voice("Microsoft Zira  Desktop", "en-US", "female"),
    )
    assert choose(voices, lang, names, gender) == offer


def test_a_voice_of_all_languages_speaks_any() -> None:
    assert choose((Voice("poly", "*"),), "tlh", (), "male") == Offer("poly")


async def test_the_first_engine_that_speaks_the_language_is_asked() -> None:
    french = ToneEngine("french")
    both = ToneEngine("both", Voice("a", "en"), Voice("b", "fr"))
    voices = Voices([french, both], VirtualClock())
    await say(voices, "Bonjour. <voice xml:lang='en-US'>Hello</voice> oui")
    assert (french.texts, both.texts) == (["Bonjour.", "oui"], ["Hello"])
    assert voices.spoken == {"french": 2, "both": 1}


async def test_a_name_or_a_gender_asked_for_goes_before_the_order_of_the_settings() -> None:
    first = ToneEngine("first", Voice("joe", "fr", "male"))
    second = ToneEngine("second", Voice("denise", "fr", "female"), Voice("bob", "fr", "male"))
    voices = Voices([first, second], VirtualClock())
    await say(voices, "<voice name='nobody denise joe'>un</voice>")
    await say(voices, "<voice gender='female'>deux</voice>")
    await say(voices, "<voice gender='male'>trois</voice>")
    await say(voices, "quatre", voice="bob")
    assert first.texts == ["trois"]
    assert [voice for _, voice in second.asked] == ["denise", "denise", "bob"]


async def test_a_language_that_no_engine_speaks_is_an_event_of_its_own() -> None:
    voices = Voices([ToneEngine("first")], VirtualClock())
    with pytest.raises(VoiceXmlEvent) as caught:
        await say(voices, "x", "tlh")
    assert caught.value.name == "error.unsupported.language"
    assert "'tlh'" in caught.value.message


# What engines are given ------------------------------------------------------------------------


async def test_an_engine_gets_words_and_nothing_of_the_document() -> None:
    engine = ToneEngine()
    content = (
        "<p>Le <say-as interpret-as='vxml:digits'>12</say-as> &lt;break/&gt;"
        "<desc>image</desc> <sub alias='trois'>3</sub></p>"
    )
    await say(Voices([engine], VirtualClock()), content)
    (text,) = engine.texts
    assert "speak" not in text
    assert "image" not in text
    assert "trois" in text
    assert "12" not in text


async def test_nothing_of_one_prompt_is_in_the_next() -> None:
    engine = ToneEngine()
    voices = Voices([engine], VirtualClock())
    before = await say(voices, "un deux trois quatre cinq")
    loud = "<prosody rate='x-slow' pitch='x-high' volume='silent'>six <mark name='m'/>"
    await say(voices, f"{loud}<voice name='x' gender='female'>sept</voice></prosody>")
    with pytest.raises(VoiceXmlEvent):
        await say(voices, f"{loud} not closed")
    after = await say(voices, "un deux trois quatre cinq")
    assert np.array_equal(before.pcm, after.pcm)
    assert engine.asked[0] == engine.asked[-1]


async def test_a_style_that_changes_in_a_sentence_parts_it_for_an_engine_of_one_style() -> None:
    content = "un <prosody rate='slow'>deux</prosody> trois"
    one, mixes = ToneEngine(), ToneEngine(abilities=Abilities(mixes=True))
    await say(Voices([one], VirtualClock()), content)
    await say(Voices([mixes], VirtualClock()), content)
    assert one.texts == ["un", "deux", "trois"]
    assert mixes.texts == ["un deux trois"]


@pytest.mark.parametrize(
    "abilities",
    [Abilities(), Abilities(rate=True)],
    ids=["rate by us", "rate by the engine"],
)
@pytest.mark.parametrize(
    ("prosody", "rate"),
    [("rate='2.0'", 2.0), ("pitch='+35%'", 1.0), ("rate='0.5' pitch='+35%'", 0.5)],
)
async def test_what_an_engine_cannot_do_is_done_to_its_samples(
    abilities: Abilities, prosody: str, rate: float
) -> None:
    engine = ToneEngine(hertz=400, abilities=abilities)
    speech = await say(Voices([engine], VirtualClock()), f"<prosody {prosody}>{'a' * 40}</prosody>")
    assert speech.duration == pytest.approx(40 * SECONDS_A_LETTER / rate, rel=0.03)
    spectrum = np.abs(np.fft.rfft(speech.pcm))
    hertz = 400 * (1.35 if "pitch" in prosody else 1)
    assert np.argmax(spectrum) * 8000 / len(speech.pcm) == pytest.approx(hertz, rel=0.03)


async def test_voices_are_brought_to_one_loudness_and_kept_at_it() -> None:
    voices = Voices([ToneEngine()], VirtualClock(), loudness=-23.0)
    long = await say(voices, "a" * 40)
    assert loudness_lufs(long.pcm) == pytest.approx(-23, abs=0.3)
    soft = await say(voices, f"<prosody volume='-6dB'>{'a' * 40}</prosody>")
    assert loudness_lufs(soft.pcm) == pytest.approx(-29, abs=0.3)


async def test_a_mark_in_a_sentence_is_placed_by_the_letters_before_it() -> None:
    speech = await say(Voices([ToneEngine()], VirtualClock()), "aaaa <mark name='m'/>aaaa")
    (mark,) = speech.marks
    assert mark.seconds == pytest.approx(speech.duration / 2, rel=0.02)


async def test_marks_between_sentences_are_exact_and_pauses_are_silence() -> None:
    content = "aaaa <break time='2500ms'/><mark name='m'/> bbbb <mark name='n'/>"
    chunks = await chunks_of(Voices([ToneEngine()], VirtualClock()), content)
    speech = joined(chunks)
    pauses = [len(chunk.pcm) for chunk in chunks if not chunk.pcm.any()]
    assert pauses == [8000, 8000, 4000]
    first, second = speech.marks
    assert first.seconds == pytest.approx(len(chunks[0].pcm) / 8000 + 2.5)
    assert second.seconds == pytest.approx(speech.duration, abs=0.001)


async def test_recordings_are_put_in_where_there_are_some() -> None:
    recording = np.full(800, 1000, np.int16)

    def recorded(plan: Plan) -> Plan:
        return Plan((Clip("douze", Style("fr"), "pack", recording), *plan.items))

    engine = ToneEngine()
    voices = Voices([engine], VirtualClock(), recorded=recorded, recordings="pack 1")
    speech = await say(voices, "euros")
    assert np.array_equal(speech.pcm[:800], recording)
    assert engine.texts == ["euros"]
    assert "pack 1" in voices.identity
    assert "tone 1" in voices.identity


# Failures --------------------------------------------------------------------------------------


async def test_the_failure_of_one_engine_falls_to_the_next_and_is_counted() -> None:
    first, second, _, voices = two()
    first.trouble = failure()
    chunks = await chunks_of(voices, "un")
    assert second.texts == ["un"]
    assert [chunk.substitute for chunk in chunks] == [True]
    assert (voices.failed, voices.spoken) == ({"first": 1}, {"second": 1})


@pytest.mark.parametrize("trouble", [RuntimeError("no beak"), OSError(24, "too many files")])
async def test_whatever_an_engine_raises_the_next_one_speaks(trouble: Exception) -> None:
    first, second, _, voices = two()
    first.trouble = trouble
    await say(voices, "un")
    assert second.texts == ["un"]
    second.trouble = RuntimeError("no tongue")
    with pytest.raises(VoiceXmlEvent, match="second: RuntimeError: no tongue") as caught:
        await say(voices, "un")
    assert caught.value.name == "error.noresource"


async def test_an_engine_that_places_more_marks_than_there_are_has_failed() -> None:
    first, second, _, voices = two()
    first.marks = (1, 2)
    await say(voices, "un <mark name='m'/>deux")
    assert second.texts == ["un deux"]
    assert (voices.failed, voices.spoken) == ({"first": 1}, {"second": 1})


async def test_an_engine_that_raises_at_its_start_cannot_speak_here() -> None:
    first, _, _, voices = two()
    first.trouble_at_start = RuntimeError("no beak")
    with pytest.raises(VoiceXmlEvent, match="RuntimeError: no beak"):
        await voices.start()


async def test_an_engine_that_takes_too_long_is_given_up() -> None:
    first, second, clock, voices = two(timeout=3.0)
    first.hangs = True
    task = asyncio.create_task(say(voices, "un"))
    async with asyncio.timeout(5):
        while not first.asked:  # noqa: ASYNC110 - the document is read on a thread
            await asyncio.sleep(0)
    await clock.elapse(2.9)
    assert not second.asked
    await clock.elapse(0.2)
    await task
    assert (first.cancelled, second.texts) == (1, ["un"])


async def test_a_failure_between_two_sentences_repeats_and_loses_nothing() -> None:
    first, second, _, voices = two()
    heard = []
    async for chunk in voices.stream(request("un. Deux. Trois.")):
        heard.append(chunk)
        first.trouble = failure()
    assert (first.texts, second.texts) == (["un.", "Deux."], ["Deux.", "Trois."])
    assert [chunk.substitute for chunk in heard if chunk.pcm.any()] == [False, True, True]


async def test_an_engine_that_failed_is_left_alone_for_longer_and_longer() -> None:
    first, second, clock, voices = two()
    first.trouble = failure()
    for rest in (1.0, 2.0, 4.0):
        asked = len(first.asked)
        await say(voices, "un")
        assert len(first.asked) == asked + 1
        await clock.elapse(rest - 0.1)
        await say(voices, "un")
        assert len(first.asked) == asked + 1
        await clock.elapse(0.2)
    first.trouble = None
    await say(voices, "deux")
    assert first.texts[-1] == "deux"
    await say(voices, "trois")
    assert first.texts[-1] == "trois"
    assert second.texts[-1] == "un"


async def test_an_engine_that_is_left_alone_is_still_better_than_silence() -> None:
    engine = ToneEngine()
    engine.trouble = failure()
    voices = Voices([engine], VirtualClock())
    with pytest.raises(VoiceXmlEvent):
        await say(voices, "un")
    engine.trouble = None
    assert (await say(voices, "deux")).pcm.any()


async def test_when_all_fail_the_event_says_how_each_did() -> None:
    first, second, _, voices = two()
    first.trouble, second.trouble = failure("no disk"), failure("no network")
    with pytest.raises(VoiceXmlEvent) as caught:
        await say(voices, "un")
    assert caught.value.name == "error.noresource"
    assert "first: no disk" in caught.value.message
    assert "second: no network" in caught.value.message


async def test_an_engine_that_does_not_say_which_voices_it_has_is_passed_over_for_now() -> None:
    first, second, clock, voices = two()
    answers = first.voice

    async def no_answer(lang: str, names: tuple[str, ...], gender: str) -> Offer | None:
        raise failure("starting")

    first.voice = no_answer  # type: ignore[method-assign]
    (chunk,) = await chunks_of(voices, "un")
    assert second.texts == ["un"]
    assert chunk.substitute
    first.voice = answers  # type: ignore[method-assign]
    await clock.elapse(1.1)
    await say(voices, "deux")
    assert first.texts == ["deux"]


async def test_an_engine_that_does_not_say_which_voices_it_has_is_left_alone() -> None:
    first, second, clock, voices = two(timeout=3.0)
    first.hangs_at_voices = True
    task = asyncio.create_task(say(voices, "un. Deux. Trois."))
    await clock.elapse(3.0)
    assert task.done()
    assert second.texts == ["un.", "Deux.", "Trois."]
    assert voices.failed == {"first": 1}


async def test_an_engine_that_is_left_alone_is_asked_when_the_others_cannot_speak() -> None:
    first, second, _, voices = two()
    first.trouble = failure()
    await say(voices, "un")
    first.trouble, second.trouble = None, failure()
    speech = await say(voices, "<voice gender='female'>deux</voice>")
    assert speech.pcm.any()
    english = ToneEngine("english", Voice("amy", "en"))
    voices = Voices([english, first], VirtualClock())
    english.trouble = failure()
    with pytest.raises(VoiceXmlEvent, match="english: broken"):
        await say(voices, "one", "en")
    english.trouble = None
    assert (await say(voices, "<voice name='amy'>two</voice>", "en")).pcm.any()


async def test_an_engine_that_queues_has_its_time_once_more_for_what_is_before_it() -> None:
    engine = ToneEngine(abilities=Abilities(queues=True))
    clock = VirtualClock()
    voices = Voices([engine], clock, timeout=3.0)
    engine.hangs = True
    task = asyncio.create_task(say(voices, "un"))
    await clock.elapse(5.9)
    assert not task.done()
    await clock.elapse(0.2)
    with pytest.raises(VoiceXmlEvent, match="longer than 6 s"):
        await task


async def test_a_listener_who_leaves_stops_the_work() -> None:
    engine = ToneEngine()
    stream = Voices([engine], VirtualClock()).stream(request("un. Deux. Trois."))
    await anext(stream)
    await stream.aclose()
    assert engine.texts == ["un."]


async def test_engines_start_and_close_with_the_server() -> None:
    first, second, _, voices = two()
    await voices.start()
    await voices.close()
    assert (first.started, second.started, first.closed, second.closed) == (1, 1, 1, 1)
