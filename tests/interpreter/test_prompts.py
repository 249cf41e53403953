"""Prompts: section 4.1 of VoiceXML 2.0, and what becomes of them for the platform."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from tests.interpreter.harness import Web, call, field, heard, records, thrown, vxml, yes
from vxml_server.ecmascript import Engine
from vxml_server.events import VoiceXmlEvent
from vxml_server.interpreter.compiler import compile_document
from vxml_server.interpreter.platform import AudioSegment, Prompt, Segment, SpeechSegment
from vxml_server.interpreter.prompts import MAX_LEXICONS, PromptBuilder
from vxml_server.interpreter.properties import Properties
from vxml_server.interpreter.scopes import Scopes
from vxml_server.interpreter.speech import Template

URI = "http://test/main.vxml"


def built(
    content: str,
    attributes: str = "",
    variables: dict[str, object] | None = None,
    *,
    twice: bool = False,
) -> Prompt | None:
    """The prompt that `<prompt>` with this content becomes."""
    body = vxml(f"<form><block><prompt {attributes}>{content}</prompt></block></form>")
    document = compile_document(body.encode(), URI)
    engine = Engine()
    scopes = Scopes(engine, engine.new_scope())
    scopes.enter_application()
    for name, value in (variables or {}).items():
        engine.set_json(scopes.scope("application"), name, value)
    block = document.dialogs[0].elements[0]
    builder = PromptBuilder(scopes, Properties([]), "en", URI)
    made = builder.prompt(block.elements[0])
    assert made is not None or twice
    if twice:
        assert builder.prompt(block.elements[0]) == made, "it is the same when it comes again"
    return made


def ssml(content: str) -> list[str]:
    """What the synthesiser is given for the content, without the envelope."""
    start = '<speak version="1.0" xmlns="http://www.w3.org/2001/10/synthesis" xml:lang="en">'
    speech = [segment.ssml for segment in built(content).segments if _is_speech(segment)]
    assert all(text.startswith(start) and text.endswith("</speak>") for text in speech)
    return [text.removeprefix(start).removesuffix("</speak>") for text in speech]


def _is_speech(segment: Segment) -> bool:
    return isinstance(segment, SpeechSegment)


def words(content: str) -> list[str]:
    return [
        segment.text if isinstance(segment, SpeechSegment) else segment.uri
        for segment in built(content).segments
    ]


# Lexicons ----------------------------------------------------------------------------------------


def test_lexicons_are_fetched_for_all_speech_of_the_prompt_and_for_alternatives() -> None:
    made = built('<lexicon uri="a.pls"/>one<audio src="b.wav">two</audio>three')
    one, sound, three = made.segments
    assert isinstance(one, SpeechSegment)
    assert isinstance(sound, AudioSegment)
    assert isinstance(three, SpeechSegment)
    (two,) = sound.fallback
    assert isinstance(two, SpeechSegment)
    for segment in (one, two, three):
        assert [request.uri for request in segment.lexicons] == ["http://test/a.pls"]
        assert "lexicon" not in segment.ssml


def test_a_prompt_has_not_more_lexicons_than_it_has_use_for() -> None:
    (speech,) = built("".join(f'<lexicon uri="{n}.pls"/>' for n in range(99)) + "x").segments
    assert isinstance(speech, SpeechSegment)
    assert len(speech.lexicons) == MAX_LEXICONS


# Speech ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "markup",
    [
        "plain",
        "a &amp; b &lt; c",
        '<emphasis level="strong">now</emphasis>',
        '<prosody rate="slow"><s>one</s><s>two</s></prosody>',
        '<say-as interpret-as="digits">12</say-as>',
        '<voice xml:lang="fr">bonjour</voice>',
        '<sub alias="World Wide Web Consortium">W3C</sub>',
        '<phoneme alphabet="ipa" ph="x">x</phoneme>',
        '<mark name="m"></mark>',
    ],
)
def test_markup_reaches_the_synthesiser_as_it_is(markup: str) -> None:
    assert ssml(markup) == [markup.replace('"></mark>', '"/>')]


def test_what_is_heard_is_plain_words() -> None:
    assert words('one <emphasis>two</emphasis>\n <sub alias="three">3</sub><p>four</p>five') == [
        "one two three four five"
    ]


def test_an_envelope_in_the_prompt_is_taken_off() -> None:
    assert ssml('<speak version="1.0"><s>one</s></speak>') == ["<s>one</s>"]


async def test_a_prompt_with_nothing_in_it_is_not_heard() -> None:
    result = await call(
        f'<form><field name="f">{yes()}<prompt/><prompt>one</prompt></field></form>', "say: yes"
    )
    assert heard(result) == ["one"]


def test_what_is_not_for_the_ear_is_left_out() -> None:
    assert words('a<desc>x</desc><metadata>y</metadata><lexicon uri="z"/>b') == ["ab"]


def test_values_are_text_and_never_markup() -> None:
    made = built('<value expr="v"/>', variables={"v": "<break/> & \u0000\u0007\uffff"})
    assert "&lt;break/&gt; &amp; " in made.segments[0].ssml  # type: ignore[union-attr]


def test_a_pause_alone_is_a_prompt_and_white_space_is_none() -> None:
    assert ssml('<break time="1s"/>') == ['<break time="1s"></break>']
    engine = Engine()
    builder = PromptBuilder(Scopes(engine, engine.new_scope()), Properties([]), "en", URI)
    document = compile_document(
        vxml("<form><block><prompt> </prompt></block></form>").encode(), URI
    )
    block = document.dialogs[0].elements[0]
    assert builder.prompt(block.elements[0]) is None


PARTS = st.recursive(
    st.sampled_from(
        [
            *("one ", " ", "a &lt; b", "\ue2a7", '<value expr="v"/>', '<value expr="w"/>'),
            *("<break/>", '<mark name="m"/>', '<audio src="a.wav">b</audio>', "<enumerate/>"),
            *('<sub alias="x">y</sub>', "<metadata>no</metadata>", '<lexicon uri="l"/>'),
        ]
    ),
    lambda inner: st.builds(
        "<{0}>{1}</{0}>".format,
        st.sampled_from(["p", "s", "emphasis", "prosody"]),
        st.lists(inner, max_size=3).map("".join),
    ),
)


@given(
    st.lists(PARTS, max_size=6).map("".join),
    st.sampled_from(["", " ", "x & y", "urn:x-recording:1"]),
)
@settings(deadline=None)
def test_a_template_makes_the_same_prompt_as_its_parts_one_by_one(content: str, value: str) -> None:
    def outcome() -> object:
        try:
            return built(content, variables={"v": value, "w": 7}, twice=True)
        except VoiceXmlEvent as event:
            return event.name, event.message

    # The first time its parts are assembled; `built` sees to it that the second is the same.
    outcome()


def test_a_prompt_that_comes_again_has_a_template(monkeypatch: pytest.MonkeyPatch) -> None:
    filled: list[Sequence[str]] = []

    def fill(template: Template, values: Sequence[str], lang: str) -> SpeechSegment:
        filled.append(values)
        return SpeechSegment("<speak>one x</speak>", "one x", lang)

    monkeypatch.setattr(Template, "filled", fill)
    with pytest.raises(AssertionError, match="comes again"):
        built('one <emphasis><value expr="v"/></emphasis>', variables={"v": "x"}, twice=True)
    assert filled == [["x"]]


def test_marks_are_named_and_may_be_computed() -> None:
    made = built('a<mark name="x"/>b<mark nameexpr="\'y\' + 1"/>c')
    assert isinstance(made.segments[0], SpeechSegment)
    assert made.segments[0].marks == ("x", "y1")


def test_foreach_repeats_its_content() -> None:
    made = built('<foreach array="[1, 2]" item="n"><value expr="n"/>, </foreach>end')
    assert isinstance(made.segments[0], SpeechSegment)
    assert made.segments[0].text == "1, 2, end"


async def test_a_prompt_of_endless_parts_is_a_semantic_error() -> None:
    result = await call(
        '<form><block><prompt><foreach array="new Array(9999)" item="n">x</foreach></prompt>'
        "</block></form>"
    )
    assert thrown(result) == ["error.semantic"]


async def test_what_cannot_stand_in_a_prompt_is_a_bad_fetch() -> None:
    result = await call("<form><block><prompt><field/></prompt></block></form>")
    assert thrown(result) == ["error.badfetch"]


def test_the_language_is_the_nearest_one() -> None:
    assert built("x").lang == "en"
    made = built("x", 'xml:lang="fr-FR"')
    assert (made.lang, made.segments[0].lang) == ("fr-FR", "fr-FR")  # type: ignore[union-attr]


async def test_a_document_without_language_speaks_the_platforms() -> None:
    result = await call(
        {"main.vxml": '<vxml version="2.0"><form><block>x</block></form></vxml>'}, lang="fr"
    )
    assert records(result, "prompt")[0]["lang"] == "fr"


_texts = st.text(alphabet="ab<&\"' \n\u0001\ufffe\U0001f600é", max_size=5)
_attributes = st.builds(dict, name=_texts) | st.just({})


def _xml(text: str) -> str:
    """As an author writes it, who can only write what XML can carry."""
    kept = "".join(c for c in text if c >= " " or c == "\n").replace("\ufffe", "")
    return kept.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


_leaves = st.one_of(
    _texts.map(_xml),
    st.just('<value expr="v"/>'),
    st.just('<mark nameexpr="v"/>'),
    st.just('<break time="1s"/>'),
    st.just('<audio src="a.wav">else</audio>'),
    st.just("<audio expr=\"'b.wav'\"><mark name='n'/></audio>"),
)
_content = st.recursive(
    _leaves,
    lambda inner: st.builds(
        lambda name, attribute, parts: f'<{name} x="{_xml(attribute)}">{"".join(parts)}</{name}>',
        st.sampled_from(["prosody", "emphasis", "s", "p", "voice", "sub", "audio src='c.wav'"])
        .filter(lambda name: " " not in name),
        _texts,
        st.lists(inner, max_size=3),
    ),
    max_leaves=10,
)  # fmt: skip


def _speech(segments: Iterable[Segment]) -> Iterable[SpeechSegment]:
    for segment in segments:
        if isinstance(segment, AudioSegment):
            yield from _speech(segment.fallback)
        else:
            yield segment


@given(_content, _texts)
def test_every_segment_is_well_formed_and_stands_alone(content: str, value: str) -> None:
    made = built(f"x {content}", variables={"v": value})
    for segment in _speech(made.segments):
        root = etree.fromstring(segment.ssml.encode())
        assert etree.QName(root).localname == "speak"
        assert len(list(root.iter("{*}mark"))) == len(segment.marks)


# Audio -------------------------------------------------------------------------------------------


def test_audio_parts_the_speech_and_what_is_open_goes_on_behind_it() -> None:
    content = '<prosody rate="slow">one <audio src="a.wav">instead</audio> two</prosody>'
    assert ssml(content) == [
        '<prosody rate="slow">one </prosody>',
        '<prosody rate="slow"> two</prosody>',
    ]
    audio = built(content).segments[1]
    assert isinstance(audio, AudioSegment)
    assert audio.uri == "http://test/a.wav"
    (instead,) = audio.fallback
    assert isinstance(instead, SpeechSegment)
    assert '<prosody rate="slow">instead</prosody>' in instead.ssml


def test_audio_may_be_the_fallback_of_audio() -> None:
    (audio,) = built('<audio src="a.wav"><audio src="b.wav"/></audio>').segments
    assert isinstance(audio, AudioSegment)
    assert [part.uri for part in audio.fallback if isinstance(part, AudioSegment)] == [
        "http://test/b.wav"
    ]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [("'x' + 1 + '.wav'", ["http://test/x1.wav"]), ("1", ["http://test/1"])],
)
def test_the_place_of_audio_may_be_computed(expression: str, expected: list[str]) -> None:
    assert words(f'<audio expr="{expression}"/>') == expected


def test_audio_at_an_undefined_place_is_passed_over_with_its_alternative() -> None:
    assert words('a<audio expr="undefined">b</audio>c') == ["ac"]


def test_the_place_of_audio_is_computed_once() -> None:
    made = built('<audio expr="list.shift()"/>', variables={"list": ["a.wav", "b.wav"]})
    assert isinstance(made.segments[0], AudioSegment)
    assert made.segments[0].uri == "http://test/a.wav"


def test_audio_is_relative_to_the_base_and_fetched_under_its_limits() -> None:
    made = built(
        '<audio src="a.wav" fetchtimeout="1500ms" maxage="60" maxstale="5"/>',
        'xml:base="http://cdn/voice/"',
    )
    assert isinstance(made.segments[0], AudioSegment)
    request = made.segments[0].request
    assert request is not None
    assert request.uri == "http://cdn/voice/a.wav"
    assert (request.timeout, request.maxage, request.maxstale) == (1.5, 60.0, 5.0)
    assert request.base == URI


async def test_audio_of_a_roots_handler_is_beside_the_leaf() -> None:
    web = Web({
        "main.vxml": vxml("<form><block><goto next='a/leaf.vxml'/></block></form>"),
        "root.vxml": vxml('<catch event="x"><audio src="x.wav">instead</audio></catch>'),
        "a/leaf.vxml": vxml("<form><block><throw event='x'/></block></form>",
                            'application="../root.vxml"'),
    })  # fmt: skip
    assert heard(await call(web)) == ["instead"]
    assert web.fetched[-1] == "a/x.wav"


# Barge-in and silence ----------------------------------------------------------------------------


def test_a_prompts_own_settings_come_before_the_properties() -> None:
    plain = built("x")
    assert (plain.bargein, plain.bargein_type, plain.timeout) == (True, "speech", 5.0)
    own = built("x", 'bargein="false" bargeintype="hotword" timeout="1s"')
    assert (own.bargein, own.bargein_type, own.timeout) == (False, "hotword", 1.0)


async def waited(content: str) -> object:
    """How long the first silence lasted."""
    result = await call(content, "silence:", "hangup:")
    end_of_prompts = sum(0.3 * len(text.split()) for text in heard(result)[:2])
    times = [record["t"] for record in result.records if record["event"] == "throw"]
    assert isinstance(times[0], float)
    return round(times[0] - end_of_prompts, 3)


@pytest.mark.parametrize(
    ("field_content", "seconds"),
    [
        ("<prompt>a</prompt><prompt>b</prompt>", 5.0),
        ('<property name="timeout" value="2s"/><prompt>a</prompt><prompt>b</prompt>', 2.0),
        ('<prompt timeout="9s">a</prompt><prompt timeout="1s">b</prompt>', 1.0),
        ('<prompt timeout="9s">a</prompt><prompt>b</prompt>', 5.0),
    ],
)
async def test_the_last_prompt_decides_how_long_silence_may_last(
    field_content: str, seconds: float
) -> None:
    content = f'<form><field name="f">{yes()}{field_content}<noinput>c</noinput></field></form>'
    assert await waited(content) == seconds


async def test_the_property_counts_that_held_where_the_last_prompt_was_queued() -> None:
    block = '<block><property name="timeout" value="3s"/><prompt>a b</prompt></block>'
    seven = '<property name="timeout" value="7s"/>'
    silent = f'<field name="f">{seven}{yes()}</field>'
    speaking = f'<field name="f">{seven}{yes()}<prompt>c</prompt></field>'
    assert await waited(f"<form>{block}{silent}</form>") == 3.0
    assert await waited(f"<form>{block}{speaking}</form>") == 7.0


@pytest.mark.parametrize(
    "prompt_property", [("bargeintype", "loud"), ("timeout", "soon"), ("audiomaxage", "soon")]
)
async def test_a_property_of_a_wrong_value_is_a_semantic_error(
    prompt_property: tuple[str, str],
) -> None:
    name, value = prompt_property
    result = await call(
        f'<property name="{name}" value="{value}"/><form><block><audio src="x">y</audio></block>'
        "</form>"
    )
    assert thrown(result) == ["error.semantic"]


@pytest.mark.parametrize(("name", "value"), [("bargeintype", "loud"), ("timeout", "soon")])
async def test_a_handler_is_heard_though_a_property_has_a_wrong_value(
    name: str, value: str
) -> None:
    result = await call(
        f'<property name="{name}" value="{value}"/><catch event="error.semantic">wrong<exit/>'
        "</catch><form><block>a</block></form>"
    )
    assert thrown(result) == ["error.semantic"]
    assert heard(result) == ["wrong"]


# Conditions --------------------------------------------------------------------------------------


async def test_of_the_prompts_whose_condition_holds_those_of_the_highest_count_are_heard() -> None:
    result = await call(
        f'<form><field name="f">{yes()}<prompt cond="false">a</prompt><prompt>b</prompt>'
        '<prompt count="2" cond="true">c</prompt><prompt count="3" cond="false">d</prompt>'
        '<prompt count="2">e</prompt><noinput><reprompt/></noinput></field></form>',
        "silence:",
        "silence:",
        "say: yes",
    )
    assert heard(result) == ["b", "c", "e", "c", "e"]


async def test_a_prompt_in_a_block_has_a_condition_too() -> None:
    result = await call(
        '<form><block><prompt cond="false">a</prompt><prompt cond="1">b</prompt></block></form>'
    )
    assert heard(result) == ["b"]


# The queue ---------------------------------------------------------------------------------------


async def test_prompts_wait_for_input_or_for_the_end() -> None:
    result = await call(
        f"<form><block>one</block><block>two</block>{field()}<block>three</block></form>",
        "{say: yes, after: 0.4s}",
    )
    # The caller barged in on "two".
    assert heard(result) == ["one", "two", "three"]
