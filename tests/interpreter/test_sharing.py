"""What calls share: it is worked out once, and one call never sees what is another's."""

from __future__ import annotations

import pytest

from tests.interpreter.harness import vxml
from vxml_server.ecmascript import Engine
from vxml_server.fetch import FetchRequest, Resource
from vxml_server.interpreter.compiler import compile_document
from vxml_server.interpreter.document import Document, Element, once
from vxml_server.interpreter.grammars import GrammarStore, Situation, active_grammars, enumerated
from vxml_server.interpreter.platform import Prompt
from vxml_server.interpreter.prompts import PromptBuilder
from vxml_server.interpreter.properties import DEFAULTS, Properties, defaults, properties_at
from vxml_server.interpreter.scopes import Scopes

URI = "http://test/main.vxml"
GRAMMAR = '<grammar version="1.0" mode="voice" root="r"><rule id="r">yes</rule></grammar>'


def compiled(content: str) -> Document:
    return compile_document(vxml(content).encode(), URI)


def scopes(**variables: object) -> Scopes:
    """The scopes of a call of its own."""
    engine = Engine()
    made = Scopes(engine, engine.new_scope())
    made.enter_application()
    for name, value in variables.items():
        engine.set_json(made.scope("application"), name, value)
    return made


def test_a_function_of_an_element_is_called_once_for_each_element() -> None:
    calls: list[Element] = []

    @once
    def name_of(element: Element) -> str:
        calls.append(element)
        return element.name

    form, menu = compiled("<form/><menu><choice next='#x'>x</choice></menu>").dialogs
    assert [name_of(form), name_of(menu), name_of(form)] == ["form", "menu", "form"]
    assert calls == [form, menu]


def test_what_an_element_knows_of_others_does_not_grow_for_ever() -> None:
    leaf = compiled("<form/>").root
    for _ in range(200):
        properties_at((leaf, compiled("<property name='a' value='b'/>").root), defaults({}))
    assert len(leaf.table(Properties)) < 20


def test_properties_are_the_same_object_where_nothing_is_said() -> None:
    document = compiled("<form><field name='f'/><field name='g'/></form>")
    form, platform = document.dialogs[0], defaults({"timeout": "9s"})
    first, second = (properties_at((f, form, document.root), platform) for f in form.elements)
    assert first is second
    assert first is properties_at((document.root,), defaults({"timeout": "9s"}))
    other = properties_at((document.root,), defaults({"timeout": "7s"}))
    assert (first.time("timeout"), other.time("timeout")) == (9, 7)


PROMPTS = [
    ("Hello <emphasis>world</emphasis>", True),
    ('<audio src="a.wav">a</audio>', True),
    ('<mark name="m"/>', True),
    ('<mark nameexpr="x"/>', False),
    ('<audio expr="x"/>', False),
    ('<audio src="urn:x-recording:1">gone</audio>', False),
    ('<value expr="x"/>', False),
    ("<emphasis><value expr='x'/></emphasis>", False),
]


@pytest.mark.parametrize(("content", "is_fixed"), PROMPTS)
def test_a_prompt_that_depends_on_nothing_is_made_once(content: str, is_fixed: bool) -> None:
    document = compiled(f"<form><block><prompt>{content}</prompt></block></form>")
    prompt = document.dialogs[0].elements[0].elements[0]
    properties = Properties([document.root])

    def made(x: str, lang: str = "en", of: Properties = properties) -> Prompt | None:
        return PromptBuilder(scopes(x=x), of, lang, URI).prompt(prompt)

    assert made("one") is not None
    assert (made("one") is made("two")) is is_fixed
    assert (made("one") == made("two")) is (is_fixed or "recording" in content)
    # Another place has other properties, and another language.
    changed = made("one", of=Properties([document.root], {**DEFAULTS, "bargein": "false"}))
    assert changed is not None
    assert not changed.bargein
    assert made("one", lang="fr") == made("one", lang="fr") != changed


MENU = "<menu><prompt><enumerate>{}</enumerate></prompt>{}</menu>"
CHOICES = '<choice dtmf="1" next="#a">one</choice><choice dtmf="2" next="#b">two</choice>'


@pytest.mark.parametrize(
    ("template", "text", "is_fixed"),
    [
        ('<value expr="_prompt"/>: <value expr=" _dtmf "/>', "one: 1 two: 2", True),
        ('<value expr="_prompt + _dtmf"/>', "one1 two2", False),
        ("", "one, two", False),
    ],
)
def test_choices_are_read_out_alike_with_and_without_expressions(
    template: str, text: str, is_fixed: bool
) -> None:
    menu = compiled(MENU.format(template, CHOICES)).dialogs[0]
    properties = Properties([menu])

    def made() -> Prompt | None:
        builder = PromptBuilder(scopes(), properties, "en", URI, enumerated(menu))
        return builder.prompt(menu.elements[0])

    first = made()
    assert first is not None
    assert [segment.text for segment in first.segments if hasattr(segment, "text")] == [text]
    assert (made() is first) is is_fixed


@pytest.mark.parametrize(
    ("grammar", "is_fixed"),
    [
        (GRAMMAR, True),
        ('<grammar src="builtin:dtmf/digits"/>', True),
        ('<grammar src="g.grxml"/>', False),
        ("<grammar srcexpr=\"'builtin:dtmf/digits'\"/>", False),
    ],
)
async def test_grammars_are_collected_anew_where_they_can_change(
    grammar: str, is_fixed: bool
) -> None:
    document = compiled(f"<form><field name='f'>{grammar}</field></form>")
    [form] = document.dialogs
    situation = Situation(document, document, form, form.elements[0], modal=False)
    store, properties = GrammarStore(), Properties([document.root])
    fetched: list[str] = []

    async def fetch(request: FetchRequest) -> Resource:
        fetched.append(request.uri)
        body = GRAMMAR.replace("<grammar", '<grammar xmlns="http://www.w3.org/2001/06/grammar"')
        return Resource(
            request.uri, 200, "application/srgs+xml", "", body.encode(), cached=True, digest="d"
        )

    async def active() -> object:
        return await active_grammars(situation, store, fetch, scopes(), properties, "en")

    assert (await active() is await active()) is is_fixed
    assert len(fetched) == (2 if "g.grxml" in grammar else 0)
