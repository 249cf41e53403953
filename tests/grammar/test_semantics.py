from __future__ import annotations

import pytest

from tests.grammar.conftest import document, dtmf, refused, voice
from vxml_server.grammar import JsonValue, load

SCRIPT = 'tag-format="semantics/1.0"'
LITERAL = 'tag-format="semantics/1.0-literals"'


def meaning(inside: str, said: str, attributes: str = "") -> JsonValue:
    match = voice(inside, attributes).match(said)
    assert match is not None
    return match.interpretation


def test_without_tags_the_value_is_the_text() -> None:
    assert meaning('<rule id="r">New "York City"</rule>', "new york city") == "New York City"
    keys = dtmf('<rule id="r">1 2 3</rule>').match("1 2 3")
    assert keys is not None
    assert keys.interpretation == "123"


def test_without_tags_a_rule_has_the_value_of_its_last_reference() -> None:
    rules = """<rule id="r">from <ruleref uri="#c"/> to <ruleref uri="#c"/> please</rule>
        <rule id="c"><one-of><item>rome <tag>'FCO'</tag></item><item>nice</item></one-of></rule>"""
    assert meaning(rules, "from nice to rome please") == "FCO"
    assert meaning(rules, "from rome to nice please", SCRIPT.replace("1.0", "x")) == "nice"


def test_scripts_see_out_rules_meta_their_variables_and_the_global_tags() -> None:
    assert meaning(
        """<tag>var count = 7; function twice(x) { return 2 * x }</tag>
        <rule id="r"><tag>var n = 1; out.first = true;</tag>from <ruleref uri="#c"/>
        <tag>out.from = rules.c; out.latest = rules.latest(); out.heard = meta.c.text;
        out.last = meta.latest().text; out.all = meta.current().text;
        out.score = meta.current().score</tag>
        to <ruleref uri="#c"/><tag>out.to = rules.c; out.n = twice(n + count)</tag></rule>
        <rule id="c"><one-of><item>rome<tag>out = 'FCO'; var n = 50;</tag></item>
        <item>nice</item></one-of></rule>""",
        "from rome to nice",
        SCRIPT,
    ) == {
        "first": True,
        "from": "FCO",
        "latest": "FCO",
        "heard": "rome",
        "last": "rome",
        "all": "from rome to nice",
        "score": 1,
        "to": "nice",
        "n": 16,
    }


def test_a_script_sees_references_matched_before_and_after_it() -> None:
    rules = """<rule id="r"><ruleref uri="#a"/><tag>out.a = rules.a.x</tag><ruleref uri="#b"/>
        <tag>out.b = rules.b; out.c = [1, {d: null}]</tag></rule>
        <rule id="a">a<tag>out.x = 1</tag></rule><rule id="b">b</rule>"""
    assert meaning(rules, "a b", SCRIPT) == {"a": 1, "b": "b", "c": [1, {"d": None}]}


def test_a_script_that_leaves_out_alone_leaves_an_empty_object() -> None:
    assert meaning('<rule id="r">a<tag>var x</tag></rule>', "a", SCRIPT) == {}


def test_an_undefined_out_is_null() -> None:
    assert meaning('<rule id="r">a<tag>out = undefined</tag></rule>', "a", SCRIPT) is None


def test_only_the_tags_of_the_winning_parse_are_evaluated() -> None:
    rules = """<rule id="r"><one-of><item>a<tag>out = 1</tag></item>
        <item>a<tag>while (true) ;</tag></item></one-of></rule>"""
    assert meaning(rules, "a", SCRIPT) == 1


def test_nothing_leaks_from_one_match_to_the_next() -> None:
    grammar = voice(
        '<tag>var n = 0</tag><rule id="r">a<tag>n++; Object.x = (Object.x || 0) + 1; '
        "out = n + Object.x</tag></rule>",
        SCRIPT,
    )
    for _ in range(2):
        match = grammar.match("a")
        assert match is not None
        assert match.interpretation == 2


def test_literals_are_what_they_say_and_the_last_one_counts() -> None:
    rules = """<rule id="r">a<tag>out = 1</tag><ruleref uri="#b"/></rule>
        <rule id="b">b<tag>x</tag></rule>"""
    assert meaning(rules, "a b", LITERAL) == "out = 1"
    assert meaning('<rule id="r">a<tag>x</tag><tag> y </tag></rule>', "a", LITERAL) == " y "


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        ("boston", "boston"),
        (" New York; ", "New York"),
        ("'it\\'s'", "it's"),
        ('"out = 1"', "out = 1"),
        ("true", True),
        ("12", 12),
        ("007", "007"),
        ("12345678901234567890", "12345678901234567890"),
        ("NaN", "NaN"),
        ('{"a": [1, null]}', {"a": [1, None]}),
        ("a == b", "a == b"),
        ('out = "x"', "x"),
        ('out.city = "x"; out.n = 2', {"city": "x", "n": 2}),
        ("out['a b'] = 1", {"a b": 1}),
        ('$ = "alpha"', "alpha"),
        ("$.x='y'", {"x": "y"}),
        ("out = []; out.push(3)", [3]),
        ("", ""),
    ],
)
def test_a_tag_without_a_format_is_read_as_authors_write_it(tag: str, value: JsonValue) -> None:
    assert meaning(f"<rule id='r'>a<tag><![CDATA[{tag}]]></tag></rule>", "a") == value


def test_the_names_of_the_first_drafts() -> None:
    rules = """<rule id="r"><ruleref uri="#c"/><tag>$.city = $c; $.same = $$;</tag></rule>
        <rule id="c"><one-of><item tag="PAR">paris</item></one-of></rule>"""
    assert meaning(rules, "paris") == {"city": "PAR", "same": "PAR"}


def test_global_tags_and_variables_without_a_format() -> None:
    rules = '<tag>var n = 1</tag><rule id="r">a<tag>var m = n + 1</tag><tag>out = m</tag></rule>'
    assert meaning(rules, "a") == 2


def test_global_literals_say_nothing() -> None:
    inside = '<tag>not a script</tag><rule id="l">b<tag>x</tag></rule>'
    other = document(inside, f'root="l" xml:lang="en" {LITERAL}')
    main = document(
        '<rule id="r"><ruleref uri="http://h/l"/><tag>out.l = rules.l</tag></rule>',
        f'root="r" xml:lang="en" {SCRIPT}',
    )
    match = load(main, read=lambda _: other).match("b")
    assert match is not None
    assert match.interpretation == {"l": "x"}


def test_values_and_scripts_may_be_mixed() -> None:
    rules = """<rule id="r"><tag>7</tag>a<tag>out = out + 1</tag>b<tag>"last"</tag></rule>"""
    assert meaning(rules, "a b") == "last"
    assert meaning(rules.replace('<tag>"last"</tag>', ""), "a b") == 8


@pytest.mark.parametrize(
    "script",
    [
        "content",
        "out = ",
        "while (true) ;",
        "out = 'x'; while (true) out += out",
        "throw null",
        "out.self = out",
        "out.toJSON = function () { while (true) ; }",
        "Object.defineProperty = rules.latest = null; out = rules.latest()",
        "}); (function () {",
    ],
)
def test_a_tag_that_fails_is_a_semantic_error(script: str) -> None:
    grammar = voice(f'<rule id="r">a<tag>{script}</tag></rule>', SCRIPT)
    match = grammar.match("a")
    assert match is not None
    assert match.tree.startswith('$r["a",')
    event = refused(lambda: match.interpretation)
    assert event.name == "error.semantic"
    assert event.line == 1


def test_a_semantic_error_says_where() -> None:
    source = document(
        '\n<rule id="r">a\n<tag>out = 1;\nnowhere();</tag></rule>',
        f'root="r" xml:lang="en" {SCRIPT}',
    ).decode()
    match = load(source.encode(), base_uri="http://h/g").match("a")
    assert match is not None
    event = refused(lambda: match.interpretation)
    assert event.uri == "http://h/g"
    assert event.line in {3, 4}


def test_the_tags_of_one_match_have_one_time_limit() -> None:
    busy = "for (var i = 0; i &lt; 1000000; i++) ;"
    grammar = voice(f'<rule id="r"><item repeat="1-">a<tag>{busy}</tag></item></rule>', SCRIPT)
    match = grammar.match("a " * 200)
    assert match is not None
    assert refused(lambda: match.interpretation).name == "error.semantic"


def test_each_document_reads_its_tags_its_own_way_and_has_its_own_globals() -> None:
    head = '<grammar xmlns="http://www.w3.org/2001/06/grammar" version="1.0" xml:lang="en"'
    files = {
        "http://h/main": f"""{head} root="r" {SCRIPT}><tag>var x = 'main'</tag><rule id="r">
            <ruleref uri="other"/><tag>out.one = rules.o</tag>
            <ruleref uri="literal#l"/><tag>out.two = rules.l; out.x = x</tag></rule></grammar>""",
        "http://h/other": f"""{head} root="o" {SCRIPT}><tag>var x = 'other'</tag>
            <rule id="o">a<tag>out = x</tag></rule></grammar>""",
        "http://h/literal": f"""{head} root="q" {LITERAL}><rule id="q"/>
            <rule id="l" scope="public">b<tag>x</tag></rule></grammar>""",
    }
    match = load("http://h/main", read=lambda uri: files[uri].encode()).match("a b")
    assert match is not None
    assert match.interpretation == {"one": "other", "two": "x", "x": "main"}
