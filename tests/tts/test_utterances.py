from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vxml_server.tts import SpeechRequest, Utterance
from vxml_server.tts.plan import MarkPoint, Pause, Plan, Style, Text
from vxml_server.tts.ssml import parse
from vxml_server.tts.utterances import (
    MAX_LENGTH,
    MAX_PIECES,
    in_one_style,
    is_spoken,
    utterances,
)
from vxml_server.tts.wire import LENGTHS, MAX_HEADER, Frame, Speak, encode, lengths


def cut(content: str, lang: str = "fr-FR") -> list[str | float]:
    """What is said in one go as text, pauses as seconds, lone marks in brackets."""
    parts: list[str | float] = []
    for part in utterances(parse(SpeechRequest(f"<speak>{content}</speak>", lang))):
        if isinstance(part, Utterance):
            parts.append(part.text)
        elif isinstance(part, Pause):
            parts.append(part.seconds)
        elif isinstance(part, MarkPoint):
            parts.append(f"[{part.name}]")
    return parts


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("Bonjour. Au revoir.", ["Bonjour.", 0.3, "Au revoir."]),
        ("Vraiment ?! Oui… Non", ["Vraiment ?!", 0.3, "Oui…", 0.3, "Non"]),
        ("Tapez 1. Pour les ventes", ["Tapez 1.", 0.3, "Pour les ventes"]),
        ("Voici M. Dupont et J. Smith.", ["Voici M. Dupont et J. Smith."]),
        ("Il dit «Bonjour.» Elle part.", ["Il dit «Bonjour.»", 0.3, "Elle part."]),
        ("environ 3.5 etc. et puis", ["environ 3.5 etc. et puis"]),
        ("Un. <emphasis>Deux.</emphasis> Trois.", ["Un.", 0.3, "Deux.", 0.3, "Trois."]),
        ("Un <emphasis>deux</emphasis> trois.", ["Un deux trois."]),
        ("Un. <break time='1s'/> Deux.", ["Un.", 1.0, "Deux."]),
        ("<mark name='a'/><break time='1s'/>.", ["[a]", 1.0]),
        ("你好。再见。", ["你好。", 0.3, "再见。"]),
    ],
)
def test_a_plan_is_cut_at_the_ends_of_its_sentences(content: str, parts: list[str | float]) -> None:
    assert cut(content) == parts


def test_a_sentence_without_end_is_cut_where_a_reader_takes_breath() -> None:
    parts = cut("un deux trois, " * 60)
    texts = [part for part in parts if isinstance(part, str)]
    assert all(len(text) <= MAX_LENGTH for text in texts)
    assert all(text.endswith(",") for text in texts)
    assert "".join(texts).count("trois") == 60
    assert [part for part in parts if isinstance(part, float)] == [0.15] * (len(texts) - 1)


def test_another_voice_begins_another_utterance() -> None:
    assert cut("Dites <voice xml:lang='en'>welcome</voice> ici") == ["Dites", "welcome", "ici"]


WORD = "<emphasis>word</emphasis> word "


def signs(said: Utterance) -> int:
    """Of the pronunciations in it."""
    texts = [item for item in said.items if isinstance(item, Text)]
    return sum(len(text.phonemes.notation) for text in texts if text.phonemes)


@pytest.mark.parametrize(
    "content",
    [
        WORD * 400,
        "<emphasis>a</emphasis>b" * 3000,
        "<phoneme ph='a'>word</phoneme> word " * 400,
        f"<phoneme ph='a'>{'word ' * 100}</phoneme>",
        f"<phoneme ph='{'a' * 250}'>word</phoneme> " * 40,
        f"word <phoneme ph='{'a' * 500}'>word</phoneme>" * 10,
        "<say-as interpret-as='characters'>AB</say-as> " * 400,
        f"<prosody contour='(0%,+20Hz)(50%,high)(100%,-20%)'>{'some word ' * 400}</prosody>",
        f"{'w' * 290} <emphasis>{'x' * 290}</emphasis> {WORD * 5}",
        "<mark name='m'/>" * 400 + "word",
    ],
)
def test_what_is_said_in_one_go_is_bounded_in_however_many_elements_it_stands(content: str) -> None:
    plan = parse(SpeechRequest(f"<speak>{content}</speak>", "en"))
    parts = list(utterances(plan))
    said = [part for part in parts if isinstance(part, Utterance)]
    assert max(len(part.text) for part in said) <= MAX_LENGTH
    assert max(len(part.items) for part in said) <= MAX_PIECES
    assert all(signs(part) <= MAX_LENGTH or len(part.items) == 1 for part in said)
    whole = "".join(item.text for item in plan.items if isinstance(item, Text))
    assert "".join("".join(part.text for part in said).split()) == "".join(whole.split())
    pauses = [part.seconds for part in parts if isinstance(part, Pause)]
    assert pauses == [0.15] * (len(said) - 1)


def test_a_sentence_of_many_elements_is_cut_where_a_reader_takes_breath() -> None:
    content = "<emphasis>un</emphasis> deux <emphasis>trois</emphasis>, " * 60
    texts = [part for part in cut(content) if isinstance(part, str)]
    assert all(text.endswith(",") for text in texts)
    assert "".join(texts).count("trois") == 60


def test_a_pronunciation_is_not_cut_but_for_a_page_there_is_none() -> None:
    word = "<phoneme ph='a'>un mot, dit ainsi</phoneme>"
    parts = list(utterances(parse(SpeechRequest(f"<speak>{(word + ' ') * 100}</speak>", "fr"))))
    items = [item for part in parts if isinstance(part, Utterance) for item in part.items]
    said = [item for item in items if isinstance(item, Text) and item.phonemes]
    assert [item.text for item in said] == ["un mot, dit ainsi"] * 100
    page = f"<speak><phoneme ph='a'>{'mot ' * 200}</phoneme></speak>"
    (first, *_) = utterances(parse(SpeechRequest(page, "fr")))
    assert isinstance(first, Utterance)
    assert all(isinstance(item, Text) and item.phonemes is None for item in first.items)


NAME = "\N{ROLLING ON THE FLOOR LAUGHING}" * 2000


@pytest.mark.parametrize(
    "content",
    [
        "<emphasis>a</emphasis>b " * 3000,
        f"<voice name='{NAME} {'ab ' * 3000}'>{WORD * 700}</voice>",
        f"<p xml:lang='{'en-abcdefgh' * 900}'>{WORD * 700}</p>",
        f"<mark name='{NAME}'/>word " * 20,
        f"<mark name='{NAME[:900]}'/>word " * 60,
        f"<say-as interpret-as='number:{'x' * 2000}'>1</say-as> " * 100,
        "<phoneme ph='\u0251\u0303'>word</phoneme> " * 4000,
        "a" * 20_000,
        "&quot;\\" * 9000,
    ],
)
@pytest.mark.parametrize("lang", ["en", "en-" + "x" * 10_000])
def test_no_document_makes_a_message_that_a_child_process_refuses(content: str, lang: str) -> None:
    request = SpeechRequest(f"<speak>{content}</speak>", lang, voice="v" * 10_000)
    for part in utterances(parse(request)):
        if isinstance(part, Utterance):
            frame = encode(Frame(speak=Speak(part, "x")))
            assert lengths(frame[: LENGTHS.size])[0] < 0.75 * MAX_HEADER


def test_many_elements_take_time_in_proportion() -> None:
    """Eight times as many took sixty times as long."""

    def seconds(count: int) -> float:
        plan = parse(SpeechRequest(f"<speak>{'<emphasis>a</emphasis>b' * count}</speak>", "en"))
        before = time.process_time()
        assert list(utterances(plan))
        return time.process_time() - before

    assert min(seconds(8000) for _ in range(3)) < 24 * min(seconds(1000) for _ in range(5))


STYLES = st.sampled_from(
    [Style("fr"), Style("fr", rate=2.0), Style("en"), Style("fr", silent=True)]
)
ITEMS = st.one_of(
    st.builds(Text, st.text(alphabet="ab .,!?5M。 \n", max_size=400), STYLES),
    st.builds(Pause, st.floats(0.01, 2)),
    st.builds(MarkPoint, st.sampled_from("xyz")),
)


@given(st.lists(ITEMS, max_size=8))
def test_nothing_of_a_plan_is_lost_or_moved(items: list[Text | Pause | MarkPoint]) -> None:
    def letters(text: str) -> str:
        return "".join(text.split())

    said, marks = "", []
    for part in utterances(Plan(tuple(items))):
        if isinstance(part, MarkPoint):
            marks.append(part.name)
        elif isinstance(part, Utterance):
            assert is_spoken(part.text)
            assert len(part.text) <= MAX_LENGTH
            assert len({i.style.voice for i in part.items if isinstance(i, Text)}) == 1
            said += letters(part.text)
            marks += part.marks
            pieces = list(in_one_style(part))
            assert "".join(letters(p.text) for p in pieces) == letters(part.text)
            assert tuple(mark for p in pieces for mark in p.marks) == part.marks
    wanted = letters("".join(i.text for i in items if isinstance(i, Text) and is_spoken(i.text)))
    # Punctuation that stands alone may go; letters may not, nor change their order.
    assert [c for c in said if c.isalnum()] == [c for c in wanted if c.isalnum()]
    assert marks == [item.name for item in items if isinstance(item, MarkPoint)]
