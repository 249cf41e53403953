"""`<data>` (VoiceXML 2.1 section 5): XML as a DOM, JSON as a value, and who may read it."""

from __future__ import annotations

from typing import Any

import pytest
from lxml import etree

from tests.interpreter.harness import HOME, Page, Web, call, records, thrown, vxml
from vxml_server.ecmascript import Engine
from vxml_server.events import VoiceXmlEvent
from vxml_server.interpreter import dom

QUOTES = (
    '<?xml version="1.0"?><quotes xmlns:m="urn:money"><!-- today -->'
    '<quote m:currency="EUR" id="a"><name>Coca</name><last>30.00</last></quote>'
    '<quote id="b"><name>Pepsi</name><m:last>40.00</m:last></quote></quotes>'
)


def page(content: str) -> str:
    return vxml(f"<form><block>{content}</block></form>")


async def value(content: str, expression: str, **pages: Page) -> Any:
    """What `expression` is after the `<data>` in `content`."""
    web = Web({"main.vxml": page(f'{content}<exit expr="{expression}"/>'), **pages})
    return (await call(web)).outcome.value


async def test_xml_becomes_a_document() -> None:
    expression = "d.documentElement.getElementsByTagName('last').item(0).firstChild.nodeValue"
    pages = {"quotes.xml": QUOTES}
    assert await value('<data name="d" src="quotes.xml"/>', expression, **pages) == "30.00"


async def test_the_source_may_be_an_expression_and_values_are_sent() -> None:
    content = (
        '<var name="q" expr="\'KO\'"/>'
        '<data name="d" srcexpr="\'quotes\' + \'.xml\'" namelist="q" method="post"/><exit/>'
    )
    web = Web({"main.vxml": page(content), "quotes.xml": QUOTES})
    result = await call(web)
    assert result.outcome.reason == "exit"
    request = web.requests[-1]
    assert (request.uri, request.method, request.fields) == (
        HOME + "quotes.xml",
        "POST",
        (("q", "KO"),),
    )


async def test_without_a_name_the_answer_is_not_looked_at() -> None:
    web = Web({"main.vxml": page('<data src="log"/><exit expr="\'on\'"/>'), "log": "no XML <"})
    result = await call(web)
    assert result.outcome.value == "on"
    assert web.fetched == ["main.vxml", "log"]


@pytest.mark.parametrize("place", ["document", "form", "block"])
async def test_the_variable_has_the_scope_of_the_place(place: str) -> None:
    data = dict.fromkeys(("document", "form", "block"), "")
    data[place] = '<data name="d" src="q.xml"/>'
    scope = {"document": "document.d", "form": "dialog.d", "block": "d"}[place]
    document = vxml(
        f"{data['document']}<form>{data['form']}<block>{data['block']}"
        f'<exit expr="{scope}.documentElement.nodeName"/></block></form>'
    )
    result = await call(Web({"main.vxml": document, "q.xml": QUOTES}))
    assert result.outcome.value == "quotes"


async def test_a_variable_of_the_scope_is_given_a_new_value() -> None:
    content = '<var name="d" expr="1"/><data name="d" src="q.xml"/>'
    assert await value(content, "typeof d", **{"q.xml": QUOTES}) == "object"


async def test_json_is_the_value_that_it_is() -> None:
    pages = {"d.json": '{"cities": ["Paris", "Lyon"], "open": true}'}
    assert await value('<data name="d" src="d.json"/>', "d.cities[1] + d.open", **pages) == (
        "Lyontrue"
    )


@pytest.mark.parametrize(
    ("name", "body"),
    [("d.json", "{1:"), ("d.json", "NaN"), ("d.json", "[" * 5000), ("d.xml", "<a>"), ("d.xml", "")],
)
async def test_what_is_neither_is_a_bad_fetch(name: str, body: str) -> None:
    web = Web({"main.vxml": page(f'<data name="d" src="{name}"/>'), name: body})
    assert thrown(await call(web)) == ["error.badfetch"]


async def test_data_that_cannot_be_had_is_a_bad_fetch() -> None:
    result = await call(Web({"main.vxml": page('<data name="d" src="none.xml"/>')}))
    assert thrown(result) == ["error.badfetch.http.404"]
    assert records(result, "throw")[0]["line"] == 1


async def test_data_that_is_too_large_for_a_script_is_a_bad_fetch() -> None:
    large = "<r>" + "<item>x</item>" * 100_000 + "</r>"
    web = Web({"main.vxml": page('<data name="d" src="d.xml"/>'), "d.xml": large})
    assert thrown(await call(web)) == ["error.badfetch"]


# Who may read it ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "may"),
    [
        ("", True),
        ('<?access-control allow="*"?>', True),
        ('<?access-control allow="test"?>', True),
        ("<?access-control allow='other.org test'?>", True),
        ('<?access-control allow="*st"?>', True),
        ('<?access-control allow="other.org"?>', False),
        ('<?access-control allow="*.test"?>', False),
        ("<?access-control?>", False),
        ('<?access-control allow="*" deny="test"?>', False),
        ('<?access-control allow="test" deny="*"?>', True),
        ('<?access-control allow="test" deny="test"?>', False),
        ('<?access-control allow="other.org"?><?access-control allow="test"?>', True),
        ('<?other allow="other.org"?>', True),
    ],
)
async def test_data_says_which_hosts_may_read_it(rules: str, may: bool) -> None:
    web = Web({"main.vxml": page('<data name="d" src="d.xml"/>'), "d.xml": f"{rules}<a/>"})
    assert thrown(await call(web)) == ([] if may else ["error.noauthorization"])


# The document ------------------------------------------------------------------------------------


def look(expression: str, xml: str = QUOTES) -> Any:
    engine = Engine()
    scope = engine.new_scope()
    engine.set(scope, "d", dom.expose(dom.parse_xml(xml.encode(), "u"), engine))
    return engine.evaluate_json(expression, [scope])


def attempt(action: str) -> str:
    return f"(() => {{ 'use strict'; try {{ {action} }} catch (e) {{ return e.code }} }})()"


QUOTE = "d.documentElement.childNodes[1]"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("[d.nodeType, d.nodeName, d.nodeValue, d.ownerDocument]", [9, "#document", None, None]),
        ("d.documentElement === d.firstChild", True),
        ("[d.doctype, d.documentElement.prefix]", [None, None]),
        ("d.implementation.hasFeature('XML', '2.0')", True),
        ("d.implementation.hasFeature('HTML', '2.0')", False),
        ("d.documentElement.childNodes.length", 3),
        ("d.documentElement.childNodes.item(9)", None),
        ("[...d.documentElement.childNodes].map(n => n.nodeName)", ["#comment", "quote", "quote"]),
        ("d.documentElement.firstChild.data", " today "),
        ("d.documentElement.firstChild.nodeType === Node.COMMENT_NODE", True),
        (f"{QUOTE}.firstChild.firstChild.nodeType === Node.TEXT_NODE", True),
        (f"{QUOTE}.parentNode === d.documentElement", True),
        (f"{QUOTE}.ownerDocument === d", True),
        (f"{QUOTE}.nextSibling.getAttribute('id')", "b"),
        (f"{QUOTE}.previousSibling.nodeName", "#comment"),
        ("d.documentElement.lastChild.nextSibling", None),
        ("d.documentElement.firstChild.previousSibling", None),
        (f"{QUOTE}.attributes.length", 2),
        (f"{QUOTE}.attributes.getNamedItem('id').value", "a"),
        (f"{QUOTE}.attributes.getNamedItemNS('urn:money', 'currency').nodeValue", "EUR"),
        (f"{QUOTE}.getAttribute('m:currency')", "EUR"),
        (f"{QUOTE}.getAttributeNS('urn:money', 'currency')", "EUR"),
        (f"{QUOTE}.getAttribute('none')", ""),
        (f"[{QUOTE}.hasAttribute('id'), {QUOTE}.hasAttribute('none')]", [True, False]),
        (f"{QUOTE}.hasAttributeNS('urn:money', 'currency')", True),
        (f"{QUOTE}.getAttributeNode('id').ownerElement === {QUOTE}", True),
        (f"{QUOTE}.getAttributeNode('id').firstChild.data", "a"),
        ("d.documentElement.getAttribute('xmlns:m')", "urn:money"),
        ("[d.hasChildNodes(), d.hasAttributes()]", [True, False]),
        ("d.getElementsByTagName('name').length", 2),
        ("d.getElementsByTagName('*').length", 7),
        ("d.getElementsByTagName('m:last').item(0).textContent", "40.00"),
        ("d.getElementsByTagNameNS('urn:money', 'last').item(0).localName", "last"),
        ("d.getElementsByTagNameNS('*', 'last').length", 2),
        (f"{QUOTE}.getElementsByTagName('name')[0].firstChild.substringData(1, 2)", "oc"),
        (f"{QUOTE}.getElementsByTagName('name')[0].firstChild.length", 4),
        ("d.getElementById('b').firstChild.textContent", "Pepsi"),
        (f"{QUOTE}.cloneNode(true).textContent", "Coca30.00"),
        (f"{QUOTE}.cloneNode(false).childNodes.length", 0),
        (f"{QUOTE} instanceof Element", True),
        (f"{QUOTE}.isSupported('Core', '2.0')", True),
    ],
)
def test_a_script_reads_the_document(expression: str, expected: Any) -> None:
    assert look(expression) == expected


@pytest.mark.parametrize(
    "action",
    [
        f"{QUOTE}.setAttribute('id', 'c')",
        f"{QUOTE}.removeAttribute('id')",
        f"{QUOTE}.getAttributeNode('id').value = 'c'",
        f"{QUOTE}.attributes.removeNamedItem('id')",
        f"{QUOTE}.appendChild({QUOTE}.firstChild)",
        f"{QUOTE}.removeChild({QUOTE}.firstChild)",
        f"{QUOTE}.nodeValue = 'x'",
        f"{QUOTE}.prefix = 'x'",
        f"{QUOTE}.textContent = 'x'",
        "d.documentElement.firstChild.data = 'x'",
        f"{QUOTE}.firstChild.firstChild.splitText(1)",
        f"{QUOTE}.firstChild.firstChild.appendData('x')",
    ],
)
def test_what_would_change_the_document_throws(action: str) -> None:
    assert look(attempt(action)) == 7


@pytest.mark.parametrize(
    ("action", "code"),
    [
        ("d.createElement('x')", 9),
        ("d.documentElement.firstChild.substringData(99, 1)", 1),
        ("throw {code: DOMException.NOT_FOUND_ERR}", 8),
    ],
)
def test_exceptions_have_the_codes_of_dom(action: str, code: int) -> None:
    assert look(attempt(action)) == code


@pytest.mark.parametrize(
    "action",
    [
        "d.x = 1; return 'x' in d",
        "Element.prototype.getAttribute = () => 'mine'; return d.documentElement.getAttribute('q')",
        "d.documentElement.childNodes[0] = 1; return typeof d.documentElement.childNodes[0]",
    ],
)
def test_scripts_cannot_change_what_nodes_are(action: str) -> None:
    assert look(f"(() => {{ try {{ {action} }} catch (e) {{ return 'no' }} }})()") in {
        False,
        "no",
        "",
        "object",
    }


def test_texts_are_whole_and_entities_are_not_expanded() -> None:
    xml = "<a>one &lt; <![CDATA[two]]> &#233;</a>"
    assert look("[d.documentElement.childNodes.length, d.documentElement.textContent]", xml) == [
        1,
        "one < two é",
    ]
    hostile = '<!DOCTYPE a [<!ENTITY x "xxx">]><a>[&x;]</a>'
    assert look("d.documentElement.textContent", hostile) == "[&x;]"


def test_instructions_and_comments_around_the_root_are_nodes() -> None:
    xml = "<?before now?><a/><!--after-->"
    assert look("[...d.childNodes].map(n => n.nodeName + n.nodeValue)", xml) == [
        "beforenow",
        "anull",
        "#commentafter",
    ]


def test_a_document_that_nobody_reads_costs_little() -> None:
    engine = Engine()
    tree = dom.parse_xml(b"<r>" + b"<item>x</item>" * 5000 + b"</r>", "u")
    scope = engine.new_scope()
    engine.set(scope, "d", dom.expose(tree, engine))
    assert engine.evaluate("d.documentElement.childNodes.length", [scope]) == 5000


def test_what_is_not_xml_says_where() -> None:
    with pytest.raises(VoiceXmlEvent) as caught:
        dom.parse_xml(b"<a>\n<b>", "http://test/d.xml")
    assert (caught.value.name, caught.value.uri, caught.value.line) == (
        "error.badfetch",
        "http://test/d.xml",
        2,
    )


async def test_a_document_is_sent_as_the_xml_that_it_is() -> None:
    xml = '<?a b?><q xmlns:m="urn:m" m:n="1 &lt; &quot;2&quot;"><!-- c -->x &amp; y<e/></q>'
    content = (
        '<data name="d" src="d.xml"/><data src="log" method="post" namelist="d"/>'
        '<exit expr="String(d.documentElement.lastChild)"/>'
    )
    web = Web({"main.vxml": page(content), "d.xml": xml, "log": ""})
    result = await call(web)
    assert result.outcome.value == "<e/>"
    ((name, sent),) = web.requests[-1].fields
    assert (name, etree.canonicalize(str(sent))) == ("d", etree.canonicalize(xml))
