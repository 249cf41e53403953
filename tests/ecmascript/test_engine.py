"""The engine: scope chains, declarations, limits."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from vxml_server.ecmascript import Engine, Object, declared_names
from vxml_server.ecmascript.engine import MAX_DEPTH
from vxml_server.events import VoiceXmlEvent


@pytest.fixture
def engine() -> Engine:
    return Engine()


def test_the_nearest_scope_wins(engine: Engine) -> None:
    outer, inner = engine.new_scope(), engine.new_scope()
    engine.set(outer, "x", 1)
    engine.set(outer, "y", 2)
    engine.set(inner, "x", 10)
    assert engine.evaluate("x + y", [outer, inner]) == 12
    assert engine.evaluate("x + y", [outer]) == 3


def test_a_scope_has_no_names_but_its_own(engine: Engine) -> None:
    holder, scope = engine.new_scope(), engine.new_scope()
    engine.set(holder, "scope", scope)
    assert engine.evaluate("'toString' in scope || 'constructor' in scope", [holder]) is False


def test_an_undeclared_name_is_a_semantic_error(engine: Engine) -> None:
    with pytest.raises(VoiceXmlEvent) as raised:
        engine.evaluate("nosuch", [engine.new_scope()])
    assert raised.value.name == "error.semantic"
    assert "nosuch is not defined" in raised.value.message


@pytest.mark.parametrize("expression", ["1 +", "a b", "1; 2", ")", "}) (", "'open", "`"])
def test_what_is_no_expression_is_a_semantic_error(engine: Engine, expression: str) -> None:
    with pytest.raises(VoiceXmlEvent) as raised:
        engine.evaluate(expression, [])
    assert raised.value.name == "error.semantic"


def test_a_comment_at_the_end_of_an_expression_is_harmless(engine: Engine) -> None:
    assert engine.evaluate("1 + 1 // two", []) == 2
    assert engine.evaluate_text("1 + 1 // two", []) == "2"
    assert engine.evaluate_truth("false // no", []) is False


def test_text_and_truth_are_ecmascripts_own(engine: Engine) -> None:
    assert engine.evaluate_text("[1, 2]") == "1,2"
    assert engine.evaluate_text("undefined") == "undefined"
    assert engine.evaluate_text("0.1 + 0.2") == "0.30000000000000004"
    assert engine.evaluate_text("1e21") == "1e+21"
    assert not engine.evaluate_truth("''")
    assert engine.evaluate_truth("[]")


def test_variables_and_functions_of_a_script_belong_to_the_innermost_scope(engine: Engine) -> None:
    outer, inner = engine.new_scope(), engine.new_scope()
    engine.set(outer, "step", 5)
    engine.run(
        "var count = 1; function add() { count += step; return count; }\nadd();", [outer, inner]
    )
    assert engine.evaluate("count", [outer, inner]) == 6
    assert engine.keys(outer) == ["step"]
    # The function sees later changes of the variable, as a closure over the scope must.
    engine.set(inner, "count", 100)
    assert engine.evaluate("add()", [outer, inner]) == 105


def test_a_function_of_a_script_hides_one_of_an_outer_scope(engine: Engine) -> None:
    outer, inner = engine.new_scope(), engine.new_scope()
    engine.run("function who() { return 'outer'; }", [outer])
    engine.run("function who() { return 'inner'; } var said = who();", [outer, inner])
    assert engine.evaluate("said", [outer, inner]) == "inner"
    assert engine.evaluate("who()", [outer]) == "outer"


def test_a_variable_declared_again_keeps_its_value(engine: Engine) -> None:
    scope = engine.new_scope()
    engine.run("var a = 1;", [scope])
    engine.run("var a;", [scope])
    assert engine.evaluate("a", [scope]) == 1


def test_declared_names_are_those_of_the_top_level_only() -> None:
    source = """
        // var commented = 1;
        var a = "var quoted = 1", b;
        for (var i = 0; i < 3; i++) { var inside = i; }
        function f(p) { var local = p; return function g() {}; }
    """
    variables, functions = declared_names(source)
    assert set(variables) == {"a", "b", "i", "inside"}
    assert functions == ("f",)


def test_a_script_error_tells_its_line(engine: Engine) -> None:
    with pytest.raises(VoiceXmlEvent) as raised:
        engine.run("var a = 1;\nvar b = 2;\nnosuch();", [engine.new_scope()])
    assert (raised.value.name, raised.value.line) == ("error.semantic", 3)
    with pytest.raises(VoiceXmlEvent) as raised:
        engine.run("var a = 1;\nvar = 2;", [engine.new_scope()])
    assert (raised.value.name, raised.value.line) == ("error.semantic", 2)


def test_objects_and_names_are_asked_for_together(engine: Engine) -> None:
    outer, inner = engine.new_scope(), engine.new_scope()
    engine.set(outer, "a", 1)
    engine.set_undefined(inner, "b")
    assert engine.last_with("a", [outer, inner]) == 0
    assert engine.last_with("b", [outer, inner]) == 1
    assert engine.last_with("toString", [outer, inner]) is None
    engine.set(inner, "a", None)
    assert engine.last_with("a", [outer, inner]) == 1
    assert engine.first_undefined(inner, ["a", "b", "c"]) == 1
    assert engine.first_undefined(inner, ["a"]) is None
    assert engine.first_undefined(inner, []) is None


def test_declaring_again_changes_nothing(engine: Engine) -> None:
    scope = engine.new_scope()
    engine.declare(scope, "x")
    assert engine.has(scope, "x")
    assert not engine.is_defined(scope, "x")
    engine.set(scope, "x", 1)
    engine.declare(scope, "x")
    assert engine.get(scope, "x") == 1


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("x", "inner"),
        (" n\n", "null"),
        ("u", "undefined"),
        ("list", "1,2"),
        ("undefined", "undefined"),
        ("NaN", "NaN"),
        ("x.length", "5"),
    ],
)
def test_a_variable_reads_the_same_looked_up_and_evaluated(
    engine: Engine, expression: str, text: str
) -> None:
    outer, inner = engine.new_scope(), engine.new_scope()
    engine.set(outer, "x", "outer")
    engine.set_json(outer, "list", [1, 2])
    engine.set(inner, "x", "inner")
    engine.set(inner, "n", None)
    engine.set_undefined(inner, "u")
    assert engine.evaluate_text(expression, [outer, inner]) == text
    assert engine.evaluate_text(f"({expression})", [outer, inner]) == text


def test_a_variable_that_nobody_declared_cannot_be_read(engine: Engine) -> None:
    with pytest.raises(VoiceXmlEvent, match="nobody"):
        engine.evaluate_text("nobody", [engine.new_scope()])


@given(st.none() | st.booleans() | st.integers(-(2**31), 2**31) | st.text(max_size=5))
def test_a_value_arrives_as_it_is_however_it_crosses(value: object) -> None:
    engine = Engine()
    scope = engine.new_scope()
    engine.set_json(scope, "v", value)
    engine.set_json(scope, "w", [value])
    assert engine.evaluate_truth("Object.is(v, w[0])", [scope])


def test_undefined_null_and_missing_are_told_apart(engine: Engine) -> None:
    scope = engine.new_scope()
    engine.set_undefined(scope, "u")
    engine.set(scope, "n", None)
    assert engine.has(scope, "u")
    assert not engine.is_defined(scope, "u")
    assert engine.is_defined(scope, "n")
    assert not engine.has(scope, "m")
    assert not engine.is_defined(scope, "m")
    engine.define(scope, "m", "u", [scope])
    assert engine.has(scope, "m")
    assert not engine.is_defined(scope, "m")
    engine.copy(scope, "n", scope, "u")
    assert engine.is_defined(scope, "u")
    engine.remove(scope, "u")
    assert engine.keys(scope) == ["n", "m"]


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=10,
)


@given(JSON)
def test_json_goes_in_and_comes_out_unchanged(value: object) -> None:
    engine = ENGINE
    scope = engine.new_scope()
    engine.set_json(scope, "v", value)
    assert engine.evaluate_json("v", [scope]) == value


ENGINE = Engine()


@given(st.text(max_size=30))
def test_no_expression_raises_anything_but_an_event(expression: str) -> None:
    try:
        ENGINE.evaluate_json(expression, [])
    except VoiceXmlEvent as event:
        assert event.name == "error.semantic"


def test_values_without_json_become_null(engine: Engine) -> None:
    assert engine.evaluate_json("[undefined, function () {}, NaN, 1n]") == [None, None, None, 1]
    assert engine.evaluate_json("undefined") is None
    with pytest.raises(VoiceXmlEvent, match="circular"):
        engine.evaluate_json("(function () { var a = []; a.push(a); return a; })()")


def test_an_expression_has_no_lines_of_its_own(engine: Engine) -> None:
    for evaluate in (engine.evaluate, engine.evaluate_text, engine.evaluate_truth):
        for expression in ("nosuch", "1 +"):
            with pytest.raises(VoiceXmlEvent) as raised:
                evaluate(expression)
            assert (raised.value.name, raised.value.line) == ("error.semantic", 0)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (r"['\ud800']", ["\ufffd"]),
        (r"['\udfff x \ud83d']", ["\ufffd x \ufffd"]),
        (r"['\ud83d\ude00']", ["\U0001f600"]),
        (r"['\\ud800']", ["\\ud800"]),
        (r"({'\\\ud800': 1})", {"\\\ufffd": 1}),
    ],
)
def test_half_a_character_does_not_get_out(
    engine: Engine, expression: str, expected: object
) -> None:
    assert engine.evaluate_json(expression) == expected


def test_json_is_not_nested_without_end(engine: Engine) -> None:
    nested = "(function () { var a = []; for (var i = 1; i < %d; i++) a = [a, '[{']; return a })()"
    assert engine.evaluate_json(nested % MAX_DEPTH)
    for depth in (MAX_DEPTH + 1, 2000, 100_000):
        with pytest.raises(VoiceXmlEvent) as raised:
            engine.evaluate_json(nested % depth)
        assert raised.value.name == "error.semantic"
    value: list[object] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(VoiceXmlEvent, match="too deeply"):
        engine.from_json(value)


@pytest.mark.parametrize(
    "attack",
    [
        "(function () { while (true); })()",
        "(function () { var s = 'x'; while (true) s += s; })()",
        "(function () { var a = []; while (true) a.push({}); })()",
        "(function f() { return f(); })()",
        "/(a+)+$/.test('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!')",
        "10n",
        "'\\ud800'",
    ],
)
def test_no_script_gets_beyond_its_limits(attack: str) -> None:
    engine = Engine(time_limit=0.05)
    with pytest.raises(VoiceXmlEvent) as raised:
        engine.evaluate(attack)
    assert raised.value.name == "error.semantic"
    assert engine.evaluate("1 + 1") == 2


def test_scripts_cannot_spoil_the_helpers(engine: Engine) -> None:
    engine.run("JSON.stringify = JSON.parse = Object.keys = null;", [engine.new_scope()])
    engine.evaluate("(Array.isArray = function () { throw 1 }, 0)")
    assert engine.evaluate_json("({a: [1]})") == {"a": [1]}
    assert engine.keys(engine.from_json({"k": 1})) == ["k"]


def test_a_frozen_object_keeps_its_values(engine: Engine) -> None:
    scope = engine.new_scope()
    engine.set_json(scope, "connection", {"remote": {"uri": "tel:1"}})
    engine.freeze(engine.get(scope, "connection"))
    engine.run("connection.remote.uri = 'tel:2'; connection.x = 1;", [scope])
    assert engine.evaluate_json("connection", [scope]) == {"remote": {"uri": "tel:1"}}


def test_types_are_told(engine: Engine) -> None:
    kinds = {"[]": "array", "({})": "object", "'s'": "string", "1": "number", "f": "undefined"}
    scope = engine.new_scope()
    engine.set_undefined(scope, "f")
    for expression, kind in kinds.items():
        value = engine.evaluate(expression, [scope])
        assert engine.type_of(value) == (kind if value is not None else "object")


def test_a_failure_inside_a_bounded_function_has_the_line_of_the_script(engine: Engine) -> None:
    script = "\n\nfunction all() {\n  return new Array(2e6).join('x');\n}\nall();"
    with pytest.raises(VoiceXmlEvent) as raised:
        engine.run(script, [engine.new_scope()])
    assert (raised.value.name, raised.value.line) == ("error.semantic", 4)


def test_many_slow_scripts_use_up_their_time_until_the_session_rests() -> None:
    engine = Engine(time_limit=0.01)
    scope = engine.new_scope()
    slow = "(function () { for (var i = 0; i < 1e5; i++); return 1; })()"
    with pytest.raises(VoiceXmlEvent, match="used up their time"):
        for _ in range(10_000):
            engine.evaluate(slow, [scope])
    with pytest.raises(VoiceXmlEvent, match="used up their time"):
        engine.evaluate("1 + 0", [scope])
    engine.rest()
    assert engine.evaluate("1 + 0", [scope]) == 1


LITERALS = st.one_of(
    st.integers(0, 2**32).map(str),
    st.sampled_from(["true", "false", "null", "-1", "007", "0", "1.5", "''", "'a\\n'", "'a'b'"]),
    st.text("ab '\"\\\n{}é\0;", max_size=5).map(lambda text: f"'{text}'"),
    st.text("ab '\"\\\n{}é\0;", max_size=5).map(lambda text: f'"{text}"'),
)


@given(LITERALS)
@settings(max_examples=examples(300), deadline=None)
def test_a_literal_is_what_the_engine_makes_of_it(expression: str) -> None:
    engine = Engine()
    scope = engine.new_scope()

    def outcome(act: Callable[[str], object]) -> object:
        try:
            return act(expression)
        except VoiceXmlEvent as event:
            return event.name

    def compiled(template: str) -> Callable[[str], object]:
        return lambda written: engine.evaluate(template.format(written), [scope])

    def defined(written: str) -> object:
        engine.define(scope, "d", written, [scope])
        return engine.get(scope, "d")

    value = outcome(compiled("(0, ({}\n))"))
    assert outcome(engine.evaluate) == value
    assert outcome(defined) == value
    assert outcome(engine.evaluate_text) == outcome(compiled("'' + ({}\n)"))
    assert outcome(engine.evaluate_truth) == outcome(compiled("!!({}\n)"))


@pytest.mark.parametrize("number", [2**31 - 1, -(2**31), 2**31, -(2**31) - 1, 2**40, 2**53])
def test_a_whole_number_arrives_as_it_is(engine: Engine, number: int) -> None:
    scope = engine.new_scope()
    engine.set(scope, "n", number)
    assert engine.evaluate_text("n", [scope]) == str(number)


def test_an_assignment_changes_the_nearest_scope_that_has_the_variable(engine: Engine) -> None:
    chain = [engine.new_scope() for _ in range(4)]
    for scope in chain[1:3]:
        engine.declare(scope, "v", "w")
    assert engine.assign("v", "'new'", chain) == 2
    assert engine.assign("w", "v + 1", chain) == 2
    assert engine.get(chain[2], "w") == "new1"
    assert not engine.is_defined(chain[1], "v")
    assert engine.assign("nowhere", "nosuch()", chain) == 0


def test_the_read_only_scope_is_not_assigned_to(engine: Engine) -> None:
    chain = [engine.new_scope() for _ in range(2)]
    engine.set(chain[1], "v", "old")
    assert engine.assign("v", "'new'", chain) == 1
    assert engine.assign("v", "'new'", chain, owner="first", at=1) == 1
    assert engine.get(chain[1], "v") == "old"


def test_an_assignment_names_its_scope_unless_a_variable_has_that_name(engine: Engine) -> None:
    chain = [engine.new_scope() for _ in range(4)]
    engine.declare(chain[2], "v")
    assert engine.assign("v", "undefined", chain, owner="document", at=3) == 0
    assert engine.assign("v", "1 + 1", chain, owner="document", at=2) == 2
    engine.declare(chain[3], "document")
    assert engine.assign("v", "3", chain, owner="document", at=2) is None
    assert engine.get(chain[2], "v") == 2


def test_entering_a_scope_names_it_and_forgets_others(engine: Engine) -> None:
    names = engine.new_scope()
    engine.declare(names, "a", "b", "c")
    made = engine.enter_scope(names, "a", None, ["b", "c"])
    assert engine.keys(names) == ["a"]
    assert engine.keys(made) == []
    assert engine.evaluate("a === made", [names, *_holding(engine, made=made)]) is True
    engine.enter_scope(names, "a", names, [])
    assert engine.evaluate("a === a.a", [names]) is True


def _holding(engine: Engine, **values: object) -> list[Object]:
    scope = engine.new_scope()
    for name, value in values.items():
        engine.set(scope, name, value)
    return [scope]


def test_an_array_has_the_parts_of_its_first(engine: Engine) -> None:
    scope = engine.new_scope()
    engine.set_with_parts(scope, "r", [{"a": 1, "b": [2]}, {"a": 3}])
    assert engine.evaluate("[r.length, r.a, r.b[0], r[1].a].join()", [scope]) == "2,1,2,3"
