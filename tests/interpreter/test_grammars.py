"""Which grammars are listened to, in what order, and whose they are: section 3.1."""

from __future__ import annotations

import pytest

from tests.interpreter.harness import (
    Page,
    Web,
    call,
    field,
    heard,
    records,
    slots,
    thrown,
    vxml,
    yes,
)
from vxml_server.fetch import FetchRequest
from vxml_server.grammar import Grammar
from vxml_server.interpreter.grammars import GrammarStore

ROOT = 'application="root.vxml"'


def event_link(name: str, word: str) -> str:
    return f'<link event="{name}">{yes(word=word)}</link>'


def tell(*events: str) -> str:
    """Handlers which say what they caught, and where."""
    return "".join(f'<catch event="{name}">{name}</catch>' for name in events)


# Scope -------------------------------------------------------------------------------------------


async def test_a_link_is_followed_from_wherever_it_is_in_scope() -> None:
    content = (
        f"{event_link('d', 'document')}<form>{event_link('o', 'form')}"
        f"{field(event_link('i', 'item'))}{field(name='g')}</form>{tell('d', 'o', 'i')}"
        f"<form>{event_link('x', 'elsewhere')}</form>"
    )
    said = ["document", "form", "item", "elsewhere"]
    result = await call(content, *[f"say: {word}" for word in said])
    assert thrown(result)[:4] == ["d", "o", "i", "nomatch"]
    result = await call(content, "say: yes", *[f"say: {word}" for word in said])
    assert thrown(result)[:4] == ["d", "o", "nomatch", "nomatch"]


async def test_a_link_may_be_followed_by_a_key() -> None:
    result = await call(
        f'<link event="a" dtmf="1"/><link eventexpr="\'b\'" messageexpr="\'m\'" dtmf="2 3"/>'
        f'<form>{field()}</form>{tell("a")}<catch event="b"><value expr="_message"/></catch>',
        'dtmf: "1"',
        'dtmf: "23"',
        "say: yes",
    )
    assert heard(result) == ["Well?", "a", "m"]


async def test_a_link_may_lead_to_a_dialog() -> None:
    content = '<form id="g"><block>there</block></form>'
    for link in ('<link next="#g" dtmf="1"/>', "<link expr=\"'#' + 'g'\" dtmf='1'/>"):
        assert heard(await call(f"{link}<form>{field()}</form>{content}", 'dtmf: "1"')) == [
            "Well?", "there",
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("form_scope", "grammar_scope", "is_heard"),
    [
        ("", "", False),
        ("dialog", "", False),
        ("document", "", True),
        ("", "document", True),
        ("dialog", "document", True),
        ("document", "dialog", False),
    ],
)
async def test_a_forms_grammar_is_heard_elsewhere_if_its_scope_is_the_document(
    form_scope: str, grammar_scope: str, is_heard: bool
) -> None:
    scope = f'scope="{form_scope}"' if form_scope else ""
    result = await call(
        f'<form>{field()}</form><form id="g" {scope}>{yes(grammar_scope, "other")}'
        f"<block>other form</block></form>",
        "say: other",
        "hangup:",
    )
    assert heard(result)[1] == ("other form" if is_heard else "Sorry, I did not understand.")


@pytest.mark.parametrize(("scope", "is_heard"), [("dialog", False), ("document", True)])
async def test_a_menus_choices_are_heard_elsewhere_if_its_scope_is_the_document(
    scope: str, is_heard: bool
) -> None:
    result = await call(
        f'<form>{field()}</form><menu scope="{scope}"><choice next="#g">other</choice></menu>'
        '<form id="g"><block>there</block></form>',
        "say: other",
        "hangup:",
    )
    assert (heard(result)[1] == "there") is is_heard


async def test_a_roots_links_forms_and_menus_of_document_scope_are_heard_in_its_leaves() -> None:
    pages: dict[str, Page] = {
        "main.vxml": vxml(f"<form>{field()}</form>{tell('r', 'm')}", ROOT),
        "root.vxml": vxml(
            f"{event_link('r', 'link')}"
            "<menu scope='document'><choice event='m'>menu</choice></menu>"
            f"<form>{yes(word='dialog')}</form><form scope='document'>{yes(word='form')}"
            "<block>root's form</block></form>"
        ),
    }
    result = await call(pages, "say: link", "say: menu", "say: dialog", "say: form")
    assert thrown(result) == ["r", "m", "nomatch"]
    assert heard(result)[-1] == "root's form"


# Precedence --------------------------------------------------------------------------------------


async def test_the_nearest_of_equal_grammars_wins() -> None:
    pages: dict[str, Page] = {
        "main.vxml": vxml(
            f"{event_link('d', 'five four three two')}{event_link('d', 'four')}"
            f'<form scope="document">{yes(word="three")}<block/></form>'
            f'<form id="f">{event_link("o", "three")}{event_link("o", "two")}'
            f'<field name="f">{yes(word="one")}{event_link("i", "one")}{event_link("i", "two")}'
            f"</field></form>{tell('o', 'd', 'i', 'r')}",
            ROOT,
        ),
        "root.vxml": vxml(f"{event_link('r', 'four')}{event_link('r', 'five')}"),
    }
    web = Web(pages)
    pages["start.vxml"] = pages["main.vxml"]
    pages["main.vxml"] = vxml('<form><block><goto next="start.vxml#f"/></block></form>')
    result = await call(web, "say: five", "say: four", "say: three", "say: two", "say: one")
    assert thrown(result) == ["r", "d", "o", "i"]
    assert [record["grammar"] for record in records(result, "match")] == [
        "application", "document", "link", "link", "field",
    ]  # fmt: skip


async def test_of_the_grammars_of_one_field_the_first_wins() -> None:
    def tagged(value: str) -> str:
        return (
            '<grammar version="1.0" root="r" tag-format="semantics/1.0-literals">'
            f'<rule id="r">same<tag>{value}</tag></rule></grammar>'
        )

    result = await call(
        f'<form><field name="f">{tagged("a")}{tagged("b")}</field>'
        '<block><exit expr="f"/></block></form>',
        "say: same",
    )
    assert result.outcome.value == "a"


# Modes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("modes", "events"),
    [
        ("dtmf", ["noinput", "filled"]),
        ("voice", ["nomatch", "noinput", "filled"]),
        ("dtmf voice", ["nomatch", "filled"]),
    ],
)
async def test_only_the_chosen_modes_of_input_are_heard(modes: str, events: list[str]) -> None:
    result = await call(
        f'<form><property name="inputmodes" value="{modes}"/><field name="f">'
        f'{yes()}{yes(word="1", kind="dtmf")}<option dtmf="3">three</option>'
        '<filled><throw event="filled"/></filled></field><link event="l" dtmf="7"/>'
        f"{tell('noinput', 'nomatch')}<catch event='filled'><exit/></catch></form>",
        "say: what",
        *(["silence:"] if modes == "voice" else []),
        'dtmf: "1"' if modes != "voice" else "say: yes",
    )
    assert thrown(result) == events


# Fields ------------------------------------------------------------------------------------------

OPTIONS = (
    '<option value="v1" dtmf="1">red</option><option dtmf="2">green</option>'
    "<option> dark blue\n</option><option dtmf='4'/>"
)


@pytest.mark.parametrize(
    ("step", "value"),
    [
        ("say: red", "v1"),
        ('dtmf: "1"', "v1"),
        ("say: green", "green"),
        ('dtmf: "2"', "green"),
        ("say: dark blue", "dark blue"),
        ('dtmf: "4"', "4"),
    ],
)
async def test_an_option_gives_its_value_its_words_or_its_key(step: str, value: str) -> None:
    result = await call(
        f'<form><field name="f">{OPTIONS}</field><block><exit expr="f"/></block></form>', step
    )
    assert result.outcome.value == value


@pytest.mark.parametrize(
    ("type_", "step", "value"),
    [
        ("digits", 'dtmf: "123#"', "123"),
        ("digits", "say: one two three", "123"),
        ("digits?length=2", 'dtmf: "12"', "12"),
        ("boolean", 'dtmf: "1"', True),
        ("boolean", "say: 'no'", False),
        ("number", 'dtmf: "1*5#"', "1.5"),
    ],
)
async def test_a_field_has_a_type(type_: str, step: str, value: object) -> None:
    result = await call(
        f'<form><field name="f" type="{type_}"/><block><exit expr="f"/></block></form>', step
    )
    assert result.outcome.value == value


async def test_a_type_is_for_the_chosen_modes_of_input() -> None:
    content = (
        '<form><property name="inputmodes" value="%s"/><field name="f" type="digits"/>'
        '<block><exit expr="lastresult$.inputmode"/></block></form>'
    )
    for mode in ("dtmf", "voice"):
        result = await call(content % mode, "say: one", 'dtmf: "1#"', "say: one")
        assert result.outcome.value == mode


async def test_a_type_that_nobody_knows_is_not_supported() -> None:
    result = await call('<form><field name="f" type="nonsense"/></form>')
    assert thrown(result)[0].startswith("error.unsupported")


async def test_a_type_that_is_not_spoken_in_a_language_is_still_good_for_keys() -> None:
    result = await call(
        '<form xml:lang="ja"><field name="f" type="digits"/><block><exit expr="f"/></block></form>',
        'dtmf: "1#"',
    )
    assert result.outcome.value == "1"


@pytest.mark.parametrize(
    "grammar",
    [
        '<grammar src="builtin:dtmf/digits"/>',
        "<grammar srcexpr=\"'builtin:dtmf' + '/digits'\"/>",
        '<grammar src="g.grxml"/>',
        '<grammar src="g.grxml#two" type="application/srgs+xml"/>',
        "<grammar srcexpr=\"'g' + '.grxml'\" fetchtimeout='1s'/>",
        '<grammar mode="dtmf" version="1.0" root="r"><rule id="r"><ruleref uri="g.grxml"/></rule>'
        "</grammar>",
    ],
)
async def test_a_grammar_may_be_elsewhere(grammar: str) -> None:
    external = (
        '<grammar xmlns="http://www.w3.org/2001/06/grammar" version="1.0" mode="dtmf" root="one">'
        '<rule id="one" scope="public">1</rule><rule id="two" scope="public">1</rule></grammar>'
    )
    web = Web({
        "main.vxml": vxml(f'<form><field name="f">{grammar}</field>'
                          '<block><exit expr="f"/></block></form>'),
        "g.grxml": external,
    })  # fmt: skip
    assert (await call(web, 'dtmf: "1#"')).outcome.value == "1"


@pytest.mark.parametrize(
    ("grammar", "event"),
    [
        ('<grammar src="none.grxml"/>', "error.badfetch.http.404"),
        ('<grammar src="main.vxml"/>', "error"),
        ('<grammar srcexpr="nonsense"/>', "error.semantic"),
        ('<grammar version="1.0" root="none"><rule id="r">a</rule></grammar>', "error"),
        ('<grammar src="builtin:nonsense"/>', "error"),
    ],
)
async def test_a_grammar_in_error_is_an_event_of_its_field(grammar: str, event: str) -> None:
    result = await call(
        f'<form><field name="f">\n{grammar}<catch event="{event}">caught<exit/></catch>'
        "</field></form>"
    )
    assert heard(result) == ["caught"]
    assert records(result, "throw")[0]["line"] == 2 or "main.vxml" in grammar


# Choices -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("menu", "choice", "is_chosen"),
    [
        ("", "", False),
        ("", 'accept="approximate"', True),
        ('accept="approximate"', "", True),
        ('accept="approximate"', 'accept="exact"', False),
    ],
)
async def test_a_choice_may_be_said_in_part(menu: str, choice: str, is_chosen: bool) -> None:
    result = await call(
        f'<menu {menu}><choice event="a" {choice}>Stargazer astrophysics news</choice></menu>'
        f"{tell('a')}",
        "say: stargazer",
        "hangup:",
    )
    assert (thrown(result)[0] == "a") is is_chosen


async def test_a_choice_with_a_grammar_is_not_heard_by_its_words() -> None:
    content = f"<menu><choice event='a'>words {yes(word='grammar')}</choice></menu>{tell('a')}"
    result = await call(content, "say: words", "say: grammar", "hangup:")
    assert thrown(result)[:2] == ["nomatch", "a"]


async def test_a_numbered_menu_takes_numbers() -> None:
    content = (
        '<menu dtmf="true"><choice event="a">a</choice><choice event="b" dtmf="0">b</choice>'
        f"<choice event='c'>c</choice></menu>{tell('a', 'b', 'c')}"
    )
    result = await call(content, 'dtmf: "2"', 'dtmf: "0"', 'dtmf: "1"', "hangup:")
    assert thrown(result)[:3] == ["c", "b", "a"]


async def test_a_match_of_an_initial_is_of_its_form() -> None:
    result = await call(
        f'<form>{slots("a")}<initial/><field name="a"/><block><exit expr="a"/></block></form>',
        "say: a",
    )
    assert [record["grammar"] for record in records(result, "match")] == ["form"]


# The store ---------------------------------------------------------------------------------------


async def test_a_grammar_is_compiled_once_for_all_calls() -> None:
    store = GrammarStore()
    assert store.phrase("a", "en", "voice") is store.phrase("a", "en", "voice")
    assert store.phrase("a", "en", "voice") is not store.phrase("a", "fr", "voice")
    assert store.builtin("digits", "en", "dtmf") is store.builtin("digits", "en", "dtmf")


async def test_the_least_recently_used_grammar_is_thrown_away() -> None:
    web = Web({f"{name}.grxml": yes(word=name) for name in "abc"})
    store = GrammarStore(capacity=2)

    async def load(name: str) -> Grammar:
        request = FetchRequest(f"http://test/{name}.grxml")
        return await store.external(request, web.fetch, "", None, "en")

    first, second = await load("a"), await load("b")
    assert await load("a") is first
    await load("c")
    assert await load("a") is first
    assert await load("b") is not second


async def test_an_external_grammar_is_compiled_again_when_it_has_changed() -> None:
    grammars = iter(["one", "one", "two"])

    class Changing(Web):
        def page(self, uri: str) -> Page | None:
            if uri.endswith("g.grxml"):
                return yes(word=next(grammars))
            return super().page(uri)

    web = Changing({"main.vxml": vxml(
        '<form><field name="f"><grammar src="g.grxml"/></field></form>')})  # fmt: skip
    result = await call(web, "say: two", "say: two", "say: two")
    assert thrown(result) == ["nomatch", "nomatch"]
