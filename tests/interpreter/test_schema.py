"""The schema: what it accepts, what it refuses, and that it says in words why."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from tests.interpreter.harness import vxml
from vxml_server.interpreter import schema
from vxml_server.interpreter.schema import ANYTHING, Problem, model
from vxml_server.interpreter.schema.model import source as schema_source


def tree(content: str, attributes: str = "") -> etree._Element:
    return etree.fromstring(vxml(content, attributes))


def problems(content: str, attributes: str = "") -> list[Problem]:
    root = tree(content, attributes)
    assert not schema.is_valid(root)
    return schema.problems(root)


def said(content: str) -> str:
    return problems(content)[0].message


def in_block(content: str) -> str:
    return f"<form><block>{content}</block></form>"


@pytest.mark.parametrize(
    "content",
    [
        '<form id="a" scope="document"><field name="b" type="digits" modal="false"/></form>',
        '<menu accept="approximate" dtmf="true"><enumerate/><choice event="e">x</choice></menu>',
        "<form><initial name='i'>Hello <value expr='a'/><link event='b'/></initial></form>",
        '<form><record beep="true" maxtime="10s" finalsilence="2.5s" dtmfterm="true"/></form>',
        '<form><object classid="a"><param name="b" value="c" valuetype="ref"/></object></form>',
        '<data name="a" srcexpr="b"/><form><data src="b" method="post" namelist="c"/></form>',
        in_block("<if cond='a'>b<elseif cond='c'/>d<else/><goto expr='e'/></if>"),
        in_block("<foreach item='a' array='b'><prompt>c</prompt><break/></foreach>"),
        in_block("<prompt><mark nameexpr='a'/><p><s>b</s></p><voice age='9'>c</voice></prompt>"),
        in_block('<prompt><say-as interpret-as="date">1</say-as><sub alias="b">c</sub></prompt>'),
        '<metadata><rdf:RDF xmlns:rdf="urn:rdf" any="thing"><x/></rdf:RDF></metadata>',
        '<form xmlns:x="urn:x" x:note="attributes of others do not matter"/>',
        '<link event="e"><grammar mode="dtmf" version="1.0" root="r"><rule id="r" scope="public">'
        '<item repeat="1-4">1</item><ruleref uri="#r"/><tag>out=1</tag></rule></grammar></link>',
        '<form><grammar xmlns="http://www.w3.org/2001/06/grammar" version="1.0"><rule id="r">'
        '<one-of><item weight="0.5">a</item></one-of></rule></grammar></form>',
    ],
)  # fmt: skip
def test_what_the_recommendation_has_is_valid(content: str) -> None:
    root = tree(content)
    assert schema.is_valid(root), [problem.message for problem in schema.problems(root)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (in_block("<promt/>"), "<promt> is not an element of VoiceXML; was <prompt> meant?"),
        (in_block("<frobnicate/>"), "<frobnicate> is not an element of VoiceXML"),
        ("<block/>", "<block> may not stand in <vxml>: its place is in <form>"),
        (in_block("<field/>"), "<field> may not stand in <block>: its place is in <form>"),
        ("<form>Hello</form>", '"Hello" may not stand as text in <form> (text is spoken in a '
                               "<block>, a <prompt> or a form item)"),
        (in_block('<prompt barge-in="true">a</prompt>'),
         "<prompt> has no attribute barge-in; was bargein meant?"),
        (in_block("<goto nxt='#a'/>"), "<goto> has no attribute nxt; was next meant?"),
        (in_block('<assign name="a"/>'), "<assign> needs the attribute expr"),
        (in_block("<goto/>"), "<goto> takes exactly one of next, expr, nextitem or expritem"),
        (in_block('<throw event="a" eventexpr="b"/>'),
         "<throw> takes exactly one of event or eventexpr, not event and eventexpr"),
        (in_block('<exit expr="a" namelist="b"/>'),
         "<exit> takes at most one of expr or namelist, not expr and namelist"),
        (in_block('<prompt bargein="maybe">a</prompt>'),
         'bargein="maybe" of <prompt>: expected true or false'),
        (in_block('<prompt timeout="soon">a</prompt>'),
         'timeout="soon" of <prompt>: expected a time such as 5s or 250ms'),
        (in_block('<prompt count="0">a</prompt>'),
         'count="0" of <prompt>: expected a whole number from 1 on'),
        ('<form scope="session"/>', 'scope="session" of <form>: expected dialog or document'),
        (in_block("<if cond='a'>b<else/>c<elseif cond='d'/></if>"),
         "<elseif> after the <else> of its <if>"),
        ('<form><grammar version="1.0"><rule id="r"><one-of/></rule></grammar></form>',
         "<one-of> needs at least one <item>"),
        ('<form><x:y xmlns:x="urn:x"/></form>',
         "<y> is in the namespace urn:x: it is no element of VoiceXML"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_what_was_expected(content: str, message: str) -> None:
    assert said(content) == message


def test_problems_stand_in_document_order_with_line_and_attribute() -> None:
    found = problems('\n<form colour="red">\n<block><goto/>\n<prompt count="x"/></block></form>')
    assert [(problem.kind, problem.line, problem.attribute) for problem in found] == [
        ("unknown-attribute", 2, "colour"),
        ("missing-attribute", 3, ""),
        ("bad-value", 4, "count"),
    ]


def test_a_wrong_namespace_is_said_once() -> None:
    root = etree.fromstring('<vxml version="2.1"><form><block/></form></vxml>')
    assert not schema.is_valid(root)
    [problem] = schema.problems(root)
    assert problem.message == (
        "<vxml> is in no namespace; VoiceXML's is http://www.w3.org/2001/vxml"
    )


def test_fatal_is_what_the_recommendation_demands_and_not_what_could_be_passed_over() -> None:
    assert problems(in_block("<goto/>"))[0].is_fatal
    assert problems(in_block('<prompt bargein="maybe"/>'))[0].is_fatal
    assert problems("<frobnicate/>")[0].is_fatal
    assert problems('<link event="a"><grammar src="b" maxage="soon"/></link>')[0].is_fatal
    assert not problems('<link event="a"><grammar src="b" weight="x"/></link>')[0].is_fatal
    assert not problems('<form colour="red"/>')[0].is_fatal
    assert not problems("<block/>")[0].is_fatal
    assert not problems(in_block('<prompt><break strength="huge"/></prompt>'))[0].is_fatal


def test_every_element_can_stand_somewhere_and_every_child_is_an_element() -> None:
    elements = model().elements
    for name, element in elements.items():
        assert name == "vxml" or model().parents[name], name
        assert {c for c in element.children if not c.startswith("#")} <= elements.keys()
        for group, _ in element.groups:
            assert set(group) <= element.attributes.keys()


_names = st.sampled_from(sorted(model().elements))
_values = st.sampled_from(
    ["", "a", "true", "5", "5s", "2.1", "1.0", "#x", "dialog", "any", "en", "voice", "get", " "]
)


@st.composite
def _elements(draw: st.DrawFn, depth: int = 3) -> etree._Element:
    name = draw(_names)
    node = etree.Element(f"{{{schema.VXML}}}{name}")
    attributes = sorted(model().elements[name].attributes)
    for attribute in draw(st.lists(st.sampled_from(attributes), max_size=3)) if attributes else []:
        if not attribute.startswith("xml:"):
            node.set(attribute, draw(_values))
    node.text = draw(st.sampled_from([None, "text", " "]))
    if depth:
        node.extend(draw(st.lists(_elements(depth - 1), max_size=3)))
    return node


@given(st.lists(_elements(), max_size=3))
def test_the_words_agree_with_the_judgement(content: list[etree._Element]) -> None:
    """What is refused is explained from the tables; what is not has nothing to explain."""
    root = tree("")
    root.extend(content)
    found = schema.problems(root)
    unexplained = [problem for problem in found if problem.message.startswith("<vxml>: ")]
    if schema.is_valid(root):
        assert found == unexplained
    else:
        assert not unexplained


def test_metadata_may_hold_anything() -> None:
    assert ANYTHING in model().elements["metadata"].children


# Time --------------------------------------------------------------------------------------------

_RNG = "{http://relaxng.org/ns/structure/1.0}"


def _ways(pattern: etree._Element, defines: dict[str, etree._Element]) -> list[str]:
    """The elements that content may begin with, once for each way to them."""
    if pattern.tag == f"{_RNG}ref":
        if pattern.get("name") == "anything":
            return []
        define = defines[pattern.get("name", "")]
        if define.find(f"{_RNG}element") is not None:
            return [pattern.get("name", "")]
        return [way for part in define for way in _ways(part, defines)]
    return [way for part in pattern for way in _ways(part, defines)]


def test_no_element_can_be_reached_in_two_ways() -> None:
    """Where one could, libxml2 tries both, again in each of its descendants: 2 to the depth."""
    grammar = etree.fromstring(schema_source())
    defines = {define.get("name", ""): define for define in grammar.iter(f"{_RNG}define")}
    for name, define in defines.items():
        element = define.find(f"{_RNG}element")
        # The parts of an <if> come one after the other, and are told apart by what is between.
        if element is not None and name != "if":
            ways = _ways(element, defines)
            assert len(ways) == len(set(ways)), name


@pytest.mark.parametrize("name", ["foreach", "if", "audio", "prosody", "item"])
def test_a_mistake_in_nested_elements_is_found_at_once(name: str) -> None:
    root = tree("<form><block/></form>")
    node = next(iter(root.iter(f"{{{schema.VXML}}}block")))
    for _ in range(90):
        node = etree.SubElement(node, f"{{{schema.VXML}}}{name}")
        for attribute in ("array", "item", "cond", "src"):
            if attribute in model().elements[name].attributes:
                node.set(attribute, "a")
    etree.SubElement(node, f"{{{schema.VXML}}}form")
    started = time.perf_counter()
    assert not schema.is_valid(root)
    assert time.perf_counter() - started < 2
