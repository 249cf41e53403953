"""Documents, application roots, transitions between them, and subdialogs."""

from __future__ import annotations

import pytest

from tests.interpreter.harness import (
    Moved,
    Page,
    Web,
    call,
    field,
    heard,
    records,
    thrown,
    vxml,
    yes,
)
from vxml_server.events import VoiceXmlEvent
from vxml_server.interpreter.dialogue import run_dialogue
from vxml_server.interpreter.script import Script

ROOT = 'application="root.vxml"'
COUNT = '<assign name="application.n" expr="application.n + 1"/>'


def form(content: str, identifier: str = "f") -> str:
    return f'<form id="{identifier}"><block>{content}</block></form>'


def say(expression: str) -> str:
    return f'<prompt><value expr="{expression}"/></prompt>'


# Transitions -------------------------------------------------------------------------------------


async def test_a_fragment_names_a_dialog_and_no_fragment_the_first() -> None:
    pages: dict[str, Page] = {
        "main.vxml": vxml(form('<goto next="other.vxml#two"/>')),
        "other.vxml": vxml(
            form('one<goto next="third.vxml"/>') + form('two<goto next="#f"/>', "two")
        ),
        "third.vxml": vxml(form("three") + form("four", "g")),
    }
    web = Web(pages)
    assert heard(await call(web)) == ["two", "one", "three"]
    assert web.fetched == ["main.vxml", "other.vxml#two", "third.vxml"]


async def test_the_session_may_begin_at_any_dialog() -> None:
    web = Web({"main.vxml": vxml(form("one") + form("two", "g"))})
    result = await run_dialogue("http://test/main.vxml#g", Script(), web)
    assert heard(result) == ["two"]


async def test_a_fragment_alone_keeps_the_documents_variables_and_its_uri_does_not() -> None:
    document = vxml(
        '<var name="n" expr="0"/>'
        + form('<assign name="n" expr="n + 1"/><goto next="#g"/>')
        + form(say("n") + '<goto next="main.vxml#h"/>', "g")
        + form(say("n"), "h")
    )
    assert heard(await call({"main.vxml": document})) == ["1", "0"]


async def test_references_are_relative_to_the_document_or_to_its_base() -> None:
    pages: dict[str, Page] = {
        "main.vxml": vxml(form('<goto next="a/b.vxml"/>')),
        "a/b.vxml": vxml(form('<goto next="c.vxml"/>')),
        "a/c.vxml": vxml(form('<goto next="d.vxml"/>'), 'xml:base="http://test/z/"'),
        "z/d.vxml": vxml(form("here")),
    }
    assert heard(await call(pages)) == ["here"]


async def test_a_redirected_document_is_where_it_was_found() -> None:
    pages: dict[str, Page] = {
        "main.vxml": Moved("deep/er/real.vxml"),
        "deep/er/real.vxml": vxml(form('<goto next="next.vxml"/>')),
        "deep/er/next.vxml": vxml(form("here")),
    }
    assert heard(await call(pages)) == ["here"]


@pytest.mark.parametrize(
    ("target", "event"),
    [
        ("nowhere.vxml", "error.badfetch.http.404"),
        ("broken.vxml", "error.badfetch"),
        ("main.vxml#nowhere", "error.badfetch"),
        ("#nowhere", "error.badfetch"),
        ("away.vxml", "error.badfetch"),
        ("rootless.vxml", "error.badfetch.http.404"),
        ("rooted.vxml", "error.semantic"),
    ],
)
async def test_what_goes_wrong_on_the_way_is_handled_in_the_old_dialog(
    target: str, event: str
) -> None:
    pages: dict[str, Page] = {
        "main.vxml": vxml(
            f'<form><var name="here" expr="1"/><block><goto next="{target}"/></block>'
            f'<catch event="error">{say("_event + here")}<exit/></catch></form>'
        ),
        "broken.vxml": "<vxml",
        "away.vxml": VoiceXmlEvent("error.badfetch", "no answer"),
        "rootless.vxml": vxml(form("no"), 'application="nowhere.vxml"'),
        "rooted.vxml": vxml(form("no"), 'application="rootless.vxml"'),
    }
    assert heard(await call(pages)) == [f"{event}1"]


async def test_a_handler_of_a_root_refers_as_if_it_stood_in_the_leaf() -> None:
    pages: dict[str, Page] = {
        "main.vxml": vxml(form('<goto next="a/leaf.vxml"/>')),
        "root.vxml": vxml('<catch event="x"><goto next="next.vxml"/></catch>'),
        "a/leaf.vxml": vxml(form('<throw event="x"/>'), 'application="../root.vxml"'),
        "a/next.vxml": vxml(form("beside the leaf")),
        "next.vxml": vxml(form("beside the root")),
    }
    assert heard(await call(pages)) == ["beside the leaf"]


async def test_a_link_of_a_root_leads_from_where_it_is_followed() -> None:
    pages: dict[str, Page] = {
        "main.vxml": vxml(form('<goto next="a/leaf.vxml"/>')),
        "root.vxml": vxml(
            '<link next="next.vxml" dtmf="1"/><link next="#g" dtmf="2"/>' + form("root", "g")
        ),
        "a/leaf.vxml": vxml(
            f"<form>{field()}</form>" + form("leaf", "g"), 'application="../root.vxml"'
        ),
        "a/next.vxml": vxml(form("beside the leaf")),
    }
    assert heard(await call(pages, 'dtmf: "1"')) == ["Well?", "beside the leaf"]
    assert heard(await call(pages, 'dtmf: "2"')) == ["Well?", "leaf"]


async def test_a_choice_of_a_roots_menu_leads_from_the_root() -> None:
    pages: dict[str, Page] = {
        "main.vxml": vxml(form('<goto next="a/leaf.vxml"/>')),
        "root.vxml": vxml(
            '<menu scope="document"><choice next="#g" dtmf="1"/><choice next="x.vxml" dtmf="2"/>'
            "</menu>" + form("root", "g")
        ),
        "a/leaf.vxml": vxml(
            f"<form>{field()}</form>" + form("leaf", "g"), 'application="../root.vxml"'
        ),
        "x.vxml": vxml(form("beside the root")),
    }
    assert heard(await call(pages, 'dtmf: "1"')) == ["Well?", "root"]
    assert heard(await call(pages, 'dtmf: "2"')) == ["Well?", "beside the root"]


# Roots -------------------------------------------------------------------------------------------


async def test_a_root_is_initialised_before_its_leaf_and_its_dialogs_are_not_run() -> None:
    pages: dict[str, Page] = {
        "main.vxml": vxml('<var name="m" expr="n + 1"/>' + form(say("application.n + m")), ROOT),
        "root.vxml": vxml('<var name="n" expr="1"/>' + form("no")),
    }
    web = Web(pages)
    assert heard(await call(web)) == ["3"]
    assert web.fetched == ["main.vxml", "root.vxml"]


def application(first: str, **more: str) -> dict[str, Page]:
    """Leaves of one root, which counts in `n` and keeps a form `r`."""
    root = '<var name="n" expr="0"/>' + form(say("'root ' + n"), "r")
    leaves = {
        f"{name}.vxml": vxml('<var name="d" expr="0"/>' + form(content), ROOT)
        for name, content in more.items()
    }
    return {
        "main.vxml": vxml('<var name="d" expr="5"/>' + form(COUNT + first), ROOT),
        "root.vxml": vxml(root),
        **leaves,
    }


@pytest.mark.parametrize("how", ['<goto next="b.vxml"/>', '<submit next="b.vxml"/>'])
async def test_from_leaf_to_leaf_the_applications_variables_stay(how: str) -> None:
    assert heard(await call(application(how, b=COUNT + say("n + ' ' + d")))) == ["2 0"]


async def test_from_leaf_to_root_the_applications_variables_stay() -> None:
    web = Web(application('<goto next="root.vxml#r"/>'))
    assert heard(await call(web)) == ["root 1"]


async def test_a_submit_to_the_root_starts_it_anew() -> None:
    assert heard(await call(application('<submit next="root.vxml#r"/>'))) == ["root 0"]


async def test_from_root_to_leaf_the_applications_variables_stay() -> None:
    pages: dict[str, Page] = {
        "main.vxml": vxml('<var name="n" expr="0"/>' + form(COUNT + '<goto next="leaf.vxml"/>')),
        "leaf.vxml": vxml(form(say("application.n")), 'application="main.vxml"'),
    }
    web = Web(pages)
    assert heard(await call(web)) == ["1"]
    assert web.fetched == ["main.vxml", "leaf.vxml"]


async def test_from_root_to_itself_everything_starts_anew() -> None:
    document = vxml(
        '<var name="n" expr="0"/>'
        + form(COUNT + say("n") + '<goto next="main.vxml#g"/>')
        + form(say("n"), "g")
    )
    assert heard(await call({"main.vxml": document})) == ["1", "0"]


async def test_another_application_has_variables_of_its_own() -> None:
    pages = application('<goto next="other.vxml"/>')
    pages["other.vxml"] = vxml(form(say("typeof application.n")))
    assert heard(await call(pages)) == ["undefined"]


async def test_a_root_that_was_redirected_is_known_by_its_old_name() -> None:
    pages = application('<goto next="b.vxml"/>', b=COUNT + '<goto next="real/root.vxml#r"/>')
    pages["real/root.vxml"] = pages["root.vxml"]
    pages["root.vxml"] = Moved("real/root.vxml")
    assert heard(await call(pages)) == ["root 2"]


async def test_a_root_may_be_reached_by_its_old_name() -> None:
    pages = application('<goto next="root.vxml#r"/>')
    pages["real/root.vxml"] = pages["root.vxml"]
    pages["root.vxml"] = Moved("real/root.vxml")
    assert heard(await call(pages)) == ["root 1"]


async def test_a_root_that_has_changed_meanwhile_stays_what_it_was() -> None:
    class Changing(Web):
        def page(self, uri: str) -> Page | None:
            is_second = self.fetched.count("root.vxml") + self.fetched.count("root.vxml#r") == 2
            return vxml(form("new", "r")) if is_second else super().page(uri)

    web = Changing(application('<goto next="root.vxml#r"/>'))
    assert heard(await call(web)) == ["root 1"]
    assert web.fetched == ["main.vxml", "root.vxml", "root.vxml#r"]


async def test_an_error_in_the_root_is_handled_in_the_leaf() -> None:
    pages: dict[str, Page] = {
        "main.vxml": vxml(
            f"{form('no')}<catch event='error.semantic'>{say('_event')}<exit/></catch>", ROOT
        ),
        "root.vxml": vxml('<var name="x" expr="nonsense"/>'),
    }
    assert heard(await call(pages)) == ["error.semantic"]


async def test_a_dialog_of_the_root_takes_over_when_its_grammar_matches() -> None:
    pages: dict[str, Page] = {
        "main.vxml": vxml(f'<var name="d" expr="1"/><form>{field()}</form>', ROOT),
        "root.vxml": vxml(
            '<var name="n" expr="7"/><form id="r" scope="document">'
            f'{yes(word="operator")}<field name="x"><prompt>x?</prompt>{yes()}</field>'
            '<block><exit expr="[typeof document.d, document.n]"/></block></form>'
        ),
    }
    result = await call(pages, "say: operator", "say: yes")
    assert heard(result) == ["Well?", "x?"]
    assert result.outcome.value == ["undefined", 7]


# Subdialogs --------------------------------------------------------------------------------------


def subdialog(attributes: str, content: str, after: str = "") -> str:
    return (
        f'<form><subdialog name="s" {attributes}>{content}</subdialog>'
        f'<block>{after}<exit expr="s"/></block>'
    )


async def test_a_subdialog_returns_the_variables_it_names() -> None:
    result = await call(
        subdialog('src="#sub"', "<filled>filled</filled>") + "</form>"
        '<form id="sub"><var name="a" expr="[1, {b: 2}]"/><var name="c"/>'
        '<block><return namelist="a c"/></block></form>'
    )
    assert heard(result) == ["filled"]
    assert result.outcome.value == {"a": [1, {"b": 2}]}


async def test_a_subdialog_that_returns_nothing_is_done_all_the_same() -> None:
    result = await call(
        subdialog('src="#sub"', "<filled>filled</filled>")
        + '</form><form id="sub"><block><return/></block></form>'
    )
    assert heard(result) == ["filled"]
    assert result.outcome.value == {}


async def test_parameters_take_the_place_of_initial_values() -> None:
    result = await call(
        '<form><var name="o" expr="({k: 1})"/><subdialog name="s" src="#sub">'
        '<param name="a" expr="o"/><param name="b" value="1 + 1"/></subdialog>'
        '<block><exit expr="[s.a.k, s.b, s.c, o.k]"/></block></form>'
        '<form id="sub"><var name="a"/><var name="b" expr="nonsense"/><var name="c" expr="b + 1"/>'
        '<block><assign name="a.k" expr="9"/><return namelist="a b c"/></block></form>'
    )
    assert result.outcome.value == [9, "1 + 1", "1 + 11", 9]


async def test_a_parameter_nobody_declared_is_an_error_in_the_subdialog() -> None:
    result = await call(
        subdialog('src="#sub"', '<param name="a" value="1"/>')
        + '<catch event="told">yes<exit/></catch></form><form id="sub"><block>no</block>'
        '<catch event="error.semantic"><return event="told"/></catch></form>'
    )
    assert heard(result) == ["yes"]
    assert thrown(result) == ["error.semantic", "told"]


async def test_a_subdialog_has_a_state_of_its_own() -> None:
    result = await call(
        '<var name="n" expr="0"/><form><var name="d" expr="1"/><block><assign name="n" expr="5"/>'
        '</block><subdialog name="s" src="#sub"/>'
        '<block><exit expr="[s.seen, s.d, n]"/></block></form>'
        '<form id="sub"><var name="seen" expr="n"/><var name="d" expr="typeof dialog.d"/>'
        '<block><assign name="n" expr="9"/><return namelist="seen d"/></block></form>'
    )
    assert result.outcome.value == [0, "undefined", 5]


async def test_a_subdialog_of_another_document_may_go_on_to_a_third() -> None:
    pages: dict[str, Page] = {
        "main.vxml": vxml(subdialog('src="a.vxml"', "") + "</form>", ROOT),
        "root.vxml": vxml('<var name="n" expr="1"/>'),
        "a.vxml": vxml(form(COUNT + '<goto next="b.vxml"/>'), ROOT),
        "b.vxml": vxml(
            '<form><var name="m" expr="n"/><block><return namelist="m"/></block></form>', ROOT
        ),
    }
    result = await call(pages)
    assert result.outcome.value == {"m": 2}


async def test_a_subdialog_may_call_another() -> None:
    result = await call(
        subdialog("srcexpr=\"'#s' + 1\"", "") + "</form>"
        '<form id="s1"><subdialog name="x" src="#s2"/><block><return namelist="x"/></block></form>'
        '<form id="s2"><var name="deep" expr="1"/><block><return namelist="deep"/></block></form>'
    )
    assert result.outcome.value == {"x": {"deep": 1}}


async def test_a_subdialog_may_return_an_event() -> None:
    result = await call(
        '<form><subdialog name="s" src="#sub"><catch event="a"><value expr="_event + _message"/>'
        '<exit expr="typeof s"/></catch></subdialog></form>'
        '<form id="sub"><block><return event="a.b" message="!"/></block></form>'
    )
    assert heard(result) == ["a.b!"]
    assert result.outcome.value == "undefined"


async def test_events_and_grammars_do_not_cross_into_or_out_of_a_subdialog() -> None:
    pages: dict[str, Page] = {
        "main.vxml": vxml(
            '<catch event="nomatch error">no</catch><link event="x" dtmf="1"/>'
            '<form><subdialog name="s" src="sub.vxml"/></form>'
        ),
        "sub.vxml": vxml(f'<form>{field()}<block><throw event="error.x"/></block></form>'),
    }
    result = await call(pages, 'dtmf: "1"', "say: yes")
    assert thrown(result) == ["nomatch", "error.x"]
    assert [r["handled_by"] for r in records(result, "throw")] == ["default", "default"]
    assert result.outcome.reason == "error"


async def test_an_exit_in_a_subdialog_ends_the_session() -> None:
    result = await call(
        subdialog('src="#sub"', "", "no")
        + '</form><form id="sub"><block><exit expr="3"/></block></form>'
    )
    assert (heard(result), result.outcome.value) == ([], 3)


async def test_a_subdialog_without_an_item_left_ends_the_session() -> None:
    result = await call(
        subdialog('src="#sub"', "", "no") + '</form><form id="sub"><block>sub</block></form>'
    )
    assert heard(result) == ["sub"]


async def test_a_return_outside_a_subdialog_is_a_semantic_error() -> None:
    assert thrown(await call(form("<return/>"))) == ["error.semantic"]


async def test_a_return_of_what_is_not_declared_is_the_subdialogs_error() -> None:
    result = await call(
        subdialog('src="#sub"', "<catch>no</catch>")
        + '</form><form id="sub"><block><return namelist="a"/></block>'
        "<catch>yes<exit/></catch></form>"
    )
    assert heard(result) == ["yes"]


async def test_a_subdialog_that_cannot_be_fetched_is_the_callers_error() -> None:
    result = await call(
        '<form><subdialog src="none.vxml"><catch event="error.badfetch">yes<exit/></catch>'
        "</subdialog></form>"
    )
    assert heard(result) == ["yes"]


async def test_a_subdialog_sends_its_namelist() -> None:
    web = Web({"main.vxml": vxml(
        '<form><var name="a" expr="1"/><subdialog src="s.vxml" method="post" namelist="a"/></form>'
    ), "s.vxml": vxml(form("<return/>"))})  # fmt: skip
    await call(web)
    assert (web.requests[1].method, web.requests[1].fields) == ("POST", (("a", "1"),))


async def test_the_callers_properties_do_not_hold_in_a_subdialog_of_another_document() -> None:
    pages: dict[str, Page] = {
        "main.vxml": vxml(
            '<property name="bargein" value="false"/><form><subdialog name="s" src="sub.vxml">'
            "<prompt>before</prompt></subdialog><block>after</block></form>"
        ),
        "sub.vxml": vxml(form("within<return/>")),
    }
    result = await call(pages)
    assert [(r["text"], r["bargein"]) for r in records(result, "prompt")] == [
        ("before", False),
        ("within", True),
        ("after", False),
    ]
