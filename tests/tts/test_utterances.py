from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vxml_server.tts import SpeechRequest, Utterance
from vxml_server.tts.plan import MarkPoint, Pause, Plan, Style, Text
from vxml_server.tts.ssml import parse
from vxml_server.tts.utterances import MAX_LENGTH, in_one_style, is_spoken, utterances


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
