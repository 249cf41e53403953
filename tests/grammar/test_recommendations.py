"""SRGS 1.0 and SISR 1.0, section by section: what is said there that no other test here says."""

from __future__ import annotations

import pytest

from tests.grammar.conftest import document, dtmf, voice
from vxml_server.grammar import Grammar, JsonValue, builtin, load


def abnf(body: str, head: str = "language en; root $r;") -> Grammar:
    return load(f"#ABNF 1.0 UTF-8;\n{head}\n{body}".encode(), base_uri="http://h/g")


def tree(grammar: Grammar, said: str) -> str | None:
    match = grammar.match(said)
    return None if match is None else match.tree


def meaning(grammar: Grammar, said: str) -> JsonValue:
    match = grammar.match(said)
    assert match is not None
    return match.interpretation


# SRGS 2: rule expansions -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("hello", "HELLO"),
        ("  new \t york ", "new york"),
        ('"San  Francisco"', "san francisco"),
        ("<token>San Francisco</token>", "san francisco"),
        ("café", "CAFE\u0301"),
        ("Straße", "STRASSE"),
        ("don't", "don’t"),
        ("10", "1 0"),
    ],
)
def test_2_1_tokens_are_compared_by_their_normal_form(written: str, said: str) -> None:
    assert tree(voice(f'<rule id="r">{written}</rule>'), said) is not None


def test_2_2_a_reference_may_be_local_by_uri_or_by_alias_of_the_root() -> None:
    files = {
        "http://h/names": document('<rule id="r">ann</rule><rule id="s" scope="public">bob</rule>')
    }
    grammar = load(
        b"#ABNF 1.0;\nlanguage en; root $r;\n"
        b"$r = $x $<names> $<http://h/names#s>~<application/srgs>; $x = x;",
        base_uri="http://h/g",
        read=files.__getitem__,
    )
    assert tree(grammar, "x ann bob") == ('$r[$x["x"],$<names>["ann"],$<http://h/names#s>["bob"]]')


def test_2_2_3_special_rules() -> None:
    assert tree(abnf("$r = $NULL a $NULL;"), "a") == '$r["a"]'
    assert tree(abnf("$r = a | b $VOID;"), "b") is None
    assert tree(abnf("$r = $GARBAGE a $GARBAGE;"), "x y a z") == '$r["a"]'


def test_2_3_a_sequence_may_be_empty() -> None:
    for body in ("$r = ();", "$r = a ( ) b;"):
        assert tree(abnf(body), "" if "a" not in body else "a b") is not None
    assert tree(voice('<rule id="r"><item/></rule>'), "") == "$r[]"


def test_2_4_1_the_greater_weight_is_preferred_and_then_document_order() -> None:
    assert meaning(abnf("$r = /1/ a {1} | /0.5/ a {2} | /3.5/ a {3} | /3.5/ a {4};"), "a") == 3
    assert meaning(abnf("$r = a {1} | /.5/ a {2};"), "a") == 1
    xml = """<rule id="r"><one-of><item weight="0.1">a<tag>1</tag></item><item weight="2.">a
        <tag>2</tag></item></one-of></rule>"""
    assert meaning(voice(xml), "a") == 2
    found = voice(xml).matches("a")
    assert [match.interpretation for match in found] == [2, 1]


def test_2_5_repeats_and_their_probabilities() -> None:
    assert meaning(abnf("$r = a <0-1> $x; $x = [a] {'x'};"), "a") == "x"
    trees = [tree(abnf(f"$r = $y <0-3{p}> a <0-3>; $y = a;"), "a a") for p in ("", " /0.2/")]
    assert trees == ['$r[$y["a"],$y["a"]]', '$r["a","a"]']
    assert [n for n in range(6) if abnf("$r = a <2-4>;").match("a " * n)] == [2, 3, 4]
    assert abnf("$r = a <0>;").match("") is not None


def test_2_6_tags_may_stand_anywhere_and_hold_anything() -> None:
    grammar = abnf("$r = {first} a {!{ {} \n}!} (b | {third});")
    assert tree(grammar, "a") == '$r[{!{first}!},"a",{!{ {} \n}!},{!{third}!}]'


def test_2_7_a_language_may_be_attached_to_tokens_references_and_expansions() -> None:
    grammar = abnf('$r = yes | oui!fr | (ja | "na ja"!de-AT | $s)!de | $s!fr; $s = x;')
    assert dict(grammar.vocabulary()) == {
        "yes": "en",
        "oui": "fr",
        "ja": "de",
        "na ja": "de-AT",
        "x": "en",
    }
    again = voice(
        """<rule id="r"><one-of xml:lang="de"><item>ja</item><item xml:lang="fr">oui <token
        xml:lang="it">si</token></item></one-of></rule>"""
    )
    assert dict(again.vocabulary()) == {"ja": "de", "oui": "fr", "si": "it"}


def test_2_7_a_built_in_type_is_in_the_language_attached_to_its_reference() -> None:
    grammar = abnf("$r = $<builtin:grammar/boolean>!fr | $<builtin:grammar/boolean>;")
    assert (meaning(grammar, "oui"), meaning(grammar, "nope")) == (True, False)
    xml = voice(
        '<rule id="r"><item xml:lang="fr"><ruleref uri="builtin:grammar/number"/></item></rule>'
    )
    assert meaning(xml, "soixante-douze") == "72"


def test_2_8_precedence_of_repeats_over_sequences_over_alternatives() -> None:
    grammar = abnf("$r = a b <2> | c [d] e;")
    accepted = [s for s in ("a b b", "a b a b", "c e", "c d e", "a b b e") if grammar.match(s)]
    assert accepted == ["a b b", "c e", "c d e"]


# SRGS 3: rule definitions ------------------------------------------------------------------------


def test_3_1_rule_names_are_case_sensitive_and_may_have_any_letters() -> None:
    assert tree(abnf("$r = $été $Été; $été = a; $Été = b;"), "a b") == '$r[$été["a"],$Été["b"]]'


def test_3_3_examples_are_not_part_of_the_rule() -> None:
    assert tree(voice('<rule id="r"><example>b</example>a<example>c</example></rule>'), "a")


# SRGS 4: the header ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        b"#ABNF 1.0;\r\nlanguage en;\r\n$r = a;",
        b"#ABNF 1.0;\rlanguage en;\r$r = a;",
        b"\xef\xbb\xbf#ABNF 1.0 UTF-8;\nlanguage en;\n$r = a;",
        "#ABNF 1.0 UTF-16;\nlanguage en;\n$r = a;".encode("utf-16"),
        "#ABNF 1.0;\nlanguage en;\n$r = a;".encode("utf-16-be"),
        b"<?xml version='1.0' encoding='ISO-8859-15'?>" + document("<rule id='r'>a</rule>"),
        ("<?xml version='1.0'?>" + document("<rule id='r'>a</rule>").decode()).encode("utf-16"),
        document("<rule id='r'>a</rule>").decode().encode("utf-16-le"),
        b"#ABNF 1.0;\nlexicon <a>~<b>;meta \"a\" is 'b';http-equiv 'c' is 'd';\nlanguage en;"
        b"base <http://h/>; mode voice;/** a\n*/ $r // b\n = a;",
    ],
)
def test_4_headers_in_every_form_and_encoding(source: bytes) -> None:
    assert load(source).match("a") is not None


def test_4_5_a_grammar_for_keys_has_no_language() -> None:
    assert dtmf('<rule id="r">1</rule>', 'xml:lang="en"').match("1") is not None
    assert load(b'#ABNF 1.0;\nmode dtmf;\n$r = 1 star "2 pound";').match("1*2#") is not None


def test_4_8_global_tags_share_their_variables_with_the_rules_of_their_document() -> None:
    grammar = abnf(
        "{!{ var count = 0; function next() { return ++count; } }!};\n$r = $s <1->"
        " {out.n = next()}; $s = a {next()};",
        "language en; root $r; tag-format <semantics/1.0>;",
    )
    assert meaning(grammar, "a a a") == {"n": 4}
    assert meaning(grammar, "a") == {"n": 2}


# SISR --------------------------------------------------------------------------------------------

SCRIPT = "language en; root $r; tag-format <semantics/1.0>;"
LITERAL = "language en; root $r; tag-format <semantics/1.0-literals>;"


@pytest.mark.parametrize(
    ("head", "body", "said", "value"),
    [
        # 3.2: the result of a rule without tags is that of its last reference, or its text.
        (SCRIPT, "$r = say $s; $s = x {out = 7};", "say x", 7),
        (SCRIPT, "$r = $s $t; $s = x {out = 7}; $t = y;", "x y", "y"),
        (SCRIPT, "$r = a b;", "a b", "a b"),
        (SCRIPT, "$r = a {var b = 1};", "a", {}),
        # 3.3: rule variables.
        (SCRIPT, "$r = $s $s {out = rules.s}; $s = x {out = 1} | y {out = 2};", "x y", 2),
        (
            SCRIPT,
            "$r = $s {out.a = rules.latest()} $t {out.b = rules.latest()}; $s = x; $t = y;",
            "x y",
            {"a": "x", "b": "y"},
        ),
        (
            SCRIPT,
            "$r = a {out.a = typeof rules.s} $s {out.b = typeof rules.s}; $s = x;",
            "a x",
            {"a": "undefined", "b": "string"},
        ),
        (
            SCRIPT,
            "$r = $s {out.s = rules.s.a.b[1]}; $s = x {!{out.a = {b: [1, 2]}}!};",
            "x",
            {"s": 2},
        ),
        # 3.3.3: meta.
        (
            SCRIPT,
            "$r = go $s {out.a = meta.s.text; out.b = meta.current().text};$s = new york;",
            "go new york",
            {"a": "new york", "b": "go new york"},
        ),
        (SCRIPT, "$r = $s {out = meta.s.score + meta.current().score}; $s = x;", "x", 2),
        (SCRIPT, "$r = $s {out = meta.latest().text}; $s = x y;", "x y", "x y"),
        # 4: only the tags of the winning parse are evaluated, in their order.
        (SCRIPT, "$r = {out = 'a'} (x {out += 'b'} | y {nowhere()}) {out += 'c'};", "x", "abc"),
        (SCRIPT, "$r = (x {out.n = (out.n || 0) + 1}) <0->;", "x x x", {"n": 3}),
        # 5: literals.
        (LITERAL, "$r = a {out = 1};", "a", "out = 1"),
        (LITERAL, "$r = a {1} b {2};", "a b", "2"),
        (LITERAL, "$r = $s; $s = a { x };", "a", " x "),
    ],
)
def test_semantic_interpretation(head: str, body: str, said: str, value: JsonValue) -> None:
    assert meaning(abnf(body, head), said) == value


def test_variables_of_one_match_of_a_rule_are_not_those_of_another() -> None:
    body = "$r = $s $s {out = rules.s}; $s = x {var n; n = (n || 0) + 1; out = n};"
    assert meaning(abnf(body, SCRIPT), "x x") == 1


def test_grammars_of_both_tag_formats_may_refer_to_each_other() -> None:
    files = {
        "http://h/script": f"#ABNF 1.0;\n{SCRIPT}\n$r = x {{out.x = 1}};".encode(),
        "http://h/literal": f"#ABNF 1.0;\n{LITERAL}\n$r = y {{why}};".encode(),
    }
    source = (
        f"#ABNF 1.0;\n{SCRIPT}\n$r = $<script> {{out.a = rules.r}} $<literal> {{out.b = rules.r}};"
    )
    grammar = load(source.encode(), base_uri="http://h/g", read=files.__getitem__)
    assert meaning(grammar, "x y") == {"a": {"x": 1}, "b": "why"}


def test_what_a_built_in_type_gives_is_at_hand_in_scripts() -> None:
    body = "$r = $<builtin:grammar/date> {out = rules.date.substring(0, 4) + '!'};"
    assert meaning(abnf(body, SCRIPT), "july fourth two thousand") == "2000!"
    body = "$r = $<builtin:grammar/time> {var t = rules.time; out.at = t};"
    assert meaning(abnf(body, SCRIPT), "half past two") == {"at": "0230?"}


def test_an_element_of_another_namespace_is_passed_over_but_for_an_optional_one() -> None:
    grammar = voice(
        '<rule id="r">a <x:note xmlns:x="http://h/">not said</x:note> <y:optional xmlns:y="http://i/">'
        "b <item>c</item></y:optional></rule>"
    )
    assert [said for said in ("a", "a b c", "a b", "a not said") if grammar.match(said)] == [
        *("a", "a b c")
    ]


def test_recursion_is_regular_only_at_the_end_of_a_rule() -> None:
    assert abnf("$r = a [$r];").automaton is not None
    assert abnf("$r = a $s; $s = b [$r {1}] | c;").automaton is not None
    for body, said in (
        ("$r = [$r] a;", "a a a"),
        ("$r = a [$r] b;", "a a b b"),
        ("$r = a | ($r b) <2-3>;", "a b a b"),
    ):
        assert abnf(body).automaton is None
        assert abnf(body).match(said) is not None


def test_a_repeat_of_a_million_is_not_written_out() -> None:
    grammar = builtin("digits?maxlength=1000", "", "dtmf")
    assert grammar.automaton is not None
    assert abnf("$r = (a <0-1000>) <0-1000>;").automaton is None
