"""Variables and their scopes: section 5.1 of VoiceXML 2.0."""

from __future__ import annotations

import pytest

from tests.interpreter.harness import Page, call, field, heard, records, thrown, vxml
from vxml_server.ecmascript import Engine
from vxml_server.events import VoiceXmlEvent
from vxml_server.interpreter.scopes import Scopes


@pytest.fixture
def scopes() -> Scopes:
    engine = Engine()
    session = engine.new_scope()
    engine.set_json(session, "connection", {"aai": "x"})
    engine.freeze(session)
    made = Scopes(engine, session)
    made.enter_application()
    made.enter_document()
    made.enter_dialog()
    return made


def declare_everywhere(scopes: Scopes) -> None:
    for name in ("application", "document", "dialog"):
        scopes.engine.set(scopes.scope(name), "v", name)


def test_the_nearest_variable_is_meant(scopes: Scopes) -> None:
    declare_everywhere(scopes)
    with scopes.anonymous():
        assert scopes.value("v") == "dialog"
        scopes.declare("v", "'anonymous'")
        assert scopes.value("v") == "anonymous"
        assert scopes.value("application.v + document.v + dialog.v") == "applicationdocumentdialog"
    assert scopes.value("v") == "dialog"


def test_entering_a_scope_forgets_what_was_below_it(scopes: Scopes) -> None:
    declare_everywhere(scopes)
    scopes.enter_document()
    assert scopes.value("v") == "application"
    with pytest.raises(VoiceXmlEvent):
        scopes.value("dialog")


def test_the_root_documents_variables_are_the_applications(scopes: Scopes) -> None:
    scopes.enter_document(is_root=True)
    scopes.declare("v", "1")
    assert scopes.value("application.v === document.v") is True


@pytest.mark.parametrize("name", ["document.v", "a.b", "1a", "a b", "", "a-b", "while"])
def test_a_variable_has_a_plain_name(scopes: Scopes, name: str) -> None:
    with pytest.raises(VoiceXmlEvent) as raised:
        scopes.declare(name, None)
    assert raised.value.name == "error.semantic"


@pytest.mark.parametrize("name", ["a", "_a", "$a", "été", "a1$"])
def test_a_variable_without_an_expression_is_undefined(scopes: Scopes, name: str) -> None:
    scopes.declare(name, None)
    assert scopes.value(f"typeof {name}") == "undefined"


def test_a_second_declaration_assigns_if_it_has_an_expression(scopes: Scopes) -> None:
    scopes.declare("a", "1")
    scopes.declare("a", None)
    assert scopes.value("a") == 1
    scopes.declare("a", "a + 1")
    assert scopes.value("a") == 2


def test_assigning_changes_the_nearest_variable(scopes: Scopes) -> None:
    declare_everywhere(scopes)
    scopes.assign("v", "'new'")
    assert scopes.value("[document.v, dialog.v].join()") == "document,new"


@pytest.mark.parametrize("path", ["document.v", " document.v "])
def test_assigning_names_a_scope(scopes: Scopes, path: str) -> None:
    declare_everywhere(scopes)
    scopes.assign(path, "'new'")
    assert scopes.value("[application.v, document.v, dialog.v].join()") == "application,new,dialog"


@pytest.mark.parametrize("path", ["o.a", "o['a']", "document.o.a", "document.o['a']", "o.list[0]"])
def test_assigning_reaches_into_objects(scopes: Scopes, path: str) -> None:
    scopes.engine.set_json(scopes.scope("document"), "o", {"a": 0, "list": [0]})
    scopes.assign(path, "7")
    assert scopes.value(path) == 7
    scopes.clear(path)
    assert scopes.value(f"typeof {path}") == "undefined"


def test_undefined_can_be_assigned(scopes: Scopes) -> None:
    declare_everywhere(scopes)
    scopes.assign("v", "undefined")
    assert scopes.value("typeof dialog.v") == "undefined"


@pytest.mark.parametrize(
    "path", ["nowhere", "document.nowhere", "nowhere.a", "document.", "a b", "", "1 + 1"]
)
def test_only_what_is_declared_can_be_assigned_or_cleared(scopes: Scopes, path: str) -> None:
    for act in (lambda: scopes.assign(path, "1"), lambda: scopes.clear(path)):
        with pytest.raises(VoiceXmlEvent) as raised:
            act()
        assert raised.value.name == "error.semantic"


@pytest.mark.parametrize("path", ["session.connection", "connection", "session.connection.aai",
                                  "connection.aai"])  # fmt: skip
def test_the_session_is_read_only(scopes: Scopes, path: str) -> None:
    with pytest.raises(VoiceXmlEvent) as raised:
        scopes.assign(path, "1")
    assert "read-only" in raised.value.message
    assert scopes.value("session.connection.aai") == "x"


def test_a_variable_may_have_the_name_of_a_scope(scopes: Scopes) -> None:
    scopes.declare("document", "({v: 1})")
    scopes.assign("document.v", "2")
    assert scopes.value("document.v") == 2


def test_clearing_makes_undefined(scopes: Scopes) -> None:
    declare_everywhere(scopes)
    scopes.clear("document.v")
    scopes.clear("v")
    assert scopes.value("[typeof application.v, typeof document.v, typeof v].join()") == (
        "string,undefined,undefined"
    )


# In documents ------------------------------------------------------------------------------------


async def test_a_variable_of_a_block_is_gone_after_it() -> None:
    result = await call(
        '<form><block><var name="a" expr="1"/></block>'
        '<block><value expr="typeof a"/></block></form>'
    )
    assert heard(result) == ["undefined"]


async def test_a_dialogs_variables_start_again_when_it_is_entered_again() -> None:
    result = await call(
        '<var name="d" expr="0"/><form id="a"><var name="v" expr="0"/><block>'
        '<assign name="v" expr="v + 1"/><assign name="d" expr="d + 1"/>'
        '<value expr="d"/> <value expr="v"/>.<if cond="d == 1"><goto next="#a"/></if>'
        "</block></form>"
    )
    assert heard(result) == ["1 1.", "2 1."]


async def test_scripts_and_variables_share_their_scopes_in_document_order() -> None:
    result = await call(
        "<script>var a = 1; function twice(n) { return 2 * n; }</script>"
        '<var name="b" expr="twice(a)"/><script>b += 1;</script>'
        "<form><script>var c = twice(b);</script><block><script>var d = c; a = 9;</script>"
        '<value expr="[document.a, document.b, dialog.c, d].join()"/></block></form>'
    )
    assert heard(result) == ["9,3,6,6"]


async def test_an_undeclared_variable_is_a_semantic_error() -> None:
    result = await call('<form><block><assign name="x" expr="1"/></block></form>')
    assert thrown(result) == ["error.semantic"]


async def test_the_session_knows_the_call_and_what_was_added_to_it() -> None:
    result = await call(
        '<form><block><exit expr="[session.connection.remote.uri, '
        "session.connection.originator === session.connection.remote, "
        'session.connection.aai, session.extra.n]"/></block></form>',
        session='{remote: "tel:1", aai: "t=4"}',
        variables={"extra": {"n": 3}},
    )
    assert result.outcome.value == ["tel:1", True, "t=4", 3]


async def test_a_script_cannot_change_the_session() -> None:
    result = await call(
        "<form><block><script>session.connection.remote.uri = 'x'; connection = 1;</script>"
        '<exit expr="session.connection.remote.uri"/></block></form>',
        session='{remote: "tel:1"}',
    )
    assert result.outcome.value == "tel:1"


# Results -----------------------------------------------------------------------------------------


async def test_the_last_result_is_an_array_with_the_first_ones_properties() -> None:
    shown = "application.lastresult$"
    result = await call(
        '<property name="maxnbest" value="3"/><form><field name="f">'
        '<option>boston</option><option value="A">austin</option></field>'
        f'<block><exit expr="[{shown}.length, {shown}.utterance, {shown}.confidence, '
        f"{shown}.inputmode, {shown}[1].utterance, {shown}[1].confidence, f$.utterance, "
        'f$.confidence, f$.inputmode, f]"/></block></form>',
        "{say: austin, confidence: 0.9, alternatives: [{say: boston, confidence: 0.6}]}",
    )
    assert result.outcome.value == [
        2, "austin", 0.9, "voice", "boston", 0.6, "austin", 0.9, "voice", "A",
    ]  # fmt: skip


async def test_what_did_not_match_is_a_result_which_lasts_until_the_next_wait() -> None:
    result = await call(
        f'<form>{field()}<nomatch><log expr="lastresult$.utterance"/></nomatch>'
        '<noinput><log expr="typeof lastresult$"/></noinput></form>',
        "say: perhaps",
        "silence:",
        "say: yes",
    )
    assert [record["text"] for record in records(result, "log")] == ["perhaps", "undefined"]


async def test_the_last_result_outlives_the_document() -> None:
    pages: dict[str, Page] = {
        "main.vxml": vxml(
            f'<form>{field()}<block><goto next="leaf.vxml"/></block></form>',
            'application="root.vxml"',
        ),
        "root.vxml": vxml(""),
        "leaf.vxml": vxml(
            '<form><block><exit expr="application.lastresult$.utterance"/></block></form>',
            'application="root.vxml"',
        ),
    }
    assert (await call(pages, "say: yes")).outcome.value == "yes"
