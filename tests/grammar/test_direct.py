"""Tags that only assign mean without an engine what they mean with one."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.grammar.conftest import voice
from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar import JsonValue, semantics
from vxml_server.grammar.direct import NotDirectError, interpret_directly
from vxml_server.grammar.grammar import Grammar
from vxml_server.grammar.tags import assignments

LEFT = ["out", "$", "out.a", "out.b", "out.a.b", "out.a.b.c"]
RIGHT = [
    *("1", "-2.5", "1.0", "'x'", '"y"', "true", "null", "rules.s", "rules.s.a", "rules.t"),
    *("rules.latest()", "rules.latest().a", "$s", "$$", "$t.b", "meta.s.text"),
    *("meta.current().text", "'a' + 'b'", "rules.s + 'x'", "rules.s + rules.t", "1 + 2", "rules.u"),
    *("{}", "[1]", "nowhere", "out", "''", "rules.s.length"),
]
scripts = st.lists(
    st.tuples(st.sampled_from(LEFT), st.sampled_from(RIGHT)).map(" = ".join), max_size=3
).map("; ".join)


def grammar_of(root: str, first: str, second: str) -> Grammar:
    return voice(
        f"""<rule id="r">go <ruleref uri="#s"/><tag>{root}</tag><ruleref uri="#t"/>
        <tag>{root}</tag></rule><rule id="s">one<tag>{first}</tag></rule>
        <rule id="t">two<tag>{second}</tag></rule>""",
        'tag-format="semantics/1.0"',
    )


def meanings(grammar: Grammar, said: str) -> tuple[object, object]:
    """Directly ("engine" where that is left to the engine), and by the engine."""
    matcher = grammar.start()
    matcher.feed(said)
    parse = matcher._progress.parse("$r")
    assert parse is not None
    interpreter = semantics._Interpreter(grammar.network)
    direct: JsonValue
    try:
        direct = interpret_directly(grammar.network, parse, interpreter.text)
    except NotDirectError:
        direct = "engine"
    try:
        return direct, interpreter.run(parse)
    except VoiceXmlEvent as event:
        return direct, event.name


@given(scripts, scripts, scripts)
@example("out = rules.s", "out = 1", "")
@settings(max_examples=examples(400), deadline=None)
def test_direct_and_by_the_engine_are_the_same(root: str, first: str, second: str) -> None:
    direct, engine = meanings(grammar_of(root, first, second), "go one two")
    assert direct in ("engine", engine)
    assert direct == "engine" or repr(direct) == repr(engine)


@pytest.mark.parametrize(
    ("root", "value"),
    [
        ("out.a = rules.s; out.b = rules.latest();", {"a": "ONE", "b": {"n": 2}}),
        ("$.a = $s + '!'; out.n = rules.latest().n", {"a": "ONE!", "n": 2}),
        ("out = meta.current().text + ',' + meta.s.text", "go one two,one"),
    ],
)
def test_usual_tags_need_no_engine(root: str, value: JsonValue) -> None:
    grammar = voice(
        f"""<rule id="r">go <ruleref uri="#s"/> <ruleref uri="#t"/><tag>{root}</tag></rule>
        <rule id="s">one<tag>out = 'ONE'</tag></rule><rule id="t">two<tag>out.n = 2</tag></rule>""",
        'tag-format="semantics/1.0"',
    )
    assert meanings(grammar, "go one two") == (value, value)


@pytest.mark.parametrize(
    "script",
    [
        *(
            "var x = 1",
            "out = x",
            "out.a++",
            "out = 1, 2",
            "out = [1]",
            "if (a) out = 1",
            "out == 1",
        ),
        *("out = 'a\\n'", "out = 007", "out = 1e3", "out.__proto__ = 1", "out = rules.latest"),
        *("out = 1 out = 2", "out = 'a' +", "out = + 1", "out = a.b", "out.push(1)", "out = `a`"),
        *(
            "out = 'a' 'b'",
            "out = 1; // a",
            "out =",
            "out = rules.s()",
            "OUT = 1",
            "out = rules.a.b()",
        ),
    ],
)
def test_anything_more_is_left_to_the_engine(script: str) -> None:
    assert assignments(script) is None


def test_an_object_in_many_places_is_many_objects() -> None:
    grammar = voice(
        """<rule id="r"><ruleref uri="#s"/><tag>out.a = rules.s; out.b = rules.s</tag></rule>
        <rule id="s">one<tag>out.n = 2</tag></rule>""",
        'tag-format="semantics/1.0"',
    )
    match = grammar.match("one")
    assert match is not None
    value = match.interpretation
    assert value == {"a": {"n": 2}, "b": {"n": 2}}
    assert isinstance(value, dict)
    assert value["a"] is not value["b"]


def test_what_doubles_with_every_tag_is_left_to_the_engine() -> None:
    tags = "<tag>out.a = $$; out.b = $$</tag>"
    rules = "".join(
        f'<rule id="s{n}"><ruleref uri="#s{n + 1}"/>{tags}</rule>' for n in range(1, 30)
    )
    grammar = voice(
        f'<rule id="r"><ruleref uri="#s1"/></rule>{rules}<rule id="s30">x</rule>',
        'tag-format="semantics/1.0"',
    )
    match = grammar.match("x")
    assert match is not None
    with pytest.raises(VoiceXmlEvent, match=r"error\.semantic"):
        _ = match.interpretation
