"""The engine by its sound: lengths, levels, times of marks, and pronunciation.

Because the same words always give the same samples, a document can be compared with the words that
it should say.
"""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import numpy as np
import pytest

from vxml_server.audio import active_level_dbfs, rms_dbfs
from vxml_server.clock import SystemClock
from vxml_server.dtmf import DtmfBank
from vxml_server.events import VoiceXmlEvent
from vxml_server.tts import Speech, SpeechRequest, Voices, libespeak, speech_of
from vxml_server.tts.espeak import EspeakEngine, parameters_of
from vxml_server.tts.libespeak import Cancelled, library
from vxml_server.tts.plan import Style

FR, US = "fr-FR", "en-US"
FRENCH = "Bonjour et bienvenue à la banque. Pour parler à un conseiller, tapez 1."
ENGLISH = "Welcome to the bank. To speak to an operator, press 1."


@pytest.fixture(scope="module")
def engine() -> Voices:
    return Voices([EspeakEngine()], SystemClock())


async def say(engine: Voices, content: str, lang: str = FR, *, gender: str | None = None) -> Speech:
    return await speech_of(
        engine.stream(SpeechRequest(f"<speak>{content}</speak>", lang, gender=gender))
    )


def longest_silence(speech: Speech) -> float:
    """Seconds of the longest run of near silence."""
    quiet = np.abs(speech.pcm.astype(int)) < 50
    edges = np.flatnonzero(np.diff(np.concatenate(([0], quiet.astype(int), [0]))))
    return float((edges[1::2] - edges[::2]).max(initial=0)) / 8000


async def test_speech_is_8_khz_and_as_long_as_its_words(engine: Voices) -> None:
    short, long = await say(engine, "Oui."), await say(engine, FRENCH)
    assert short.pcm.dtype == np.int16
    assert 0.15 < short.duration < 0.5
    assert 2.8 < long.duration < 5
    assert not long.pcm.flags.writeable


@pytest.mark.parametrize("lang", ["fr-FR", "fr-CA", "fr-BE", "fr-CH", "en-US", "en-GB", "de", "es"])
@pytest.mark.parametrize("gender", [None, "male", "female"])
async def test_every_voice_speaks_at_a_level_a_caller_is_comfortable_with(
    engine: Voices, lang: str, gender: str | None
) -> None:
    text = FRENCH if lang.startswith("fr") else ENGLISH
    request = SpeechRequest(f"<speak>{text}</speak>", lang, gender=gender)
    speech = await speech_of(engine.stream(request))
    assert -24 < active_level_dbfs(speech.pcm) < -16
    assert -30 < rms_dbfs(speech.pcm) < -12


async def test_the_same_prompt_sounds_the_same_whatever_was_said_before(
    engine: Voices,
) -> None:
    """The library leaks prosody, flutter, roughness and echo from prompt to prompt."""
    others = [
        "",
        "Bonjour",
        '<prosody rate="x-slow" pitch="x-high" volume="x-soft" range="x-low">lent</prosody>',
        'un <prosody pitch="x-high" volume="x-loud">deux</prosody>',
        '<voice gender="female">une voix</voice>',
        '<s xml:lang="en-US">another language</s>',
        '<emphasis level="strong">fort</emphasis>',
        "<p><s>ceci <mark name='x'/>est</s></p>",
    ]
    french, english = await say(engine, FRENCH), await say(engine, ENGLISH, US)
    for other in others:
        await say(engine, other)
        assert np.array_equal((await say(engine, FRENCH)).pcm, french.pcm), other
        await say(engine, other, US)
        assert np.array_equal((await say(engine, ENGLISH, US)).pcm, english.pcm), other


@pytest.mark.parametrize(
    ("content", "words", "lang"),
    [
        ('<say-as interpret-as="date">2026-05-01</say-as>', "premier mai deux mille vingt-six", FR),
        ('<say-as interpret-as="time">14:30</say-as>', "quatorze heures trente", FR),
        ('<say-as interpret-as="currency">12,50 €</say-as>', "douze euros cinquante", FR),
        ('<say-as interpret-as="ordinal">21</say-as>', "vingt et unième", FR),
        ('<say-as interpret-as="vxml:digits">123</say-as>', "un deux trois", FR),
        ('<say-as interpret-as="vxml:boolean">true</say-as>', "oui", FR),
        ('<say-as interpret-as="number">-5</say-as>', "moins cinq", FR),
        ('<say-as interpret-as="date">2026-05-01</say-as>', "May first, twenty twenty-six", US),
        ('<say-as interpret-as="time">14:30</say-as>', "two thirty p.m.", US),
        ('<say-as interpret-as="currency">$1.50</say-as>', "one dollar and fifty cents", US),
        ('<say-as interpret-as="digits">123</say-as>', "one two three", US),
        ('<say-as interpret-as="vxml:boolean">false</say-as>', "no", US),
        ('<sub alias="World Wide Web Consortium">W3C</sub>', "World Wide Web Consortium", US),
        ("<audio src='x'>un<desc>image</desc> repli</audio>", "un repli", FR),
        ("le 2e à 14 h 30", "le deuxième à quatorze heures trente", FR),
    ],
)
async def test_documents_are_pronounced_as_the_words_they_mean(
    engine: Voices, content: str, words: str, lang: str
) -> None:
    from vxml_server.tts.plan import Text
    from vxml_server.tts.ssml import parse
    from vxml_server.tts.words import normalise

    plan = parse(SpeechRequest(f"<speak>{content}</speak>", lang))
    said = "".join(normalise(item.text, lang) for item in plan.items if isinstance(item, Text))
    voice = "roa/fr" if lang == FR else "gmw/en-US"

    def pronounced(text: str) -> str:
        """Phonemes without stress, which depends on how words are grouped."""
        return "".join(c for c in library().phonemes(text, voice) if c not in " ˈˌ|-")

    assert pronounced(said) == pronounced(words)
    spoken, expected = await say(engine, content, lang), await say(engine, words, lang)
    assert spoken.duration == pytest.approx(expected.duration, rel=0.25)


async def test_a_break_adds_its_own_length_whatever_the_rate(engine: Voices) -> None:
    for rate in ("slow", "fast"):
        with_break = await say(
            engine, f'<prosody rate="{rate}">un<break time="1500ms"/>deux</prosody>'
        )
        one = await say(engine, f'<prosody rate="{rate}">un</prosody>')
        two = await say(engine, f'<prosody rate="{rate}">deux</prosody>')
        assert with_break.duration == pytest.approx(one.duration + 1.5 + two.duration, abs=1e-3)
        assert longest_silence(with_break) == pytest.approx(1.5, abs=0.06)


async def test_silence_at_the_ends_is_trimmed_but_not_the_authors(
    engine: Voices,
) -> None:
    plain = await say(engine, "Bonjour.")
    assert np.abs(plain.pcm[:240].astype(int)).max() > 30
    assert np.abs(plain.pcm[-240:].astype(int)).max() > 30
    padded = await say(engine, '<break time="1s"/>Bonjour.<break time="0.5s"/>')
    assert padded.duration == pytest.approx(1.5 + plain.duration, abs=1e-3)
    assert not padded.pcm[:7900].any()
    assert (await say(engine, '<break time="250ms"/>')).duration == 0.25
    assert (await say(engine, "")).duration == 0
    assert (await say(engine, " . ! ")).duration == 0


async def test_marks_have_the_times_of_the_words_they_precede(engine: Voices) -> None:
    speech = await say(
        engine,
        '<mark name="start"/>Bonjour <mark name="mid"/>tout le monde.'
        '<break time="1s"/><mark name="after"/><mark name="twin"/>Au revoir.<mark name="end"/>',
    )
    times = {mark.name: mark.seconds for mark in speech.marks}
    first = await say(engine, "Bonjour tout le monde.")
    assert list(times) == ["start", "mid", "after", "twin", "end"]
    assert times["start"] <= 0.02
    assert 0.2 < times["mid"] < 0.7
    assert times["after"] == times["twin"] == pytest.approx(first.duration + 1, abs=0.05)
    assert times["end"] == pytest.approx(speech.duration, abs=0.05)


async def test_marks_without_speech_are_where_they_stand(engine: Voices) -> None:
    speech = await say(engine, '<mark name="a"/><break time="1s"/><mark name="b"/>.')
    assert [(mark.name, mark.seconds) for mark in speech.marks] == [("a", 0.0), ("b", 1.0)]


async def test_marks_with_any_name_come_back_as_they_are(engine: Voices) -> None:
    speech = await say(engine, 'un <mark name="&quot;é&lt;&gt;&amp; ]]"/>deux')
    assert [mark.name for mark in speech.marks] == ['"é<>& ]]']


@pytest.mark.parametrize(
    ("attributes", "low", "high"),
    [('rate="slow"', 1.2, 1.5), ('rate="fast"', 0.6, 0.85), ('rate="2.0"', 0.35, 0.65)],
)
async def test_a_rate_changes_the_length(
    engine: Voices, attributes: str, low: float, high: float
) -> None:
    normal = await say(engine, FRENCH)
    changed = await say(engine, f"<prosody {attributes}>{FRENCH}</prosody>")
    assert low < changed.duration / normal.duration < high


@pytest.mark.parametrize(
    ("volume", "change"), [("-6dB", -6), ("soft", -6), ("25", -12), ("+6dB", 6)]
)
async def test_a_volume_changes_the_level(engine: Voices, volume: str, change: float) -> None:
    normal = await say(engine, FRENCH)
    changed = await say(engine, f'<prosody volume="{volume}">{FRENCH}</prosody>')
    difference = active_level_dbfs(changed.pcm) - active_level_dbfs(normal.pcm)
    assert difference == pytest.approx(change, abs=1.5)


async def test_the_loudest_is_bent_and_not_cut(engine: Voices) -> None:
    speech = await say(engine, f'<prosody volume="x-loud">{ENGLISH}</prosody>', US)
    assert np.count_nonzero(np.abs(speech.pcm.astype(int)) >= 32767) < 5


async def test_silent_speech_takes_its_time(engine: Voices) -> None:
    for content in (
        'un <prosody volume="silent">deux trois</prosody> quatre',
        '<prosody volume="silent">un deux</prosody> <prosody rate="0.9">trois</prosody>',
    ):
        speech = await say(engine, content)
        assert longest_silence(speech) > 0.2
        assert np.abs(speech.pcm.astype(int)).max() > 3000
    silent = await say(engine, '<prosody volume="silent">un deux</prosody>')
    assert silent.duration > 0.3
    assert not silent.pcm.any()


def pitch_of(speech: Speech) -> float:
    """Hertz, by autocorrelation of the loudest quarter second."""
    pcm = speech.pcm.astype(float)
    energy = np.convolve(pcm**2, np.ones(2000), "valid")
    part = pcm[int(np.argmax(energy)) :][:2000]
    correlation = np.correlate(part, part, "full")[1999:]
    return 8000 / (25 + int(np.argmax(correlation[25:160])))


async def test_a_pitch_changes_the_pitch(engine: Voices) -> None:
    vowel = "<prosody range='x-low' {}>aaaaaaaaa</prosody>"
    normal = pitch_of(await say(engine, vowel.format("")))
    high = pitch_of(await say(engine, vowel.format('pitch="+40%"')))
    low = pitch_of(await say(engine, vowel.format('pitch="-25%"')))
    assert high / normal == pytest.approx(1.4, abs=0.15)
    assert low / normal == pytest.approx(0.75, abs=0.12)


async def test_prosody_within_a_sentence_does_not_break_it(engine: Voices) -> None:
    plain = await say(engine, "Votre solde est de douze euros")
    slow = await say(engine, 'Votre solde est <prosody rate="80%">de douze</prosody> euros')
    assert plain.duration < slow.duration < 1.5 * plain.duration
    assert longest_silence(slow) < 0.15


async def test_languages_alternate_within_a_prompt(engine: Voices) -> None:
    mixed = await say(engine, 'Dites <s xml:lang="en-US">Welcome</s>')
    french, english = await say(engine, "Dites"), await say(engine, "Welcome", US)
    assert np.array_equal(mixed.pcm[-len(english.pcm) :], english.pcm)
    assert mixed.duration == pytest.approx(french.duration + 0.3 + english.duration, abs=0.02)
    close = await say(engine, 'Dites <voice xml:lang="en-US">Welcome</voice>')
    assert close.duration == pytest.approx(french.duration + 0.06 + english.duration, abs=0.02)


def test_voices_are_found_by_language_name_and_gender() -> None:
    def voice(lang: str, names: tuple[str, ...] = (), gender: str = "") -> str:
        offer = library().offer(lang, names, gender)
        assert offer is not None
        return offer.voice

    assert voice("fr-FR") == voice("fr") == voice("FR_fr") == voice("fr-CA") == "roa/fr"
    assert voice("en-US") == "gmw/en-US"
    assert voice("fr", gender="female") == "roa/fr+f2"
    assert voice("fr", ("nobody", "f3")) == "roa/fr+f3"
    assert voice("fr", ("en-US+f3",)) == "gmw/en-US+f3"
    assert voice("fr", ("tlh+f3",)) == "roa/fr"
    named = library().offer("fr", ("nobody", "f3"))
    assert named is not None
    assert named.named == 1
    assert library().offer("tlh") is None


@pytest.mark.parametrize("lang", ["tlh", "x-klingon", ""])
async def test_a_language_without_a_voice_is_named_in_the_event(engine: Voices, lang: str) -> None:
    with pytest.raises(VoiceXmlEvent) as caught:
        await say(engine, "x", lang)
    assert caught.value.name == "error.unsupported.language"
    assert repr(lang) in caught.value.message


async def test_what_is_not_understood_comes_back_as_warnings(engine: Voices) -> None:
    assert "<blink>" in (await say(engine, "<blink>un</blink>")).warnings[0]


@pytest.mark.parametrize(
    "text", ["[[b@l0k]]", "&lt;break/>", "a\u0085\u2028b", "\u202e\ufeff", "😀 𝔸", "&amp;lt; %s %n"]
)
async def test_text_with_a_meaning_to_the_library_is_harmless(engine: Voices, text: str) -> None:
    assert (await say(engine, f"{text} un")).duration > 0.1


async def test_a_cancelled_prompt_stops_and_leaves_the_engine_ready(
    engine: Voices, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = asyncio.Event()
    loop = asyncio.get_running_loop()
    stopped = threading.Event()
    speak = libespeak.Library.speak

    def watched(
        self: libespeak.Library,
        markup: str,
        voice: str,
        parameters: libespeak.Parameters,
        cancelled: threading.Event,
    ) -> libespeak.Utterance:
        loop.call_soon_threadsafe(started.set)
        # The library starts only once the prompt is given up, so that this cannot be missed.
        cancelled.wait(10)
        try:
            return speak(self, markup, voice, parameters, cancelled)
        except Cancelled:
            stopped.set()
            raise

    monkeypatch.setattr(libespeak.Library, "speak", watched)
    task = asyncio.create_task(say(engine, FRENCH * 100))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    monkeypatch.undo()
    assert (await say(engine, "Oui.")).duration > 0.1  # behind it on the same thread
    assert stopped.is_set()


async def test_the_library_is_left_at_the_first_buffer_after_a_cancellation() -> None:
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(Cancelled):
        library().speak(FRENCH * 100, "roa/fr", libespeak.Parameters(175, 100, 50, 50), cancelled)
    after = library().speak(
        "oui", "roa/fr", libespeak.Parameters(175, 100, 50, 50), threading.Event()
    )
    again = library().speak(
        "oui", "roa/fr", libespeak.Parameters(175, 100, 50, 50), threading.Event()
    )
    assert np.array_equal(after.pcm, again.pcm)


async def test_prompts_asked_for_together_do_not_mix(engine: Voices) -> None:
    texts = [f"message numéro {number}" for number in range(10)]
    alone = [(await say(engine, text)).pcm.tobytes() for text in texts]
    together = await asyncio.gather(*(say(engine, text) for text in texts))
    assert [speech.pcm.tobytes() for speech in together] == alone


def test_a_data_folder_is_copied_where_links_are_not_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, home = tmp_path / "data", tmp_path / "home"
    (data / "voices").mkdir(parents=True)
    (data / "lang").mkdir()
    (data / "lang" / "fr").write_text("language fr\n")
    (data / "phondata").write_bytes(b"\x01")

    def refuse(self: Path, target: Path) -> None:
        raise OSError(f"{self} may not link to {target}")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    voices = libespeak.prepare_home(data, home)
    assert voices == home / "espeak-ng-data" / "voices"
    assert list(voices.iterdir()) == []
    assert (home / "espeak-ng-data" / "lang" / "fr").read_text() == "language fr\n"
    assert (home / "espeak-ng-data" / "phondata").read_bytes() == b"\x01"


async def test_prompts_contain_no_keys(engine: Voices) -> None:
    """A caller's echo of a prompt must not answer it."""
    prompts = [
        (
            await say(engine, f'<prosody pitch="{pitch}">{text * 3}</prosody>', lang, gender=gender)
        ).pcm
        for lang, text in ((FR, FRENCH), (US, ENGLISH))
        for gender in ("male", "female")
        for pitch in ("-20%", "+0%", "+20%")
    ]
    frames = max(len(pcm) for pcm in prompts) // 160 + 1
    samples = np.zeros((len(prompts), frames * 160), np.int16)
    for channel, pcm in enumerate(prompts):
        samples[channel, : len(pcm)] = pcm
    bank = DtmfBank(len(prompts))
    for start in range(0, frames * 160, 160):
        assert not any(bank.feed(samples[:, start : start + 160]))


async def test_a_changed_pitch_sounds_the_same_whatever_the_voice_said_before(
    engine: Voices,
) -> None:
    content = '<prosody rate="fast" pitch="high">Please hold.</prosody>'
    before = await say(engine, content, US)
    await say(engine, ENGLISH, US)
    assert np.array_equal((await say(engine, content, US)).pcm, before.pcm)


async def test_a_pronunciation_is_spoken_and_brackets_of_a_document_are_not_one(
    engine: Voices,
) -> None:
    word = await say(engine, "bonjour")
    told = await say(engine, '<phoneme alphabet="ipa" ph="bɔ̃ʒuʁ">x</phoneme>')
    assert told.duration == pytest.approx(word.duration, rel=0.3)
    brackets = await say(engine, "[[b]]")
    assert (
        brackets.duration
        > (await say(engine, '<phoneme alphabet="x-espeak" ph="b">x</phoneme>')).duration
    )


async def test_brackets_of_a_document_are_no_pronunciation_however_many_or_in_parts(
    engine: Voices,
) -> None:
    spaced = await say(engine, "say [ [ [ h@loU]] now", US)
    in_parts = "say <say-as interpret-as='characters'>[</say-as>[<sub alias='['>b</sub>h@loU]] now"
    for content in ("say [[[h@loU]] now", "say [ [[h@loU]] now", in_parts):
        assert np.array_equal((await say(engine, content, US)).pcm, spaced.pcm)


def test_voices_that_crash_leak_or_lack_their_dictionary_are_not_offered() -> None:
    for lang in ("chr", "chr-US-Qaaa-x-west", "fo", "kaa", "xex"):
        assert library().offer(lang) is None
    assert "robosoft2" not in library().variants
    assert {"f2", "f3", "m3"} <= set(library().variants)


def test_prosody_stays_within_what_the_library_bears() -> None:
    for rate, pitch, pitch_range in ((0.01, 0.01, 9.0), (9.0, 9.0, 0.0)):
        parameters = parameters_of(Style("fr", rate=rate, pitch=pitch, pitch_range=pitch_range))
        assert 80 <= parameters.rate <= 450
        assert 0 <= parameters.pitch <= 99
        assert 0 <= parameters.pitch_range <= 80
