from __future__ import annotations

import pytest

from tests.grammar.conftest import SRGS, document, dtmf, refused, voice
from vxml_server.grammar import load

VXML = "http://www.w3.org/2001/vxml"


def test_a_sequence_is_heard_in_order() -> None:
    grammar = voice('<rule id="r">please <item>call</item> <token>San Francisco</token> now</rule>')
    match = grammar.match("please call san francisco now")
    assert match is not None
    assert match.tree == '$r["please","call","San Francisco","now"]'
    assert grammar.match("call please san francisco now") is None


def test_quotes_make_one_token_of_several_words() -> None:
    match = voice('<rule id="r">to "New   York" city</rule>').match("to new york city")
    assert match is not None
    assert match.tree == '$r["to","New York","city"]'


@pytest.mark.parametrize(
    ("repeat", "accepted"),
    [
        ("0", {0}),
        ("1", {1}),
        ("0-1", {0, 1}),
        ("0-", {0, 1, 2, 3, 4, 5}),
        ("1-", {1, 2, 3, 4, 5}),
        ("2", {2}),
        ("2-4", {2, 3, 4}),
        ("3-", {3, 4, 5}),
        ("0-3", {0, 1, 2, 3}),
        ("1-1000000", {1, 2, 3, 4, 5}),
    ],
)
def test_an_item_is_repeated_as_often_as_it_says(repeat: str, accepted: set[int]) -> None:
    grammar = voice(f'<rule id="r">go <item repeat="{repeat}">x</item> on</rule>')
    heard = {n for n in range(6) if grammar.match(["go", *["x"] * n, "on"])}
    assert heard == accepted


def test_special_rules() -> None:
    grammar = voice(
        """<rule id="r"><one-of>
        <item>a <ruleref special="NULL"/> b</item>
        <item>c <ruleref special="VOID"/></item>
        <item><ruleref special="GARBAGE"/> d <ruleref special="GARBAGE"/></item></one-of></rule>"""
    )
    assert grammar.match("a b") is not None
    assert grammar.match("c") is None
    match = grammar.match("oh well d anyway")
    assert match is not None
    assert match.tree == '$r["d"]'
    assert match.utterance == "oh well d anyway"


def test_header_and_foreign_elements_are_passed_over() -> None:
    grammar = voice(
        """<meta name="a" content="b"/><lexicon uri="x"/><metadata><m xmlns="urn:m"/></metadata>
        <!-- comment --><?pi?>
        <rule id="r"><example>yes</example>yes <o xmlns="urn:o">no</o> sir
        <one-of><o xmlns="urn:o"/><item weight="2.5">x</item></one-of></rule>"""
    )
    assert grammar.match("yes sir x") is not None


def test_tags_show_in_the_tree_unread() -> None:
    grammar = voice('<rule id="r"><tag>out = {</tag>a<ruleref uri="#s"/></rule><rule id="s"/>')
    match = grammar.match("a")
    assert match is not None
    assert match.tree == '$r[{!{out = {}!},"a",$s[]]'


@pytest.mark.parametrize("namespace", [f'xmlns="{VXML}"', f'xmlns="{SRGS}"', ""])
def test_an_inline_grammar_may_lack_namespace_version_language_and_root(namespace: str) -> None:
    source = f"""<grammar {namespace} type="application/srgs+xml" scope="document">
        <rule id="other">no</rule><rule id="first" scope="public">yes</rule></grammar>"""
    grammar = load(source.encode(), lang="fr-FR")
    assert (grammar.mode, grammar.lang, grammar.root) == ("voice", "fr-FR", "first")
    assert grammar.scope == "document"
    assert grammar.match("yes") is not None


def test_an_inline_grammar_with_one_private_rule_is_that_rule() -> None:
    assert load(b'<grammar><rule id="x">1</rule></grammar>', lang="en", mode="dtmf").root == "x"


def test_the_mode_of_the_grammar_wins_over_the_callers() -> None:
    assert load(document('<rule id="r">a</rule>', 'mode="voice"'), lang="en", mode="dtmf").mode == (
        "voice"
    )


def test_an_inline_grammar_may_be_nothing_but_its_words() -> None:
    grammar = load(b"<grammar mode='dtmf'> 1 2 </grammar>", lang="en")
    match = grammar.match("12")
    assert match is not None
    assert match.interpretation == "12"


def test_a_grammar_without_rules_matches_nothing() -> None:
    grammar = load(document("", 'xml:lang="en"'))
    assert grammar.root == ""
    assert grammar.match("") is None
    assert grammar.match("x") is None


def test_utf_16_and_byte_order_marks_are_understood() -> None:
    text = document('<rule id="r">été</rule>').decode()
    for encoding in ("utf-8-sig", "utf-16"):
        name = encoding.removesuffix("-sig")
        source = f'<?xml version="1.0" encoding="{name}"?>{text}'.encode(encoding)
        assert load(source).match("été") is not None


BAD = {
    "not closed": "<rule id='r'>x",
    "rule twice": "<rule id='r'>x</rule><rule id='r'>y</rule>",
    "no id": "<rule>x</rule>",
    "root undefined": "<rule id='q'>x</rule>",
    "reserved name": "<rule id='r'>x</rule><rule id='NULL'>y</rule>",
    "illegal name": "<rule id='r'>x</rule><rule id='a.b'>y</rule>",
    "bad scope": "<rule id='r' scope='protected'>x</rule>",
    "undefined rule": "<rule id='r'><ruleref uri='#nowhere'/></rule>",
    "nested undefined rule": "<rule id='r'><item repeat='2'><one-of><item>a</item><item>b"
    "<ruleref uri='#nowhere'/></item></one-of></item></rule>",
    "ruleref to nothing": "<rule id='r'><ruleref/></rule>",
    "ruleref to both": "<rule id='r'><ruleref uri='#r' special='NULL'/></rule>",
    "empty uri": "<rule id='r'><ruleref uri=''/></rule>",
    "empty fragment": "<rule id='r'><ruleref uri='#'/></rule>",
    "unknown special": "<rule id='r'><ruleref special='ALL'/></rule>",
    "impossible place": "<rule id='r'><ruleref uri='http://[#x'/></rule>",
    "impossible uri": "<rule id='r'><ruleref uri='http://[x/y'/></rule>",
    "repeat words": "<rule id='r'><item repeat='many'>x</item></rule>",
    "repeat backwards": "<rule id='r'><item repeat='3-2'>x</item></rule>",
    "repeat too much": "<rule id='r'><item repeat='9999999'>x</item></rule>",
    "repeat negative": "<rule id='r'><item repeat='-1'>x</item></rule>",
    "bad weight": "<rule id='r'><one-of><item weight='much'>x</item></one-of></rule>",
    "bad probability": "<rule id='r'><item repeat='0-' repeat-prob='1.5'>x</item></rule>",
    "text in one-of": "<rule id='r'><one-of>x<item>y</item></one-of></rule>",
    "text behind an item": "<rule id='r'><one-of><item>y</item>x</one-of></rule>",
    "rule in one-of": "<rule id='r'><one-of><ruleref uri='#r'/></one-of></rule>",
    "empty one-of": "<rule id='r'><one-of/></rule>",
    "element in token": "<rule id='r'><token><item/></token></rule>",
    "element in tag": "<rule id='r'><tag><item/></tag></rule>",
    "quote not closed": "<rule id='r'>say \"cheese</rule>",
    "rule in rule": "<rule id='r'><rule id='s'>x</rule></rule>",
    "example in item": "<rule id='r'><item><example>x</example></item></rule>",
    "item outside": "<item>x</item><rule id='r'>x</rule>",
    "bad language": "<rule id='r'><item xml:lang='en_US!'>x</item></rule>",
    "entity": "<rule id='r'>&what;</rule>",
    "too deep": f"<rule id='r'>{'<item>' * 125}x{'</item>' * 125}</rule>",
}


@pytest.mark.parametrize("inside", BAD.values(), ids=BAD.keys())
def test_a_wrong_grammar_is_a_bad_fetch_at_its_line(inside: str) -> None:
    source = document(f"\n{inside}\n")
    event = refused(lambda: load(source, base_uri="http://h/g.grxml", line_offset=100))
    assert event.name == "error.badfetch"
    assert event.uri == "http://h/g.grxml"
    assert event.line in {101, 102, 103}
    assert event.message


@pytest.mark.parametrize(
    "attributes",
    ['root="r"', 'root="r" xml:lang="en" mode="keys"', 'root="r" xml:lang="?"'],
)
def test_a_wrong_header_is_a_bad_fetch(attributes: str) -> None:
    event = refused(lambda: load(document("<rule id='r'>x</rule>", attributes)))
    assert (event.name, event.line) == ("error.badfetch", 1)


@pytest.mark.parametrize("version", ['version="2.0"', ""])
def test_a_document_must_say_its_version(version: str) -> None:
    source = f'<grammar xmlns="{SRGS}" {version} xml:lang="en"><rule id="r">x</rule></grammar>'
    assert refused(lambda: load(source.encode())).name == "error.badfetch"


@pytest.mark.parametrize("source", [b"<vxml/>", b'<grammar xmlns="urn:x"/>', b"<", b"<\xff\xfe>"])
def test_what_is_not_a_grammar_is_a_bad_fetch(source: bytes) -> None:
    assert refused(lambda: load(source, lang="en")).name == "error.badfetch"


def test_an_unknown_encoding_is_a_bad_fetch() -> None:
    source = b'<?xml version="1.0" encoding="x-klingon"?><grammar/>'
    assert refused(lambda: load(source)).name == "error.badfetch"


def test_entities_are_refused_before_they_grow() -> None:
    entities = '<!ENTITY a0 "ha">' + "".join(
        f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10)
    )
    for use in ("<rule id='r'>&a9;</rule>", "<rule id='&a9;'>x</rule>", "<rule id='r'>x</rule>"):
        source = f"<!DOCTYPE grammar [{entities}]><grammar>{use}</grammar>"
        assert refused(lambda s=source: load(s.encode(), lang="en")).name == "error.badfetch"


def test_a_doctype_without_entities_is_passed_over() -> None:
    doctype = b'<!DOCTYPE grammar PUBLIC "-//W3C//DTD GRAMMAR 1.0//EN" "http://h/grammar.dtd">'
    assert load(doctype + document('<rule id="r">x</rule>')).match("x") is not None


def test_a_word_in_a_grammar_for_keys_is_a_bad_fetch() -> None:
    event = refused(lambda: dtmf('<rule id="r">one</rule>'))
    assert event.name == "error.badfetch"
    assert "'one' is not a key" in event.message
