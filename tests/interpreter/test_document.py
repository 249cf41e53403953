"""Compiling documents: what is accepted, what is refused, and what the tree says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.interpreter.harness import call, heard, records, thrown, vxml
from vxml_server.events import VoiceXmlEvent
from vxml_server.interpreter.compiler import compile_document
from vxml_server.interpreter.document import Document
from vxml_server.interpreter.vocabulary import is_ours

URI = "http://test/dir/main.vxml"


def compiled(content: str, attributes: str = "") -> Document:
    return compile_document(vxml(content, attributes).encode(), URI)


def refused(body: str | bytes) -> VoiceXmlEvent:
    with pytest.raises(VoiceXmlEvent) as caught:
        compile_document(body.encode() if isinstance(body, str) else body, URI)
    assert caught.value.name == "error.badfetch"
    assert caught.value.uri == URI
    return caught.value


# XML ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not XML",
        b"<vxml",
        b'<vxml version="2.1"><form></vxml>',
        b'<vxml version="2.1">&undeclared;</vxml>',
        b'<vxml version="2.1"/><vxml version="2.1"/>',
        b"\x00\x01",
    ],
)
def test_what_is_not_well_formed_is_refused(body: bytes) -> None:
    refused(body)


def test_a_mistake_is_told_with_its_line() -> None:
    assert refused('<vxml version="2.1">\n<form>\n</vxml>').line == 3
    assert refused('<vxml version="2.1">\n\n<form><nonsense/></form></vxml>').line == 3


@pytest.mark.parametrize(
    ("declaration", "encoding"),
    [
        ("", "utf-8"),
        ("", "utf-8-sig"),
        ("", "utf-16"),
        ('<?xml version="1.0" encoding="ISO-8859-1"?>', "iso-8859-1"),
        ('<?xml version="1.0" encoding="windows-1252"?>', "windows-1252"),
        ('<?xml version="1.0" encoding="UTF-16"?>', "utf-16"),
        ('<?xml version="1.0"?>', "utf-8"),
        ('<!DOCTYPE vxml SYSTEM "http://www.w3.org/TR/voicexml20/vxml.dtd">', "utf-8"),
        ("<!DOCTYPE vxml [<!ELEMENT vxml ANY>]>", "utf-8"),
    ],
)
def test_an_author_may_choose_encoding_and_prologue(declaration: str, encoding: str) -> None:
    body = declaration + '<vxml version="2.1"><form id="été"/></vxml>'
    document = compile_document(body.encode(encoding), URI)
    assert document.dialog("été") is document.dialog("")


@pytest.mark.parametrize(
    "subset",
    [
        '<!ENTITY a "b">',
        '<!ENTITY a SYSTEM "file:///etc/passwd">',
        '<!ENTITY % a "b">',
        '<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">',
    ],
)
def test_a_document_may_not_declare_entities(subset: str) -> None:
    event = refused(f'<!DOCTYPE vxml [{subset}]><vxml version="2.1"/>')
    assert "entities" in event.message


def test_an_entity_that_only_an_external_subset_could_declare_is_refused() -> None:
    refused('<!DOCTYPE vxml SYSTEM "x.dtd"><vxml version="2.1"><form>&eacute;</form></vxml>')


def test_comments_and_instructions_are_as_if_they_were_not_there() -> None:
    document = compiled("<form><block>one<!-- - -->two<?x y?>three</block></form>")
    block = document.dialogs[0].named("block")[0]
    assert block.children == ("onetwothree",)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_document_or_a_bad_fetch(body: bytes) -> None:
    try:
        compile_document(body, URI)
    except VoiceXmlEvent as event:
        assert event.name == "error.badfetch"


_fragments = st.lists(
    st.sampled_from(
        [
            '<vxml version="2.1">', "</vxml>", "<form>", '<form id="a">', "</form>", "<field/>",
            '<grammar src="x"/>', "<block>", "</block>", "<!DOCTYPE vxml [", "]>", "&amp;", "&x;",
            '<!ENTITY x "y">', "<![CDATA[", "]]>", "<!--", "-->", "text", '<filled namelist="a"/>',
            '<menu dtmf="true">', "</menu>", '<choice next="#a" dtmf="5"/>', 'xml:base="::"',
        ]
    ),
    max_size=12,
).map("".join)  # fmt: skip


@given(_fragments)
def test_any_pieces_of_a_document_are_a_document_or_a_bad_fetch(text: str) -> None:
    try:
        compile_document(text.encode(), URI)
    except VoiceXmlEvent as event:
        assert event.name == "error.badfetch"


# Elements and attributes -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "namespace",
    ["", 'xmlns="http://www.w3.org/2001/vxml"', 'xmlns="http://www.w3.org/2001/voicexml"',
     'xmlns="http://www.voicexml.org/2002/vxml"', 'xmlns="urn:a-slip-of-the-author"'],
)  # fmt: skip
def test_the_namespace_of_the_root_is_good_enough(namespace: str) -> None:
    body = f'<vxml version="2.1" {namespace}><form id="a"><nonsense/></form></vxml>'
    assert "nonsense" in refused(body).message
    document = compile_document(body.replace("<nonsense/>", "").encode(), URI)
    assert document.dialog("a") is not None


def test_elements_and_attributes_of_others_are_passed_over() -> None:
    document = compiled(
        '<x:meta><x:deep/></x:meta><form x:note="n" id="a"><x:any/>words</form>',
        'xmlns:x="http://example.org/x"',
    )
    form = document.dialogs[0]
    assert dict(form.attributes) == {"id": "a"}
    assert form.children == ("words",)


def test_metadata_in_rdf_is_passed_over() -> None:
    assert not is_ours("http://www.w3.org/1999/02/22-rdf-syntax-ns#", None)


@pytest.mark.parametrize(
    "body",
    [
        '<html version="2.1"/>',
        "<vxml/>",
        '<vxml version="3.0"/>',
        vxml("<nonsense/>"),
        vxml("<var/>"),
        vxml('<form id="a"/><menu id="a"/>'),
        vxml('<form><field name="a"/><block name="a"/></form>'),
        vxml('<form><block><assign name="a"/></block></form>'),
        vxml('<form><block><goto next="#a" nextitem="b"/></block></form>'),
        vxml("<form><block><goto/></block></form>"),
        vxml("<form><block><submit/></block></form>"),
        vxml("<form><block><throw/></block></form>"),
        vxml('<form><block><throw event="a" eventexpr="b"/></block></form>'),
        vxml('<form><block><throw event="a" message="b" messageexpr="c"/></block></form>'),
        vxml('<form><block><return event="a" namelist="b"/></block></form>'),
        vxml('<form><block><exit expr="a" namelist="b"/></block></form>'),
        vxml('<form><block><audio src="a" expr="b"/></block></form>'),
        vxml("<form><block><audio/></block></form>"),
        vxml("<form><block><value/></block></form>"),
        vxml("<form><block><if>a</if></block></form>"),
        vxml('<form><block><prompt count="none">a</prompt></block></form>'),
        vxml('<form><block><prompt count="0">a</prompt></block></form>'),
        vxml('<form><block><prompt bargein="maybe">a</prompt></block></form>'),
        vxml('<form><block><prompt bargeintype="loud">a</prompt></block></form>'),
        vxml('<form><block><prompt timeout="soon">a</prompt></block></form>'),
        vxml('<form><block><submit next="a" method="put"/></block></form>'),
        vxml('<form><block><goto next="a" fetchtimeout="1 minute"/></block></form>'),
        vxml('<form><block><goto next="a" maxage="-1"/></block></form>'),
        vxml('<form><block><goto next="a" maxage="1e3"/></block></form>'),
        vxml(f'<form><block><goto next="a" maxage="{"9" * 400}"/></block></form>'),
        vxml(f'<form><block><goto next="a" fetchtimeout="{"9" * 400}s"/></block></form>'),
        vxml('<form><block><mark name="a" nameexpr="b"/></block></form>'),
        vxml('<catch event="a" count="x"/>'),
        vxml('<catch event="a" count="²"/>'),
        vxml("<form><subdialog/></form>"),
        vxml('<form><subdialog src="#a" srcexpr="b"/></form>'),
        vxml('<form><subdialog src="#a"><param name="a"/></subdialog></form>'),
        vxml('<form><subdialog src="#a"><param name="a" value="1" expr="1"/></subdialog></form>'),
        vxml('<form scope="session"/>'),
        vxml('<form><field modal="yes"/></form>'),
        vxml('<form><transfer dest="tel:1" type="warm"/></form>'),
        vxml('<form><transfer dest="tel:1" bridge="true" type="bridge"/></form>'),
        vxml('<form><transfer dest="tel:1" connecttimeout="x"/></form>'),
        vxml('<form><transfer dest="tel:1" maxtime="x"/></form>'),
        vxml("<form><transfer/></form>"),
        vxml('<form><filled mode="some"/></form>'),
        vxml('<form><field name="a"><filled mode="all"/></field></form>'),
        vxml('<form><field name="a"><filled namelist="a"/></field></form>'),
        vxml('<form><block name="a"/><filled namelist="a"/></form>'),
        vxml('<form><filled namelist="a"/></form>'),
        vxml('<form><field><grammar src="a" scope="document"/></field></form>'),
        vxml('<link next="#a"><grammar src="a" scope="document"/></link>'),
        vxml("<form><field><grammar/></field></form>"),
        vxml('<form><field><grammar src="a" srcexpr="b"/></field></form>'),
        vxml('<form><field><grammar src="a"><rule id="r">x</rule></grammar></field></form>'),
        vxml('<form><field><grammar mode="speech" src="a"/></field></form>'),
        vxml("<script/>"),
        vxml('<script src="a">var b;</script>'),
        vxml('<script src="a" srcexpr="b"/>'),
        vxml('<link next="#a" event="b"/>'),
        vxml("<link/>"),
        vxml("<menu><choice>a</choice></menu>"),
        vxml('<menu dtmf="true"><choice dtmf="5" next="#a">b</choice></menu>'),
        vxml('<catch event="">b</catch>'),
        vxml('<menu accept="roughly"/>'),
        vxml('<property name="a"/>'),
    ],
)  # fmt: skip
def test_what_the_recommendation_refuses_is_refused(body: str) -> None:
    assert refused(body).line == 1


@pytest.mark.parametrize(
    "content",
    [
        "",
        "<form/>",
        '<meta name="author" content="a"/><form id="a"/>',
        '<form><field name="a"/><field/><field/><block/></form><form><field name="a"/></form>',
        '<menu dtmf="true"><choice event="b">c</choice><choice dtmf="0" event="b"/></menu>',
        '<form scope="document"><grammar src="a" scope="dialog"/></form>',
        '<form><field name="a"/><filled mode="any" namelist="a"/></form>',
        '<form><transfer dest="tel:1" type="consultation" connecttimeout="20s"/></form>',
        '<form><block><submit next="a" method="POST" maxage="0" fetchtimeout="1s"/></block></form>',
        '<form><block><prompt count="2" timeout=".5s">a</prompt></block></form>',
    ],
)
def test_what_the_recommendation_allows_is_accepted(content: str) -> None:
    compiled(content)


async def test_a_bad_document_is_not_begun() -> None:
    result = await call("<form><block>Hello.</block><field><grammar/></field></form>")
    assert heard(result) == ["Sorry, a technical problem has occurred. Please call again later."]
    assert thrown(result) == ["error.badfetch"]
    assert result.outcome.reason == "error"
    assert result.outcome.error == "error.badfetch"
    assert result.outcome.message == (
        "http://test/main.vxml:1: <grammar> needs exactly one of src, srcexpr and content"
    )


async def test_misplaced_elements_are_found_out_when_they_are_reached() -> None:
    result = await call(
        "<form><block>Hello.<field/></block><catch event='error.badfetch'>"
        "<log expr='_message'/><exit/></catch></form>"
    )
    assert heard(result) == ["Hello."]
    assert records(result, "log")[0]["text"] == "<field> is not executable content"


# The tree ----------------------------------------------------------------------------------------


def test_language_and_base_are_inherited() -> None:
    document = compiled(
        '<form id="a"><block xml:lang="fr">x</block></form><form xml:base="sub/" id="b"/>',
        'xml:base="http://other/app/"',
    )
    first, second = document.dialogs
    block = first.named("block")[0]
    assert (document.root.lang, block.lang, second.lang) == ("en", "fr", "en")
    assert (first.base, second.base) == ("http://other/app/", "http://other/app/sub/")


def test_the_root_document_is_named_absolutely_and_without_fragment() -> None:
    assert compiled("", 'application="../root.vxml#x"').application == "http://test/root.vxml"
    assert compiled("", 'xml:base="/a/" application="root.vxml"').application == (
        "http://test/a/root.vxml"
    )
    assert compiled("").application == ""


def test_a_dialog_is_found_by_its_id_and_the_first_by_none() -> None:
    document = compiled('<menu/><form id="b"/>')
    assert document.dialog("") is document.dialogs[0]
    assert document.dialog("b") is document.dialogs[1]
    assert document.dialog("c") is None
    assert compiled("").dialog("") is None


def test_a_grammar_keeps_its_source() -> None:
    document = compiled('<form><grammar root="r">\n<rule id="r">a &amp; b</rule></grammar></form>')
    grammar = document.dialogs[0].named("grammar")[0]
    assert b"<rule" in grammar.source
    assert grammar.text.strip() == "a & b"


async def test_a_large_document_is_compiled_beside_the_loop() -> None:
    filler = "<!-- " + "x" * 70_000 + " -->"
    result = await call(filler + "<form><block>Hello.</block></form>")
    assert heard(result) == ["Hello."]
