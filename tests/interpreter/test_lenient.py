"""What authors write beside the recommendation: accepted with remarks, or refused when strict."""

import re

import pytest
from lxml import etree

from tests.interpreter.harness import MAIN, Web, call, field, heard, records, thrown, vxml, yes
from vxml_server.events import VoiceXmlEvent
from vxml_server.interpreter.compiler import compile_document, read_document
from vxml_server.interpreter.dialogue import run_dialogue
from vxml_server.interpreter.document import Document
from vxml_server.interpreter.script import Script
from vxml_server.interpreter.session import DocumentStore

URI = "http://test/main.vxml"


def codes(text: str | bytes) -> list[str]:
    """The remarks on a document; in strict mode it is refused."""
    body = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(VoiceXmlEvent) as refused:
        compile_document(body, URI, strict=True)
    assert refused.value.name == "error.badfetch"
    return [found.code for found in compile_document(body, URI).tolerated]


def repaired(content: str) -> str:
    """The content of a document as it is compiled."""
    root, _ = read_document(vxml(content).encode(), URI)
    text = etree.tostring(root, encoding="unicode")
    return re.sub(r' xmlns="[^"]*"', "", text.partition(">")[2].rpartition("<")[0])


def in_prompt(content: str) -> str:
    return f"<form><block><prompt>{content}</prompt></block></form>"


# Bytes -------------------------------------------------------------------------------------------

_HELLO = '<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml"><form id="été"/></vxml>'


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ('\n <?xml version="1.0"?>' + _HELLO, "space-before-declaration"),
        ('\n<?xml version="1.0" encoding="UTF-8"?>' + _HELLO, "space-before-declaration"),
        ('<?xml version="1.0" encoding="UTF-16"?>' + _HELLO, "wrong-encoding"),
        ('<?xml version="1.0" encoding="no-such"?>' + _HELLO, "wrong-encoding"),
        (_HELLO.encode("cp1252"), "wrong-encoding"),
        (b'<?xml version="1.0" encoding="utf-8"?>' + _HELLO.encode("cp1252"), "wrong-encoding"),
    ],
)
def test_a_declaration_that_is_not_true_is_passed_over(body: str | bytes, code: str) -> None:
    assert codes(body) == [code]
    read = compile_document(body if isinstance(body, bytes) else body.encode(), URI)
    assert read.dialog("été") is not None
    # Lines stay what they are.
    assert read.root.line == (2 if body[:1] == "\n" else 1)


def test_utf8_that_is_said_to_be_latin1_is_read_as_utf8() -> None:
    body = ('<?xml version="1.0" encoding="ISO-8859-1"?>' + _HELLO).encode()
    document = compile_document(body, URI)
    assert [found.code for found in document.tolerated] == ["wrong-encoding"]
    assert document.dialog("été") is not None


@pytest.mark.parametrize(
    "encoding", ["utf-16", "utf-16-le", "utf-8-sig", "iso-8859-1", "iso2022_jp"]
)
def test_a_true_declaration_is_believed(encoding: str) -> None:
    name = "日本" if encoding == "iso2022_jp" else "été"
    mark = "\ufeff" if encoding == "utf-16-le" else ""
    text = f'{mark}<?xml version="1.0" encoding="{encoding.replace("_", "-")}"?>' + _HELLO
    text = text.replace("été", name).replace("utf-8-sig", "utf-8").replace("utf-16-le", "utf-16")
    text = text.replace("iso2022-jp", "iso-2022-jp")
    document = compile_document(text.encode(encoding), URI)
    assert document.tolerated == ()
    assert document.dialog(name) is not None


# Namespaces and VoiceXML 1.0 ---------------------------------------------------------------------


@pytest.mark.parametrize("namespace", ["", 'xmlns="http://www.voicexml.org/2002/vxml"'])
def test_a_missing_or_wrong_namespace_is_remarked_on_once(namespace: str) -> None:
    text = f'<vxml version="2.1" {namespace}><form id="a"><block>b</block></form></vxml>'
    assert codes(text) == ["wrong-namespace"]
    document = compile_document(text.encode(), URI)
    assert [element.name for element in document.dialogs[0].elements] == ["block"]


def test_speech_may_be_in_the_namespace_of_ssml() -> None:
    text = vxml(in_prompt('<emphasis xmlns="http://www.w3.org/2001/10/synthesis">a</emphasis>'))
    assert codes(text) == ["wrong-namespace"]


def test_elements_of_others_are_passed_over() -> None:
    text = vxml('<x:tool xmlns:x="urn:x"><form/></x:tool><form id="a"/>')
    assert codes(text) == ["foreign-element"]
    assert [dialog.get("id") for dialog in compile_document(text.encode(), URI).dialogs] == ["a"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (in_prompt("<emp level='strong'>a</emp>"),
         in_prompt('<emphasis level="strong">a</emphasis>')),
        (in_prompt("<pros vol='0.5' rate='350'>a</pros>"),
         in_prompt('<prosody rate="2.00" volume="50">a</prosody>')),
        (in_prompt("<div type='sentence'>a</div><div>b</div>"), in_prompt("<s>a</s><p>b</p>")),
        (in_prompt("<break msecs='200'/><break size='large'/>"),
         in_prompt('<break time="200ms"/><break strength="strong"/>')),
        (in_prompt("<sayas class='phone'>1</sayas>"),
         in_prompt('<say-as interpret-as="telephone">1</say-as>')),
        (in_prompt("<sayas sub='a b'>ab</sayas>"), in_prompt('<sub alias="a b">ab</sub>')),
        (in_prompt("<value expr='a' class='date'/> b"),
         in_prompt('<say-as interpret-as="date"><value expr="a"/></say-as> b')),
        (in_prompt("<paragraph><sentence>a</sentence></paragraph>"), in_prompt("<p><s>a</s></p>")),
        (in_prompt("a <speak>b <break/> c</speak> d"), in_prompt("a b <break/> c d")),
        ("<form><dtmf src='a'/></form>", '<form><grammar src="a" mode="dtmf"/></form>'),
        ("<form><block><goto next='#a' caching='safe'/></block></form>",
         '<form><block><goto next="#a" maxage="0"/></block></form>'),
        ("<catch event='telephone.disconnect.hangup error'/>",
         '<catch event="connection.disconnect.hangup error"/>'),
    ],
)  # fmt: skip
def test_old_forms_mean_what_they_are_called_now(old: str, new: str) -> None:
    assert repaired(old) == new


def test_a_document_of_version_1_is_accepted_with_its_language() -> None:
    document = compile_document(b'<vxml version="1.0" lang="fr"><form id="a"/></vxml>', URI)
    assert document.lang == "fr"
    assert [found.code for found in document.tolerated].count("deprecated") == 2


async def test_the_session_has_the_variables_of_version_1() -> None:
    content = (
        "<form><block><prompt><value expr=\"session.telephone.ani + ' ' + session.callerid\"/> "
        '<value expr="session.telephone.dnis"/></prompt></block></form>'
    )
    result = await call(content, session="{remote: 'tel:+331', local: 'sip:42@host'}")
    assert heard(result) == ["+331 +331 42"]
    assert {record["code"] for record in records(result, "warning")} == {"deprecated"}


async def test_strict_sessions_have_no_variables_of_version_1() -> None:
    web = Web({"main.vxml": vxml('<form><block><exit expr="session.callerid"/></block></form>')})
    store = DocumentStore(strict=True)
    result = await run_dialogue(MAIN, Script(), web, documents=store)
    assert result.outcome.value is None


# Attributes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('<prompt barge-in="true">a</prompt>', '<prompt bargein="true">a</prompt>'),
        ('<prompt bargeIn="False">a</prompt>', '<prompt bargein="false">a</prompt>'),
        ('<prompt timeout="5">a</prompt>', '<prompt timeout="5000ms">a</prompt>'),
        ('<prompt timeout="500">a</prompt>', '<prompt timeout="500ms">a</prompt>'),
        ('<prompt timeout="5 S">a</prompt>', '<prompt timeout="5000ms">a</prompt>'),
        ('<prompt xml:lang="en-UK">a</prompt>', '<prompt xml:lang="en-GB">a</prompt>'),
        ('<prompt xml:lang="fr_FR">a</prompt>', '<prompt xml:lang="fr-FR">a</prompt>'),
        ('<submit next="a" method="POST"/>', '<submit next="a" method="post"/>'),
        ('<submit next="a" namelst="b"/>', '<submit next="a" namelist="b"/>'),
        ('<submit next="a" fetchhint="stream"/>', '<submit next="a" fetchhint="safe"/>'),
        ('<submit next="a" maxage="60s"/>', '<submit next="a" maxage="60"/>'),
    ],
)
def test_attributes_are_read_as_they_were_meant(old: str, new: str) -> None:
    old, new = (f"<form><block>{content}</block></form>" for content in (old, new))
    assert repaired(old) == new
    assert codes(vxml(old))


def test_an_attribute_that_means_nothing_is_passed_over() -> None:
    assert codes(vxml('<form colour="red"/>')) == ["unknown-attribute"]


def test_an_attribute_is_not_taken_for_one_that_is_there_too() -> None:
    content = '<form><block><prompt bargein="true" barge-in="false">a</prompt></block></form>'
    assert 'bargein="true"' in repaired(content)


# Where things stand ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<form><prompt>a</prompt><goto next='#b'/></form>",
         '<form><block><prompt>a</prompt><goto next="#b"/></block></form>'),
        ("<form><var name='a'/><assign name='a' expr='1'/><field/></form>",
         '<form><var name="a"/><block><assign name="a" expr="1"/></block><field/></form>'),
        ("<form><block>a <break/> <value expr='b'/><goto next='#c'/>d</block></form>",
         '<form><block><prompt>a <break/> <value expr="b"/></prompt><goto next="#c"/>d'
         "</block></form>"),
        ("<form><break/>a</form>", "<form><block><prompt><break/>a</prompt></block></form>"),
        ("<form><block>a<grammar src='b'/>c</block></form>", "<form><block>ac</block></form>"),
        ("<form><block><catch event='a'/>b</block></form>", "<form><block>b</block></form>"),
    ],
)  # fmt: skip
def test_what_stands_in_a_wrong_place_is_put_right_or_passed_over(old: str, new: str) -> None:
    assert repaired(old) == new


async def test_a_prompt_beside_the_items_of_a_form_is_heard() -> None:
    result = await call("<form><prompt>Hello.</prompt><block>Goodbye.</block></form>")
    assert heard(result) == ["Hello.", "Goodbye."]


async def test_what_cannot_be_passed_over_is_an_error_where_it_is_reached() -> None:
    result = await call("<form><block>Hello.<field/></block></form>")
    assert heard(result)[0] == "Hello."
    assert thrown(result) == ["error.badfetch"]


# Telling -----------------------------------------------------------------------------------------


def test_a_valid_document_has_no_remarks() -> None:
    document = compile_document(vxml(f"<form>{field()}</form>").encode(), URI)
    assert document.tolerated == ()
    compile_document(vxml(f"<form>{field()}</form>").encode(), URI, strict=True)


async def test_the_observer_is_told_once_a_document_and_the_operator_once_ever() -> None:
    told: list[Document] = []
    store = DocumentStore(on_tolerated=told.append)
    text = vxml('<form colour="red"><block><goto next="main.vxml#b"/></block></form><form id="b"/>')
    for _ in range(2):
        result = await run_dialogue(MAIN, Script(), Web({"main.vxml": text}), documents=store)
        assert records(result, "warning") == [
            {
                "uri": MAIN,
                "line": 1,
                "code": "unknown-attribute",
                "message": "<form> has no attribute colour",
            }
        ]
    assert len(told) == 1


async def test_a_strict_store_refuses() -> None:
    web = Web({"main.vxml": vxml('<form colour="red"/>')})
    result = await run_dialogue(MAIN, Script(), web, documents=DocumentStore(strict=True))
    assert result.outcome.error == "error.badfetch"
    assert result.outcome.message == f"{MAIN}:1: <form> has no attribute colour"


# Values ------------------------------------------------------------------------------------------


async def test_a_variable_is_assigned_by_its_scope_and_by_its_path() -> None:
    content = (
        '<var name="a"/><var name="o" expr="{p: {q: 1}}"/><form><block>'
        '<assign name="document.a" expr="1"/><assign name="application.a" expr="a + 1"/>'
        '<assign name="o.p.q" expr="3"/><assign name="document.o.r" expr="4"/>'
        '<exit expr="[a, o.p.q, o.r]"/></block></form>'
    )
    assert (await call(content)).outcome.value == [2, 3, 4]


async def test_keys_compare_with_numbers_and_with_text() -> None:
    content = (
        '<form><field name="f" type="digits"><prompt>Well?</prompt><filled>'
        "<exit expr=\"[f == 12, f == '12', f > 9, f &lt; 100]\"/></filled></field></form>"
    )
    result = await call(content, 'dtmf: "12#"')
    assert result.outcome.value == [True, True, True, True]


async def test_numbers_compare_with_numbers_and_with_text() -> None:
    content = (
        '<form><field name="f" type="number"><prompt>Well?</prompt><filled>'
        "<exit expr=\"[f == 12, f == '12', f > 9]\"/></filled></field></form>"
    )
    result = await call(content, 'dtmf: "12#"')
    assert result.outcome.value == [True, True, True]


async def test_yes_is_the_word_that_was_said() -> None:
    content = (
        f"<form><field name='f'>{yes()}<filled><exit expr=\"f == 'yes'\"/></filled></field></form>"
    )
    assert (await call(content, "say: yes")).outcome.value is True
