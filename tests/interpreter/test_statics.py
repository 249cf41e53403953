"""What is known of a document without running it is what happens when it runs."""

from __future__ import annotations

import pytest

from tests.interpreter.harness import MAIN, call, vxml
from vxml_server import catalogue
from vxml_server.interpreter.compiler import compile_document
from vxml_server.interpreter.document import Element
from vxml_server.interpreter.platform import AudioSegment, Prompt, SpeechSegment
from vxml_server.interpreter.prompts import PromptBuilder
from vxml_server.interpreter.statics import platform_prompts, static_links, static_prompts

EVERYTHING = vxml(
    """
    <property name="bargein" value="false"/>
    <noinput>Nothing came.</noinput>
    <catch event="nomatch" xml:lang="fr"><prompt>Pas <emphasis>compris</emphasis></prompt></catch>
    <form>
      <block>Welcome. <if cond="true">It is <prompt>day</prompt> now<else/>Night</if></block>
      <block xml:lang="fr">Une <audio src="bell.wav">cloche</audio> sonne</block>
      <field name="f">
        <prompt count="1">Say   it</prompt>
        <prompt count="2" xml:lang="de">Noch einmal</prompt>
        <option dtmf="1">tea</option>
        <option dtmf="2">coffee</option>
        <prompt>
          <enumerate>For <value expr="_prompt"/> press <value expr="_dtmf"/>.</enumerate>
        </prompt>
        <filled>You said <value expr="f"/><prompt>Thank you</prompt></filled>
      </field>
    </form>"""
)


def said(prompts: list[Prompt]) -> set[tuple[str, str]]:
    """The speech of prompts, as an engine is asked for it."""
    found = set()
    for prompt in prompts:
        pending = list(prompt.segments)
        while pending:
            segment = pending.pop()
            if isinstance(segment, SpeechSegment):
                found.add((segment.ssml, segment.lang))
            elif isinstance(segment, AudioSegment):
                pending += segment.fallback
    return found


def static(content: str, lang: str = "en") -> tuple[list[Prompt], list[str]]:
    """The prompts of a document, and the reasons why others are not known."""
    found = list(static_prompts(compile_document(content.encode(), MAIN), lang))
    prompts = [one.prompt for one in found if one.prompt is not None]
    return prompts, [one.reason for one in found if one.prompt is None]


async def test_a_call_asks_for_what_was_found_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Prompt] = []
    prompt_of = PromptBuilder.prompt

    def noting(self: PromptBuilder, element: Element) -> Prompt | None:
        prompt = prompt_of(self, element)
        if prompt is not None and prompt.is_fixed:
            made.append(prompt)
        return prompt

    monkeypatch.setattr(PromptBuilder, "prompt", noting)
    await call({"main.vxml": EVERYTHING}, "silence: 12s", "dtmf: '9'", "dtmf: '1'")
    monkeypatch.undo()
    heard = said(made)
    prompts, reasons = static(EVERYTHING)
    assert len(heard) >= 9
    assert heard <= said(prompts)
    assert reasons == ["<value>"]


def test_each_prompt_has_its_language_and_its_line() -> None:
    found = list(static_prompts(compile_document(EVERYTHING.encode(), MAIN), "en"))
    langs = {(one.line, one.prompt.lang) for one in found if one.prompt is not None}
    assert (4, "fr") in langs
    assert (10, "de") in langs
    assert {lang for _, lang in langs} == {"en", "fr", "de"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('<prompt>You have <value expr="n"/></prompt>', "<value>"),
        ('<prompt><foreach item="i" array="a">x</foreach></prompt>', "<foreach>"),
        ('<prompt>x <emphasis>y <audio expr="u"/></emphasis></prompt>', "<audio expr>"),
        ('<prompt>x <mark nameexpr="m"/></prompt>', "<mark nameexpr>"),
    ],
)
def test_what_depends_on_the_call_is_told_with_its_reason(content: str, reason: str) -> None:
    assert static(vxml(f"<form><block>{content}</block></form>")) == ([], [reason])


def test_a_prompt_that_cannot_be_made_is_told_with_its_reason() -> None:
    bad = '<property name="bargeintype" value="loud"/><form><block>x</block></form>'
    prompts, (reason,) = static(vxml(bad))
    assert prompts == []
    assert "loud" in reason


def test_text_that_is_no_prompt_is_not_found() -> None:
    prompts, reasons = static(
        vxml('<form><var name="a" expr="1"/><block><assign name="a" expr="2"/></block></form>')
    )
    assert (prompts, reasons) == ([], [])


def test_links_that_stand_in_a_document_are_found_without_their_fragments() -> None:
    document = compile_document(
        vxml(
            """<link next="link.vxml#a"><grammar mode="dtmf" root="r" version="1.0">
            <rule id="r">1</rule></grammar></link>
            <menu><choice dtmf="1" next="sub/choice.vxml">x</choice></menu>
            <form><subdialog src="http://other/sub.vxml"/>
            <block><goto next="#here"/><goto expr="'no.vxml'"/><submit next="program"/></block>
            </form>
            """,
            'application="root.vxml"',
        ).encode(),
        MAIN,
    )
    assert list(static_links(document)) == [
        "http://test/root.vxml",
        "http://test/link.vxml",
        "http://test/sub/choice.vxml",
        "http://other/sub.vxml",
    ]


@pytest.mark.parametrize("lang", ["en", "fr-CA", "de"])
def test_the_platform_s_own_words_are_known_in_every_language(lang: str) -> None:
    prompts = [one.prompt for one in platform_prompts(lang)]
    texts = {segment.text for prompt in prompts if prompt for segment in prompt.segments}
    assert catalogue.message("caller.nomatch", lang) in texts
    assert all(prompt is not None and prompt.is_fixed for prompt in prompts)
