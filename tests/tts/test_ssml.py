from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vxml_server.events import VoiceXmlEvent
from vxml_server.tts import SpeechRequest
from vxml_server.tts.lexicon import Lexicon, load
from vxml_server.tts.plan import Item, MarkPoint, Pause, Phonemes, Plan, Style, Text
from vxml_server.tts.ssml import parse

PLAIN = Style("fr-FR")


def plan_of(content: str, lang: str = "fr-FR") -> Plan:
    return parse(SpeechRequest(f"<speak>{content}</speak>", lang))


def items(content: str) -> list[Item]:
    plan = plan_of(content)
    assert plan.warnings == ()
    return list(plan.items)


def style_of(content: str) -> Style:
    """The style of the only text."""
    (item,) = items(content)
    assert isinstance(item, Text)
    return item.style


def words(content: str) -> str:
    texts = [item.text for item in plan_of(content).items if isinstance(item, Text)]
    return " ".join(" ".join(texts).split())


def test_plain_text_is_one_piece_with_its_spaces_folded() -> None:
    assert items("Bonjour\n   tout le monde") == [Text("Bonjour tout le monde", PLAIN)]


@pytest.mark.parametrize(
    "root",
    [
        '<speak version="1.0" xmlns="http://www.w3.org/2001/10/synthesis" xml:lang="en-US">',
        '<speak xml:lang="en-US">',
        '<prompt xmlns="http://www.w3.org/2001/vxml" xml:lang="en-US">',
    ],
)
def test_the_language_of_the_document_goes_before_that_of_the_request(root: str) -> None:
    end = "</prompt>" if "prompt" in root else "</speak>"
    assert parse(SpeechRequest(f"{root}hello{end}", "fr")).items == (Text("hello", Style("en-US")),)


def test_the_voice_and_gender_of_the_request_are_where_styles_begin() -> None:
    request = SpeechRequest("<speak>x</speak>", "fr", voice="f3", gender="female")
    assert parse(request).items == (Text("x", Style("fr", ("f3",), "female")),)


def test_languages_may_change_within_a_prompt() -> None:
    assert items('Dites <lang xml:lang="en-US">yes</lang> ou <s xml:lang="en">no</s>') == [
        Text("Dites ", PLAIN),
        Text("yes", Style("en-US")),
        Text(" ou ", PLAIN),
        Pause(0.3),
        Text("no", Style("en")),
    ]


def test_another_language_forgets_the_voice_that_was_named_for_the_first() -> None:
    assert style_of('<voice name="Alain"><s xml:lang="en">x</s></voice>') == Style("en")
    assert style_of('<voice name="Alain"><s xml:lang="fr-CA">x</s></voice>').names == ("Alain",)


def test_voices_are_asked_for_by_name_and_gender() -> None:
    style = style_of('<voice name="Julie f3" gender="Female">x</voice>')
    assert (style.names, style.gender) == (("Julie", "f3"), "female")


def test_names_without_measure_are_left_out_with_a_warning() -> None:
    plan = plan_of(
        f'<voice name="Julie {"x" * 600}">un</voice><mark name="{"m" * 1001}"/>'
        f'<s xml:lang="fr{"-CA" * 60}">deux</s>'
    )
    assert plan.items == (Text("un", Style("fr-FR", ("Julie",))), Pause(0.3), Text("deux", PLAIN))
    assert len(plan.warnings) == 3


def test_sentences_and_paragraphs_are_parted_by_pauses_but_not_at_the_ends() -> None:
    content = "<p><s>Un.</s><s>Deux.</s></p> <p>Trois.</p>"
    assert items(content) == [
        Text("Un.", PLAIN),
        Pause(0.3),
        Text("Deux.", PLAIN),
        Pause(0.6),
        Text("Trois.", PLAIN),
    ]


@pytest.mark.parametrize(
    ("attributes", "seconds"),
    [
        ("", 0.4),
        ('strength="x-weak"', 0.1),
        ('strength="weak"', 0.2),
        ('strength="medium"', 0.4),
        ('strength="strong"', 0.7),
        ('strength="x-strong"', 1.0),
        ('time="300ms"', 0.3),
        ('time="1.5s"', 1.5),
        ('time="+.5s"', 0.5),
        ('strength="weak" time="2s"', 2.0),
        ('time="small"', 0.2),
    ],
)
def test_breaks_last_as_they_say(attributes: str, seconds: float) -> None:
    assert items(f"a<break {attributes}/>b") == [
        Text("a", PLAIN),
        Pause(seconds),
        Text("b", PLAIN),
    ]


def test_a_break_of_the_author_replaces_the_pause_between_sentences() -> None:
    content = '<s>a</s><break time="1s"/><s>b</s><break strength="none"/><s>c</s>'
    assert items(content) == [Text("a", PLAIN), Pause(1.0), Text("b c", PLAIN)]


def test_all_pauses_together_are_bounded() -> None:
    for breaks in ('<break time="50s"/>' * 4, '<break time="50s"/>' * 2 + '<break time="99999s"/>'):
        plan = plan_of(breaks)
        pauses = [item.seconds for item in plan.items if isinstance(item, Pause)]
        assert pauses == [50.0, 50.0, 20.0]
        assert "longer than 120 s" in plan.warnings[0]


def test_marks_stay_where_they_are() -> None:
    assert items('<mark name="a"/>un <mark name="b"/>deux<mark name="c"/>') == [
        MarkPoint("a"),
        Text("un ", PLAIN),
        MarkPoint("b"),
        Text("deux", PLAIN),
        MarkPoint("c"),
    ]


@pytest.mark.parametrize(
    ("attributes", "field", "value"),
    [
        ('rate="slow"', "rate", 0.75),
        ('rate="x-fast"', "rate", 1.75),
        ('rate="0.5"', "rate", 0.5),
        ('rate="80%"', "rate", 0.8),
        ('rate="+20%"', "rate", 1.2),
        ('rate="-50%"', "rate", 0.5),
        ('rate="1000"', "rate", 3.0),
        ('rate="0"', "rate", 0.3),
        ('pitch="high"', "pitch", 1.15),
        ('pitch="+12st"', "pitch", 2.0),
        ('pitch="-10%"', "pitch", 0.9),
        ('pitch="210Hz"', "pitch", 2.0),
        ('pitch="+52.5Hz"', "pitch", 1.5),
        ('range="x-low"', "pitch_range", 0.25),
        ('range="+50%"', "pitch_range", 1.5),
        ('range="105Hz"', "pitch_range", 2.0),
        ('range="+26.25Hz"', "pitch_range", 1.5),
        ('duration="2s"', "rate", 0.3),
        ('duration="1ms"', "rate", 1.0),
        ('duration="100ms" rate="x-fast"', "rate", 0.5),
        ('volume="soft"', "gain_db", -6.0),
        ('volume="+3dB"', "gain_db", 3.0),
        ('volume="50"', "gain_db", pytest.approx(-6.02, abs=0.01)),
        ('volume="-50"', "gain_db", pytest.approx(-6.02, abs=0.01)),
        ('volume="100"', "gain_db", 0.0),
        ('volume="silent"', "silent", True),
        ('volume="0"', "silent", True),
        ('volume="-100"', "silent", True),
    ],
)
def test_prosody_changes_the_style_of_its_content(
    attributes: str, field: str, value: object
) -> None:
    assert getattr(style_of(f"<prosody {attributes}>x</prosody>"), field) == value


def test_prosody_within_prosody_changes_what_is_there_and_ends_with_its_element() -> None:
    content = 'a<prosody rate="0.5">b<prosody rate="+100%">c</prosody>d</prosody>e'
    rates = [item.style.rate for item in items(content) if isinstance(item, Text)]
    assert rates == [1.0, 0.5, 1.0, 0.5, 1.0]


def test_a_pitch_in_hertz_is_for_the_voice_that_speaks() -> None:
    style = style_of('<voice gender="female"><prosody pitch="190Hz">x</prosody></voice>')
    assert style.pitch == 1.0


def test_emphasis_is_slower_higher_and_louder() -> None:
    strong, reduced = (
        style_of(f'<emphasis level="{x}">x</emphasis>') for x in ("strong", "reduced")
    )
    assert strong.rate < 1 < strong.pitch
    assert strong.gain_db > 0 > reduced.gain_db
    assert style_of('<emphasis level="none">x</emphasis>') == PLAIN
    assert style_of("<emphasis>x</emphasis>").gain_db == 1.5


def test_say_as_becomes_words_that_do_not_run_into_their_neighbours() -> None:
    content = 'à<say-as interpret-as="time">14:30</say-as>.'
    assert items(content) == [
        Text("à", PLAIN),
        Text(" quatorze heures trente", PLAIN, said_as="time"),
        Text(".", PLAIN),
    ]
    assert words('<say-as interpret-as="digits">12</say-as>fin') == "un deux fin"
    assert words('<say-as type="number:ordinal">2</say-as>') == "deuxième"
    assert words('<say-as interpret-as="date" format="dmy"> 01/05/2026 </say-as>') == (
        "premier mai deux mille vingt-six"
    )
    assert words('<s xml:lang="en"><say-as interpret-as="ordinal">2</say-as></s>') == "second"


def test_sub_is_its_alias() -> None:
    assert words('le <sub alias="World Wide Web">W3</sub> est là') == "le World Wide Web est là"
    assert words("<sub>W3C</sub>") == "W3C"


def test_what_is_not_speech_is_left_out() -> None:
    content = (
        '<metadata>m</metadata><meta name="x" content="y"/><lexicon uri="http://example/x"/>'
        '<audio src="x.wav"><desc>une image</desc>repli</audio><!-- non --><?pi non?> fin'
    )
    assert words(content) == "repli fin"


def test_a_phoneme_keeps_its_words_beside_its_pronunciation() -> None:
    assert items('la <phoneme alphabet="ipa" ph="tɔ.ma.to">tomate</phoneme> mûre') == [
        Text("la ", PLAIN),
        Text("tomate", PLAIN, Phonemes("tɔ.ma.to")),
        Text(" mûre", PLAIN),
    ]
    assert items('<phoneme alphabet="x-sampa" ph="tO.ma.to"/>') == [
        Text("tɔ.ma.to", PLAIN, Phonemes("tɔ.ma.to"))
    ]


def test_a_voice_is_asked_for_by_age_and_variant_too() -> None:
    style = style_of('<voice age="6" variant="2" gender="female">x</voice>')
    assert (style.age, style.variant, style.gender) == (6, 2, "female")


def test_a_voice_of_another_kind_forgets_the_one_that_was_named() -> None:
    assert style_of('<voice name="Alain"><voice gender="female">x</voice></voice>').names == ()
    assert style_of('<voice name="Alain"><voice>x</voice></voice>').names == ("Alain",)


def test_a_contour_bends_the_pitch_word_by_word() -> None:
    content = '<prosody contour="(0%,+0%) (100%,+100%)">un deux trois quatre</prosody> cinq'
    pitches = [(item.text, item.style.pitch) for item in items(content) if isinstance(item, Text)]
    assert [text for text, _ in pitches] == ["un ", "deux ", "trois ", "quatre", " cinq"]
    rising = [pitch for _, pitch in pitches[:4]]
    assert rising == sorted(rising)
    assert 1.0 <= rising[0] < 1.2
    assert 1.7 < rising[3] <= 2.0
    assert pitches[4][1] == 1.0


def test_a_contour_keeps_its_nearest_target_beyond_its_ends_and_leaves_out_what_is_outside() -> (
    None
):
    content = '<prosody contour="(-20%,x-low)(50%,+50%)(130%,x-low)">un deux</prosody>'
    assert style_of(content).pitch == 1.5


def test_a_duration_leaves_pauses_as_they_are() -> None:
    spoken = "x" * 40  # two seconds at the ordinary pace
    content = f'a<prosody duration="3s">{spoken}<break time="1s"/>{spoken}</prosody>'
    a, one, pause, other = items(content)
    assert pause == Pause(1.0)
    assert isinstance(a, Text)
    assert isinstance(one, Text)
    assert isinstance(other, Text)
    assert (a.style.rate, one.style.rate, other.style.rate) == (1.0, 2.0, 2.0)


LEXICON = load(
    """<lexicon version="1.0" xmlns="http://www.w3.org/2005/01/pronunciation-lexicon"
        alphabet="ipa" xml:lang="fr">
      <lexeme><grapheme>SNCF</grapheme><alias>société nationale</alias></lexeme>
      <lexeme><grapheme>tomate</grapheme><phoneme>tɔ.mat</phoneme></lexeme>
    </lexicon>""".encode()
)


def lexicon_of(written: str, said: str) -> Lexicon:
    return load(
        f"""<lexicon version="1.0" xmlns="http://www.w3.org/2005/01/pronunciation-lexicon"
         alphabet="ipa" xml:lang="fr"><lexeme><grapheme>{written}</grapheme>{said}</lexeme>
        </lexicon>""".encode()
    )


@pytest.mark.parametrize(
    "said", [f"<alias>{'mot ' * 200}</alias>", f"<phoneme>{'a' * 500}</phoneme>"]
)
def test_what_a_lexicon_makes_longer_counts_as_it_is_spoken(said: str) -> None:
    lexicons = (lexicon_of("a", said),)
    assert parse(SpeechRequest("<speak>a a a</speak>", "fr", lexicons=lexicons)).items
    with pytest.raises(VoiceXmlEvent, match="more than 20000 characters to speak") as caught:
        parse(SpeechRequest(f"<speak>{'a ' * 1000}</speak>", "fr", lexicons=lexicons))
    assert caught.value.name == "error.semantic"


def test_a_pronunciation_of_a_document_counts_as_it_is_spoken() -> None:
    with pytest.raises(VoiceXmlEvent, match="more than 20000 characters to speak"):
        plan_of(f"<phoneme ph='{'a' * 500}'>a</phoneme>" * 50)


def test_lexicons_without_end_are_left_out_with_a_warning() -> None:
    many = tuple(lexicon_of(f"a{number}", "<alias>b</alias>") for number in range(1500))
    plan = parse(SpeechRequest("<speak>a0 a19 a20</speak>", "fr", lexicons=many))
    assert plan.items == (Text("b b a20", Style("fr")),)
    assert [warning.partition("> ")[2] for warning in plan.warnings] == [
        "has more than 20 lexicons"
    ]
    same = parse(SpeechRequest("<speak>a0</speak>", "fr", lexicons=many[:1] * 1500))
    assert (same.items, same.warnings) == ((Text("b", Style("fr")),), ())


def test_words_are_said_as_the_lexicon_of_their_language_has_them() -> None:
    document = '<speak>La SNCF et la tomate. <s xml:lang="en">The SNCF</s></speak>'
    plan = parse(SpeechRequest(document, "fr-FR", lexicons=(LEXICON,)))
    assert plan.items == (
        Text("La société nationale et la ", PLAIN),
        Text("tomate", PLAIN, Phonemes("tɔ.mat")),
        Text(". ", PLAIN),
        Pause(0.3),
        Text("The SNCF", Style("en")),
    )


def test_what_a_say_as_says_is_not_looked_up() -> None:
    document = '<speak><say-as interpret-as="characters">SNCF</say-as></speak>'
    (item,) = parse(SpeechRequest(document, "fr-FR", lexicons=(LEXICON,))).items
    assert isinstance(item, Text)
    assert item.text == "S, N, C, F"


def test_marks_and_warnings_are_bounded() -> None:
    with pytest.raises(VoiceXmlEvent, match="marks"):
        plan_of('<mark name="a"/>' * 1001)
    assert len(plan_of("<blink>x</blink>" * 200).warnings) == 50


def test_a_version_that_is_none_is_warned_of() -> None:
    plan = parse(SpeechRequest('<speak version="9">x</speak>', "fr"))
    assert plan.warnings == ("line 1: <speak> has an unknown version '9'",)


@pytest.mark.parametrize(
    ("content", "heard", "warning"),
    [
        ("<blink>x</blink>", "x", "<blink> is not known"),
        ('<x:y xmlns:x="urn:z">x</x:y>', "x", "is not known"),
        ('a<break strength="huge"/>', "a", "unknown strength 'huge'"),
        ('a<break time="soon"/>', "a", "'soon'"),
        ('<prosody rate="often">x</prosody>', "x", "has a rate that is none"),
        ('<prosody pitch="+5">x</prosody>', "x", "has a pitch that is none"),
        ('<prosody range="5dB">x</prosody>', "x", "has a range that is none"),
        ('<prosody volume="+5st">x</prosody>', "x", "has a volume that is none"),
        ('<prosody volume="very">x</prosody>', "x", "has a volume that is none"),
        ('<prosody contour="(0%;+20Hz)">x</prosody>', "x", "has a contour that is none"),
        ('<prosody contour="(0%,loud)">x</prosody>', "x", "has a contour that is none"),
        ('<prosody contour="(1.2.3%,high)">x</prosody>', "x", "has a contour that is none"),
        ('<prosody duration="soon">x</prosody>', "x", "has a duration that is none"),
        ('<prosody duration="0s">x</prosody>', "x", "has a duration that is none"),
        ('<voice age="old">x</voice>', "x", "has age that is none"),
        ('<voice variant="0">x</voice>', "x", "has variant that is none"),
        ('<s xml:lang="en_US!">x</s>', "x", "xml:lang that is none"),
        ("<p><p>x</p></p>", "x", "<p> may not stand in <p>"),
        ("<s><p>x</p></s>", "x", "<p> may not stand in <s>"),
        ('<phoneme alphabet="klingon" ph="a">x</phoneme>', "x", "not understood"),
        ('<phoneme ph="\u0416">x</phoneme>', "x", "not understood"),
        ("<phoneme>x</phoneme>", "x", "no ph"),
        ('<phoneme ph="a">x<sub alias="y">z</sub></phoneme>', "xy", ""),
        ('<emphasis level="big">x</emphasis>', "x", "unknown level"),
        ('<voice gender="robot">x</voice>', "x", "unknown gender"),
        ("<mark/>x", "x", "<mark> has no name"),
        ('<say-as interpret-as="date">demain</say-as>', "demain", "not understood as 'date'"),
        ('<say-as interpret-as="date">a <sub alias="b">c</sub></say-as>', "a b", "elements in it"),
    ],
)
def test_what_is_not_understood_is_warned_of_and_its_content_spoken(
    content: str, heard: str, warning: str
) -> None:
    assert words(content) == heard
    if warning:
        assert any(
            warning in text and text.startswith("line 1:") for text in plan_of(content).warnings
        )


def test_a_document_with_another_root_is_spoken_with_a_warning() -> None:
    plan = parse(SpeechRequest("<p>x</p>", "fr"))
    assert plan.items == (Text("x", Style("fr")),)
    assert plan.warnings == ("line 1: <p> is not <speak>",)


BOMB = (
    '<!DOCTYPE speak [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    "<speak>x&b;y</speak>"
)


def test_entities_are_not_expanded_and_files_not_read() -> None:
    plan = parse(SpeechRequest(BOMB, "fr"))
    assert [item.text for item in plan.items if isinstance(item, Text)] == ["xy"]
    assert plan.warnings == ("line 1: <speak> has an entity that is not read: &b;",)
    file = '<!DOCTYPE speak [<!ENTITY f SYSTEM "file:///etc/passwd">]><speak>x&f;y</speak>'
    plan = parse(SpeechRequest(file, "fr"))
    assert [item.text for item in plan.items if isinstance(item, Text)] == ["xy"]


@pytest.mark.parametrize(
    ("ssml", "reason"),
    [
        ("", "not well-formed"),
        ("bonjour", "not well-formed"),
        ("<speak>", "not well-formed"),
        ("<speak>&nosuch;</speak>", "not well-formed"),
        ("<speak>\x00</speak>", "not well-formed"),
        (f"<speak>{'<p>' * 100}x{'</p>' * 100}</speak>", "nested"),
        (f"<speak>{'mot ' * 6000}</speak>", "characters"),
        (f"<speak><!--{'x' * 300_000}--></speak>", "larger"),
    ],
)
def test_what_is_no_document_or_beyond_the_limits_is_a_semantic_error(
    ssml: str, reason: str
) -> None:
    with pytest.raises(VoiceXmlEvent, match=reason) as caught:
        parse(SpeechRequest(ssml, "fr"))
    assert caught.value.name == "error.semantic"


ELEMENTS = ["p", "s", "break", "mark", "prosody", "emphasis", "voice", "say-as", "sub", "other"]
ATTRIBUTES = ["rate", "pitch", "volume", "range", "time", "strength", "name", "interpret-as"]
VALUES = ["slow", "-5%", "+2st", "1e9", "99999999999999", "-", "", "silent", "0.0", "+900000000st"]

documents = st.recursive(
    st.sampled_from(["un", "2", " ", "é.", "&#x202e;", "<!-- c -->"]),
    lambda inner: st.builds(
        lambda name, attribute, value, content: (
            f'<{name} {attribute}="{value}">{"".join(content)}</{name}>'
        ),
        st.sampled_from(ELEMENTS),
        st.sampled_from(ATTRIBUTES),
        st.sampled_from(VALUES),
        st.lists(inner, max_size=3),
    ),
    max_leaves=12,
)


@given(documents)
def test_any_document_becomes_a_plan_with_styles_in_bounds(content: str) -> None:
    for item in plan_of(content).items:
        if isinstance(item, Text):
            assert item.text
            assert 0.3 <= item.style.rate <= 3.0
            assert 0.5 <= item.style.pitch <= 2.0
            assert 0.0 <= item.style.pitch_range <= 2.0
            assert -40.0 <= item.style.gain_db <= 6.0


@given(st.text(max_size=60))
def test_any_text_is_a_document_or_a_semantic_error(text: str) -> None:
    try:
        parse(SpeechRequest(text, "fr"))
    except VoiceXmlEvent as event:
        assert event.name == "error.semantic"
