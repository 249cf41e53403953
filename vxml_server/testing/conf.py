"""The `conf:` elements of implementation-report suites, answered by a machine.

The W3C wrote its VoiceXML tests for a person who does as prompts say: `conf:speech` stands where
the caller is to say a word, `conf:pass` where the test has shown what it had to. Here each becomes
VoiceXML that tells the runner instead: what the caller does next is a *cue* in the text of a
prompt, so that it comes through the prompt queue and is there at the wait for input that it is
meant for; a verdict is a `<log>` with a label of its own.

What must hold: a document without these elements stays as it is, byte by byte.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

from lxml import etree

from vxml_server.markup import xml_parser

NAMESPACE = "http://www.w3.org/2002/vxml-conformance"
SRGS = "http://www.w3.org/2001/06/grammar"
PASS_LABEL = "conf:pass"
FAIL_LABEL = "conf:fail"

# The suites name utterances by tokens; their grammar files hold the words that are meant.
WORDS = {
    "alpha": "Chicago",
    "bravo": "San Francisco",
    "charlie": "New York",
    "delta": "London",
    "echo": "Tokyo",
    "foxtrot": "Truth or Consequences",
    "golf": "Hackensack",
    "hotel": "Standardsville",
}
_CUE = re.compile(r"\[caller: (\w+)(?: ([^\]]*))?\]")
_IMPERATIVE = re.compile(
    r"(?P<silence>\bsay nothing\b)|(?P<hangup>\bhang up\b)"
    r"|\bpress\W*(?P<keys>[0-9*#]+)|\b(?:say|speak)[^\w.]+(?P<words>[a-z]+(?: [a-z]+)*)",
    re.IGNORECASE,
)
_DIALOGS_AND_ITEMS = frozenset({"form", "menu", "field", "record", "transfer", "initial", "object"})


def is_conf(source: bytes) -> bool:
    """Whether a document has anything to transform."""
    return NAMESPACE.encode() in source


def transform(source: bytes) -> bytes:
    """The document with VoiceXML in place of its `conf:` elements; lines keep their numbers.

    What is not well-formed stays as it is: the interpreter is to complain of it.
    """
    if not is_conf(source):
        return source
    parser = xml_parser(strip_cdata=False)
    try:
        root = etree.fromstring(source, parser)
    except etree.XMLSyntaxError:
        return source
    for element in list(root.iter(f"{{{NAMESPACE}}}*")):
        name = etree.QName(element).localname
        parent = element.getparent()
        if parent is None or etree.QName(parent).namespace == NAMESPACE:
            continue
        make = _TRANSFORMS.get(name)
        _replace(element, [] if make is None else make(element, parent))
    return etree.tostring(root.getroottree(), encoding="utf-8")


def cues(text: str) -> Iterator[tuple[str, str]]:
    """What the caller was told to do in a prompt: a kind and its argument, in order.

    Tests without elements for it tell the caller in English: "Say London.", "Press 5."
    """
    for match in _CUE.finditer(text):
        yield match[1], match[2] or ""
    if _CUE.search(text) is None:
        for match in _IMPERATIVE.finditer(text):
            if match["silence"]:
                yield "silence", ""
            elif match["hangup"]:
                yield "hangup", ""
            elif match["keys"]:
                yield "press", match["keys"]
            else:
                yield "say", match["words"]


def words(token: str) -> str:
    """What is said for a token of the suites."""
    return WORDS.get(token, token)


_New = list["etree._Element | str"]


def _replace(element: etree._Element, new: _New) -> None:
    """Puts `new` in the place of `element`, whose tail stays."""
    parent = element.getparent()
    assert parent is not None
    tail = element.tail or ""
    at = parent.index(element)
    parent.remove(element)
    before = parent[at - 1] if at else None
    for item in [*new, tail]:
        if not isinstance(item, str):
            parent.insert(at, item)
            before, at = item, at + 1
        elif before is None:
            parent.text = (parent.text or "") + item
        else:
            before.tail = (before.tail or "") + item


def _vxml(parent: etree._Element, name: str, **attributes: str) -> etree._Element:
    namespace = etree.QName(parent).namespace
    return etree.Element(f"{{{namespace}}}{name}" if namespace else name, attributes)


def _pass(element: etree._Element, parent: etree._Element) -> _New:
    return [_vxml(parent, "log", label=PASS_LABEL), _vxml(parent, "exit")]


def _fail(element: etree._Element, parent: etree._Element) -> _New:
    log = _vxml(parent, "log", label=FAIL_LABEL)
    log.text = element.get("reason", "")
    if expression := element.get("expr"):
        log.append(_vxml(parent, "value", expr=expression))
    return [log, _vxml(parent, "exit")]


def _comment(element: etree._Element, parent: etree._Element) -> _New:
    log = _vxml(parent, "log")
    log.text = element.text
    log.extend(list(element))
    return [log]


def _cue(kind: str, attribute: str = "") -> Callable[[etree._Element, etree._Element], _New]:
    def make(element: etree._Element, parent: etree._Element) -> _New:
        argument = element.get(attribute, "") if attribute else ""
        if kind == "say":
            argument = words(argument)
        text = f"[caller: {kind} {argument}]".replace(" ]", "]")
        # A form item plays those of its prompts that have the highest count so far: a cue is to be
        # heard at every visit, whatever prompts stand beside it.
        counts = ("1", "2", "3") if etree.QName(parent).localname in _DIALOGS_AND_ITEMS else ("1",)
        prompts: _New = []
        for count in counts:
            prompt = _vxml(parent, "prompt", count=count)
            prompt.text = text
            prompts.append(prompt)
        return prompts

    return make


def _grammar(element: etree._Element, parent: etree._Element) -> _New:
    root = etree.Element(
        f"{{{SRGS}}}grammar",
        {"version": "1.0", "mode": "voice", "root": "r", "tag-format": "semantics/1.0"},
        nsmap={None: SRGS},
    )
    rule = etree.SubElement(root, f"{{{SRGS}}}rule", id="r")
    rule.text = words(element.get("utterance", ""))
    keys = element.findall(f"{{{NAMESPACE}}}key")
    interpretation = _keys(keys) if keys else element.get("interp")
    if interpretation is not None:
        tag = etree.SubElement(rule, f"{{{SRGS}}}tag")
        tag.text = f"out={json.dumps(interpretation)};"
    return [root]


_Tree = dict[str, "str | _Tree"]


def _keys(elements: list[etree._Element]) -> _Tree:
    found: _Tree = {}
    for element in elements:
        value = element.get("value")
        inner = element.findall(f"{{{NAMESPACE}}}key")
        found[element.get("name", "")] = _keys(inner) if value is None else value
    return found


def _phrase(element: etree._Element, parent: etree._Element) -> _New:
    return [words(element.get("utterance", ""))]


_TRANSFORMS: dict[str, Callable[[etree._Element, etree._Element], _New]] = {
    "pass": _pass,
    "fail": _fail,
    "comment": _comment,
    "grammar": _grammar,
    "phrase": _phrase,
    "speech": _cue("say", "value"),
    "dtmf": _cue("press", "value"),
    "noinput": _cue("silence", "duration"),
    "nomatch": _cue("mumble"),
    "hangup": _cue("hangup"),
    "recording": _cue("recite", "value"),
}
