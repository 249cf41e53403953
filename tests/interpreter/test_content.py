"""Executable content: section 5.3 of VoiceXML 2.0."""

from __future__ import annotations

import pytest

from tests.interpreter.harness import (
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


def block(content: str) -> str:
    return f"<form><block>{content}</block></form>"


# if ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "expected"), [(0, "zero"), (1, "one"), (2, "two"), (3, "many"), ("''", "zero")]
)
async def test_if_executes_the_first_branch_that_holds(n: object, expected: str) -> None:
    result = await call(block(
        f'<var name="n" expr="{n}"/><if cond="n == 0">zero<elseif cond="n == 1"/>one'
        '<elseif cond="n &lt;= 2"/>two<else/>many</if>'
    ))  # fmt: skip
    assert heard(result) == [expected]


async def test_if_without_else_may_do_nothing() -> None:
    assert heard(await call(block('<if cond="false">no</if>after'))) == ["after"]


async def test_conditions_after_the_one_that_holds_are_not_evaluated() -> None:
    result = await call(block('<if cond="true">yes<elseif cond="nonsense"/>no</if>'))
    assert heard(result) == ["yes"]


async def test_a_variable_of_a_branch_belongs_to_the_block() -> None:
    result = await call(block('<if cond="true"><var name="a" expr="1"/></if><value expr="a"/>'))
    assert heard(result) == ["1"]


# foreach -----------------------------------------------------------------------------------------


async def test_foreach_goes_through_a_copy_of_the_array() -> None:
    result = await call(block(
        '<var name="a" expr="[1, {n: 2}, undefined]"/><foreach array="a" item="x">'
        '<assign name="a" expr="[]"/><log expr="typeof x"/></foreach>'
    ))  # fmt: skip
    assert [r["text"] for r in records(result, "log")] == ["number", "object", "undefined"]


async def test_foreach_over_anything_else_is_a_semantic_error() -> None:
    result = await call(block('<foreach array="({length: 1})" item="x">no</foreach>'))
    assert thrown(result) == ["error.semantic"]


# log ---------------------------------------------------------------------------------------------


async def test_log_writes_its_label_its_expression_and_its_content() -> None:
    result = await call(
        block('<log label="l" expr="1 + 1">  and\n <value expr="\'x\'"/> end</log>')
    )
    assert records(result, "log") == [{"label": "l", "text": "2 and x end"}]
    assert heard(result) == []


async def test_log_knows_no_other_elements() -> None:
    assert records(await call(block("<log>a<audio src='x'/>b</log>")), "log")[0]["text"] == "ab"


# clear -------------------------------------------------------------------------------------------


async def test_clear_without_namelist_clears_all_items_and_no_variables() -> None:
    result = await call(
        '<form><var name="v" expr="1"/><var name="n" expr="0"/><block name="a">a</block>'
        f'{field()}<block><assign name="n" expr="n + 1"/>'
        '<if cond="n == 1"><clear/></if></block><block><exit expr="v"/></block></form>',
        "say: yes",
        "say: yes",
    )
    assert heard(result) == ["a", "Well?", "a", "Well?"]
    assert result.outcome.value == 1


async def test_clear_clears_what_it_names_items_and_variables() -> None:
    result = await call(
        '<form><var name="v" expr="1"/><block name="a">a</block><block name="b">b'
        '<if cond="v"><clear namelist="a v"/></if></block></form>'
    )
    assert heard(result) == ["a", "b", "a"]


async def test_clear_starts_the_prompts_of_an_item_again() -> None:
    result = await call(
        f'<form><field name="f">{yes()}<prompt>one</prompt><prompt count="2">two</prompt>'
        '<noinput><reprompt/></noinput><noinput count="2"><clear namelist="f"/><reprompt/>'
        "</noinput></field></form>",
        "silence:",
        "silence:",
        "say: yes",
    )
    assert heard(result) == ["one", "two", "one"]


async def test_clear_of_what_is_not_declared_is_a_semantic_error() -> None:
    assert thrown(await call(block('<clear namelist="nowhere"/>'))) == ["error.semantic"]


# script ------------------------------------------------------------------------------------------


async def test_a_script_is_fetched_from_beside_the_document() -> None:
    web = Web({"main.vxml": vxml('<script src="s/x.js"/>' + block('<value expr="f(2)"/>')),
               "s/x.js": "function f(n) { return n * 2; }"})  # fmt: skip
    assert heard(await call(web)) == ["4"]
    assert web.requests[1].base == "http://test/main.vxml"


async def test_the_place_of_a_script_may_be_computed() -> None:
    web = {"main.vxml": vxml(block("<script srcexpr=\"'x' + '.js'\"/><value expr='a'/>")),
           "x.js": "var a = 3;"}  # fmt: skip
    assert heard(await call(web)) == ["3"]


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ("", "error.badfetch"),
        ('charset="iso-8859-1"', "été"),
        ('charset="no-such"', "error.badfetch"),
    ],
)
async def test_a_script_is_in_utf_8_or_the_charset_that_is_stated(
    attributes: str, expected: str
) -> None:
    pages: dict[str, Page] = {
        "main.vxml": vxml(
            f'<form><block><script src="x.js" {attributes}/><value expr="a"/></block>'
            '<catch event="error.badfetch"><value expr="_event"/></catch></form>'
        ),
        "x.js": "var a = 'été';".encode("latin-1"),
    }
    assert heard(await call(pages)) == [expected]


async def test_an_error_in_a_fetched_script_has_its_uri_and_line() -> None:
    result = await call({"main.vxml": vxml('<script src="x.js"/><form/>'), "x.js": "\n\nf();"})
    assert result.outcome.message.startswith("http://test/x.js:3: ")


async def test_a_script_that_is_not_there_is_a_bad_fetch() -> None:
    result = await call(block('<script src="x.js"/>'))
    assert thrown(result) == ["error.badfetch.http.404"]
    assert result.outcome.message == "http://test/main.vxml:1: http://test/x.js: Not Found"


# throw -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attributes", ["eventexpr=\"''\"", 'eventexpr="undefined"', 'event=" "'])
async def test_an_event_needs_a_name(attributes: str) -> None:
    assert thrown(await call(block(f"<throw {attributes}/>"))) == ["error.semantic"]


# exit and disconnect -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "value"),
    [
        ("", None),
        ('expr="1 + 1"', 2),
        ('expr="({a: [1, null]})"', {"a": [1, None]}),
        ('namelist="a b"', {"a": 1, "b": "x"}),
        ('expr="undefined"', None),
        ("expr=\"'\\ud800'.length\"", 1),
        ("expr=\"['a\\ud800b']\"", ["a�b"]),
    ],
)
async def test_exit_returns_values(attributes: str, value: object) -> None:
    variables = '<var name="a" expr="1"/><var name="b" expr="\'x\'"/>'
    result = await call(variables + block(f"said<exit {attributes}/>no"))
    assert heard(result) == ["said"]
    assert result.outcome.value == value


async def test_a_value_nested_too_deeply_is_a_semantic_error() -> None:
    nest = "(function () { var a = []; for (var i = 0; i &lt; 900; i++) a = [a]; return a })()"
    assert thrown(await call(block(f'<exit expr="{nest}"/>'))) == ["error.semantic"]


async def test_disconnect_plays_what_is_queued_and_hangs_up() -> None:
    result = await call(
        '<form><block>said<var name="a" expr="1"/><disconnect namelist="a"/>no</block>'
        '<catch event="connection.disconnect.hangup"><log expr="\'gone\'"/>unheard</catch></form>'
    )
    assert heard(result) == ["said"]
    assert records(result, "log")[0]["text"] == "gone"
    assert (result.outcome.reason, result.outcome.value) == ("disconnect", {"a": 1})


async def test_a_handler_of_the_disconnection_may_return_another_value() -> None:
    result = await call(
        "<form><block><disconnect/></block>"
        '<catch event="connection"><exit expr="2"/></catch></form>'
    )
    assert (result.outcome.reason, result.outcome.value) == ("disconnect", 2)


async def test_a_second_disconnect_ends_the_session() -> None:
    result = await call(
        '<form><block><disconnect/></block><catch event="connection"><disconnect/></catch></form>'
    )
    assert thrown(result) == ["connection.disconnect.hangup"]
    assert (result.outcome.reason, result.outcome.value) == ("disconnect", None)


# submit ------------------------------------------------------------------------------------------


async def submitted(submit: str, steps: tuple[str, ...] = ()) -> tuple[object, ...]:
    """Method, fields and encoding of a submit in a form with a variable, an object and a field."""
    web = Web({
        "main.vxml": vxml(
            '<var name="d" expr="\'doc\'"/><form><var name="v" expr="1.5"/>'
            "<var name=\"o\" expr=\"({a: {b: 1}, c: ['x', true], n: null})\"/>"
            f'{field()}<block name="b">{submit}</block>'
            '<catch event="error.semantic"><exit expr="_event"/></catch></form>'
        ),
        "x.vxml": vxml(block("sent")),
    })  # fmt: skip
    await call(web, "say: yes", *steps)
    request = web.requests[-1]
    return request.uri, request.method, request.fields, request.enctype


URLENCODED = "application/x-www-form-urlencoded"
NEXT = 'next="x.vxml"'
X = "http://test/x.vxml"


@pytest.mark.parametrize(
    ("attributes", "method", "fields", "enctype"),
    [
        (NEXT, "GET", (("f", "yes"),), URLENCODED),
        ("expr=\"'x' + '.vxml'\"", "GET", (("f", "yes"),), URLENCODED),
        (f'{NEXT} method="post"', "POST", (("f", "yes"),), URLENCODED),
        (f'{NEXT} method="POST" enctype="multipart/form-data"', "POST", (("f", "yes"),),
         "multipart/form-data"),
        (f'{NEXT} namelist=""', "GET", (), URLENCODED),
        (f'{NEXT} namelist="v document.d f$.utterance"', "GET",
         (("v", "1.5"), ("document.d", "doc"), ("f$.utterance", "yes")), URLENCODED),
        (f'{NEXT} namelist="o"', "GET",
         (("o.a.b", "1"), ("o.c.0", "x"), ("o.c.1", "true"), ("o.n", "null")), URLENCODED),
    ],
)  # fmt: skip
async def test_submit_sends_variables(
    attributes: str, method: str, fields: tuple[tuple[str, str], ...], enctype: str
) -> None:
    assert await submitted(f"<submit {attributes}/>") == (X, method, fields, enctype)


async def test_submit_of_what_is_not_declared_is_a_semantic_error() -> None:
    assert (await submitted(f'<submit {NEXT} namelist="nowhere"/>'))[0] == "http://test/main.vxml"


async def test_a_submit_to_a_fragment_fetches_the_document_again() -> None:
    web = Web({"main.vxml": vxml(
        '<form><block><submit next="#g"/></block></form><form id="g"><block>g</block></form>'
    )})  # fmt: skip
    assert heard(await call(web)) == ["g"]
    assert web.fetched == ["main.vxml", "main.vxml#g"]
