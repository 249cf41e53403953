"""What one document, or one value in it, cannot do to anything else."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.examples import examples
from vxml_server.clock import SystemClock
from vxml_server.ecmascript import Engine
from vxml_server.events import VoiceXmlEvent
from vxml_server.interpreter import SpeechSegment
from vxml_server.interpreter.compiler import compile_document
from vxml_server.interpreter.prompts import PromptBuilder
from vxml_server.interpreter.properties import Properties
from vxml_server.interpreter.scopes import Scopes
from vxml_server.tts import Speech, SpeechRequest, Voices, speech_of
from vxml_server.tts.espeak import EspeakEngine
from vxml_server.tts.plan import Style, Text
from vxml_server.tts.ssml import parse

PROMPTS = [
    "Bonjour.",
    "Un <break time='20ms'/> deux",
    "<prosody rate='fast' pitch='x-high'>vite</prosody>",
    "<prosody pitch='x-low' volume='x-soft'>bas",
    "<voice gender='female'>elle</voice>",
    "<voice name='fr+whisper'>tout bas</voice>",
    "<s xml:lang='en-US'>hello</s> bonjour",
    "<phoneme alphabet='ipa' ph='vɛ̃'>vin</phoneme>",
    "<phoneme alphabet='x-espeak' ph='_:'>rien</phoneme>",
    "<prosody contour='(0%,low)(100%,high)'>oui ou non</prosody>",
    "<emphasis level='strong'>fort</emphasis> [[a]] ]] [[ &lt;prosody pitch=\"99\"&gt;",
    "<mark name='m'/><say-as interpret-as='time'>14:30</say-as>",
    "&lt;/speak&gt;&lt;voice name='en'&gt;x",
    "<prosody volume='silent'>chut</prosody> là",
    "\u202e\u0301 \U0001f600",
]


class Booth:
    def __init__(self) -> None:
        self.voices = Voices([EspeakEngine()], SystemClock())
        self.alone: dict[str, Speech | str] = {}

    def say(self, *contents: str) -> list[Speech | str]:
        """The speech of each, or the event that came of it."""

        async def all_of_them() -> list[Speech | str]:
            heard: list[Speech | str] = []
            for content in contents:
                request = SpeechRequest(f"<speak>{content}</speak>", "fr-FR")
                try:
                    heard.append(await speech_of(self.voices.stream(request)))
                except VoiceXmlEvent as event:
                    heard.append(event.name)
            return heard

        return asyncio.run(all_of_them())


@pytest.fixture(scope="module")
def booth() -> Iterator[Booth]:
    yield Booth()


def same(one: Speech | str, other: Speech | str) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    return np.array_equal(one.pcm, other.pcm) and one.marks == other.marks


@settings(max_examples=examples(40), deadline=None)
@given(st.lists(st.sampled_from(PROMPTS), min_size=2, max_size=4))
def test_a_prompt_sounds_the_same_whatever_was_said_before(
    booth: Booth, contents: list[str]
) -> None:
    for content, heard in zip(contents, booth.say(*contents), strict=True):
        first = booth.alone.setdefault(content, heard)
        assert same(first, heard)


def builder(value: str) -> PromptBuilder:
    engine = Engine()
    scopes = Scopes(engine, engine.new_scope())
    scopes.enter_application()
    engine.set_json(scopes.scope("application"), "v", value)
    return PromptBuilder(scopes, Properties([]), "fr-FR", "http://test/")


PAGE = compile_document(
    b'<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml"><form><block><prompt>'
    b'<prosody rate="slow">x<value expr="v"/>x</prosody></prompt></block></form></vxml>',
    "http://test/",
)


@settings(max_examples=examples(200), deadline=None)
@given(
    st.one_of(
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40),
        st.text("<>&;/'\"=![]-%vxbreak time", max_size=60),
    )
)
@example("<break time='9s'/>")
@example("</prosody></speak><speak>")
@example("&lt;break/&gt;")
@example("]]><![CDATA[<x/>")
@example("<!-- -->")
@example("&#x3c;b&#x3e;")
def test_what_a_value_holds_is_spoken_and_is_never_markup(value: str) -> None:
    prompt = builder(value).prompt(PAGE.dialogs[0].elements[0].elements[0])
    assert prompt is not None
    (segment,) = prompt.segments
    assert isinstance(segment, SpeechSegment)
    plan = parse(SpeechRequest(segment.ssml, segment.lang))
    assert plan.warnings == ()
    (item,) = plan.items
    # What XML cannot carry is a space.
    carried = re.sub("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", " ", value)
    spoken = re.sub(r"\s+", " ", f"x{carried}x")
    assert item == Text(spoken, Style("fr-FR", rate=0.75))
