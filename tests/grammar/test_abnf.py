from __future__ import annotations

import pytest

from tests.grammar.conftest import refused
from vxml_server.grammar import Grammar, load

HEAD = "#ABNF 1.0 UTF-8;\nlanguage en;\n"


def abnf(body: str, head: str = HEAD) -> Grammar:
    return load((head + body).encode(), base_uri="http://h/g.gram")


def test_every_kind_of_expansion() -> None:
    grammar = abnf(
        """mode voice; root $main; tag-format <semantics/1.0-literals>; base <http://h/x/>;
        lexicon <http://h/l>~<application/pls+xml>; meta "a" is 'b'; http-equiv 'c' is "d";
        {global tag};
        // a comment
        /** another; */ public $main = /2/ call $who [at (home | "the office")!en-US] {!{ca}ll}!}
            | /1.5/ $GARBAGE ring <1-2 /0.5/> $NULL {ring} | $VOID never;
        $who = bob | "Ann Lee" | ();
        """
    )
    calls = grammar.match("call ann lee at the office")
    assert calls is not None
    assert calls.tree == '$main["call",$who["Ann Lee"],"at","the office",{!{ca}ll}!}]'
    assert calls.interpretation == "ca}ll"
    rings = grammar.match("well ring ring")
    assert rings is not None
    assert rings.tree == '$main["ring","ring",{!{ring}!}]'
    assert grammar.match("call") is not None
    assert grammar.match("never") is None
    assert grammar.match("ring ring now") is None


def test_keys() -> None:
    grammar = abnf('mode dtmf; root $r; $r = 1 "*" <2> "#" | 23;', "#ABNF 1.0;\n")
    assert grammar.mode == "dtmf"
    assert grammar.match("1**#") is not None
    assert grammar.match("23") is not None


def test_keywords_are_words_inside_rules() -> None:
    assert abnf("$r = language mode root public;").match("language mode root public") is not None


def test_the_header_says_the_encoding() -> None:
    source = "#ABNF 1.0 ISO-8859-1;\nlanguage fr;\n$r = été;"
    assert load(source.encode("latin-1")).match("été") is not None
    for encoding in ("utf-16", "utf-8-sig"):
        assert load(source.replace("ISO-8859-1", "").encode(encoding)).match("été") is not None


def test_an_abnf_grammar_may_stand_inside_a_voicexml_grammar_element() -> None:
    source = '<grammar type="application/srgs">\n#ABNF 1.0;\n$r = yes;\n$s = $nowhere;</grammar>'
    event = refused(lambda: load(source.encode(), lang="en", line_offset=10))
    assert (event.name, event.line) == ("error.badfetch", 14)
    good = source.replace("$nowhere", "no")
    untyped = good.replace(' type="application/srgs"', "")
    assert load(untyped.encode(), lang="en").match("yes") is not None
    assert load(good.encode(), lang="en", media_type="application/srgs").match("yes") is not None


BAD = {
    "bad version": "#ABNF 2.0;\n",
    "no version": "#ABNF;\n",
    "no new line": "#ABNF 1.0; language en;\n",
    "unknown encoding": "#ABNF 1.0 x-klingon;\n",
    "wrong encoding": "#ABNF 1.0 ascii;\n$r = é;",
    "no language": "#ABNF 1.0;\n$r = x;",
    "two roots": HEAD + "root $r; root $r; $r = x;",
    "bad mode": HEAD + "mode keys;",
    "bad language": "#ABNF 1.0;\nlanguage ?;",
    "unknown declaration": HEAD + "colour blue;",
    "late declaration": HEAD + "$r = x; mode voice;",
    "not a statement": HEAD + "%",
    "meta without is": HEAD + "meta 'a' was 'b';",
    "meta without content": HEAD + "meta 'a' is b;",
    "no semicolon": HEAD + "$r = x",
    "no equals": HEAD + "$r x;",
    "rule twice": HEAD + "$r = x; $r = y;",
    "empty rule": HEAD + "$r = ;",
    "empty alternative": HEAD + "$r = a | | b;",
    "not closed": HEAD + "$r = (a;",
    "undefined rule": HEAD + "$r = $s;",
    "undefined root": HEAD + "root $s; $r = x;",
    "reserved name": HEAD + "$VOID = x;",
    "kleene star": HEAD + "$r = many *;",
    "bad repeat": HEAD + "$r = x <2-1>;",
    "bad probability": HEAD + "$r = x <1-2 /7/>;",
    "not a repeat": HEAD + "$r = x <y>;",
    "reference to nothing": HEAD + "$r = $<#x>;",
    "impossible uri": HEAD + "$r = $<http://[x>;",
    "not a key": "#ABNF 1.0;\nmode dtmf; $r = one;",
    "tag not closed": HEAD + "$r = {!{ x;",
    "too deep": HEAD + f"$r = {'(' * 200}x{')' * 200};",
}


@pytest.mark.parametrize("source", BAD.values(), ids=BAD.keys())
def test_a_wrong_grammar_is_a_bad_fetch(source: str) -> None:
    event = refused(lambda: load(source.encode(), base_uri="http://h/g.gram"))
    assert (event.name, event.uri) == ("error.badfetch", "http://h/g.gram")
    assert event.line > 0
