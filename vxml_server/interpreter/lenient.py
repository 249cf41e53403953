"""What real authors write, made into what the recommendation says, with a remark for each change.

Works on the bytes and on lxml's tree before a document is converted; strict mode leaves it out.
What VoiceXML 1.0 had is `version1`'s. What must hold: a valid document is not changed, except for
the names that VoiceXML 1.0 had for events; and what is repaired means what its author must have
meant. Nothing here refuses a document.
"""

from __future__ import annotations

import codecs
import re

from lxml import etree

from vxml_server.interpreter import schema, version1
from vxml_server.interpreter.repairs import (
    XML,
    Remarks,
    key_of,
    name_of,
    new_element,
    remove,
    rename,
)
from vxml_server.interpreter.schema import VXML, Type
from vxml_server.interpreter.times import seconds
from vxml_server.interpreter.vocabulary import EXECUTABLE, SSML, is_ours

_DECLARATION = re.compile(rb"\s*(<\?xml\b[^>]{0,200}?\?>)")
_ENCODING = re.compile(rb"encoding\s*=\s*[\"']([\w.:-]{1,40})[\"']")
# Encodings whose documents cannot be read as ASCII.
_WIDE = ("utf-16", "utf-32", "utf16", "utf32", "ucs-2", "ucs-4", "iso-10646-ucs")

# Bytes -------------------------------------------------------------------------------------------


def readable(body: bytes, remarks: Remarks) -> bytes:
    """The document with a declaration that is true, or with blanks in its place.

    Lines and columns stay what they are.
    """
    if body[:2] in {codecs.BOM_UTF16_BE, codecs.BOM_UTF16_LE} or b"\0" in body[:4]:
        return body
    mark = codecs.BOM_UTF8 if body.startswith(codecs.BOM_UTF8) else b""
    found = _DECLARATION.match(body, len(mark))
    if found is not None and found.start(1) > len(mark):
        remarks.add("space-before-declaration", "there is space before the XML declaration")
        body = _without_declaration(body, found)
    stated = _ENCODING.search(found[1]) if found else None
    declared = stated[1].decode("ascii").lower() if stated else ""
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        if declared not in {"", "utf-8", "utf8", "us-ascii", "ascii"} and _is_known(declared):
            return body
        remarks.add(
            "wrong-encoding",
            f"the document is not in {declared or 'utf-8'}; it is read as windows-1252",
        )
        body = body.decode("cp1252", "replace").encode()
        return _without_declaration(body, found) if found else body
    if declared in {"", "utf-8", "utf8"}:
        return body
    if not body.isascii() or declared.startswith(_WIDE) or not _is_known(declared):
        remarks.add(
            "wrong-encoding", f"the document says that it is in {declared}, but is in utf-8"
        )
        return _without_declaration(body, found) if found else body
    return body


def _is_known(encoding: str) -> bool:
    try:
        return codecs.lookup(encoding) is not None
    except LookupError:
        return False


def _without_declaration(body: bytes, found: re.Match[bytes]) -> bytes:
    """Blanks, and the same number of lines, where the declaration stood."""
    start, end = found.span(1)
    blank = re.sub(rb"[^\n]", b" ", body[start:end])
    return body[:start] + blank + body[end:]


# The tree ----------------------------------------------------------------------------------------


def repair(root: etree._Element, remarks: Remarks) -> None:
    """Turns the invalid tree of a `<vxml>` into one that the schema knows, as far as possible."""
    _repair_namespaces(root, remarks)
    for node in list(root.iter(f"{{{VXML}}}*")):
        for rule in version1.RULES.get(name_of(node), ()):
            rule(node, remarks)
        if name_of(node) in schema.model().elements:
            _repair_attributes(node, remarks)
    for node in list(root.iter(f"{{{VXML}}}*")):
        _repair_content(node, remarks)


def rename_events(root: etree._Element, body: bytes, remarks: Remarks) -> None:
    """Gives events and variables of VoiceXML 1.0 their present names; a valid tree stays valid."""
    if version1.OLD_WORDS.search(body):
        for node in root.iter(f"{{{VXML}}}*"):
            version1.rename_events(node, remarks)
            version1.remark_on_session(node, remarks)


# Namespaces ----------------------------------------------------------------------------------


def _repair_namespaces(root: etree._Element, remarks: Remarks) -> None:
    """Whatever was taken for the namespace of VoiceXML becomes it."""
    written = etree.QName(root).namespace
    if written != VXML:
        stated = f"the namespace {written}" if written else "no namespace"
        remarks.add("wrong-namespace", f"<vxml> is in {stated}; VoiceXML's is {VXML}", root)
    inside_grammar: set[etree._Element] = set()
    for node in root.iter("*"):
        name = etree.QName(node)
        parent = node.getparent()
        if parent in inside_grammar or (parent is not None and name_of(parent) == "metadata"):
            inside_grammar.add(node)
        elif name.localname == "grammar" and name.namespace == schema.SRGS:
            inside_grammar.add(node)
            continue
        if name.namespace not in {VXML, schema.SRGS} and is_ours(name.namespace, written):
            if name.namespace != written:
                stated = f"the namespace {name.namespace}" if name.namespace else "no namespace"
                remarks.add("wrong-namespace", f"<{name.localname}> is in {stated}", node)
            rename(node, name.localname)


# Attributes ----------------------------------------------------------------------------------


def _repair_attributes(node: etree._Element, remarks: Remarks) -> None:
    """Misspelt attributes, and values that are written in another way."""
    name = name_of(node)
    known = schema.model().elements[name].attributes
    # What a misspelt attribute holds may be misspelt too.
    for _ in range(2):
        attributes = {
            str(key).replace(XML, "xml:"): str(value)
            for key, value in node.attrib.items()
            if not str(key).startswith("{") or str(key).startswith(XML)
        }
        for problem in list(schema.attribute_problems(name, attributes)):
            kind, attribute, _message, meant, _ = problem
            if kind == "unknown-attribute" and meant and meant not in node.attrib:
                value = node.attrib.pop(key_of(attribute))
                node.set(key_of(meant), str(value))
                remarks.add(
                    "misspelt-attribute",
                    f"{attribute} of <{name}> is taken for {meant}",
                    node,
                    attribute,
                )
            elif kind == "bad-value":
                repaired = repaired_value(attributes[attribute], known[attribute])
                if repaired is not None:
                    node.set(key_of(attribute), repaired)
                    remarks.add(
                        "loose-value",
                        f'{attribute}="{attributes[attribute]}" of <{name}> is taken for '
                        f'"{repaired}"',
                        node,
                        attribute,
                    )


# What has been written for the codes of ISO 3166 and ISO 639.
_SUBTAGS = {"uk": "GB", "en-uk": "en-GB"}


def repaired_value(text: str, kind: Type) -> str | None:
    """A value that the type allows and that says the same; None where there is no such."""
    candidates = [text.strip(), text.strip().lower()]
    if kind.name == "Time":
        candidates.append(_with_unit(text))
    elif kind.name == "Language":
        parts = text.strip().replace("_", "-").split("-")
        candidates = ["-".join([parts[0], *(_SUBTAGS.get(p.lower(), p) for p in parts[1:])])]
        # Of `fr-FR.UTF-8` or `en-US-x_y` the beginning is good.
        candidates.append("-".join(parts[:2]).partition(".")[0])
    elif kind.name == "FetchHint":
        candidates.append({"stream": "safe"}.get(text.strip().lower(), ""))
    elif kind.name in {"Whole", "Count"}:
        # A time where seconds are counted.
        candidates.append(text.strip().lower().removesuffix("s").strip())
    return next((value for value in candidates if value and kind.allows(value)), None)


def _with_unit(text: str) -> str:
    """A time without its unit, or with a space before it, as `times.seconds` reads it."""
    try:
        number = seconds(text.strip().lower())
    except ValueError:
        return ""
    return f"{round(number * 1000)}ms"


# Where things stand --------------------------------------------------------------------------

# What may be said, with the text around it.
_SAID = (SSML - {"speak", "metadata", "lexicon", "desc"}) | {"audio", "enumerate", "value"}
# Where it does not belong it does nothing, so it may be passed over.
_INERT = frozenset(
    [
        "catch",
        "desc",
        "error",
        "filled",
        "grammar",
        "help",
        "lexicon",
        "link",
        "meta",
        "metadata",
        "noinput",
        "nomatch",
        "option",
        "param",
        "property",
    ]
)


def _repair_content(node: etree._Element, remarks: Remarks) -> None:
    known = schema.model().elements.get(name_of(node))
    if known is None:
        return
    misplaced = [
        child
        for child in node
        if isinstance(child.tag, str)
        and etree.QName(child).namespace == VXML
        and name_of(child) in schema.model().elements
        and name_of(child) not in known.children
    ]
    if not misplaced or schema.ANYTHING in known.children:
        return
    for child in misplaced:
        name = name_of(child)
        if child.getparent() is not node:
            continue
        if name_of(node) == "form" and name in EXECUTABLE | _SAID:
            _wrap(child, node, "block", EXECUTABLE | _SAID, remarks)
        elif "prompt" in known.children and name in _SAID:
            _wrap(child, node, "prompt", _SAID, remarks)
        elif name in _INERT:
            remarks.add(
                "misplaced-element",
                f"<{name}> may not stand in <{name_of(node)}>: it is passed over",
                child,
            )
            remove(child, node)


def _wrap(
    child: etree._Element,
    parent: etree._Element,
    holder: str,
    kinds: frozenset[str],
    remarks: Remarks,
) -> None:
    """Puts the run of content around a misplaced child into an element that may hold it."""
    place = f"<{name_of(child)}> may not stand in <{name_of(parent)}>"
    remarks.add("misplaced-element", f"{place}: it is taken to be in a <{holder}>", child)
    allowed = schema.model().elements[name_of(parent)].children
    first = parent.index(child)
    while first > 0 and _joins(parent[first - 1], kinds, allowed, holder):
        first -= 1
    last = parent.index(child)
    while last + 1 < len(parent) and _joins(parent[last + 1], kinds, allowed, holder):
        last += 1
    made = new_element(holder, child)
    before = parent[first - 1] if first else None
    text = (parent.text if before is None else before.tail) or ""
    if before is None:
        parent.text = None
    else:
        before.tail = None
    run = list(parent[first : last + 1])
    parent.insert(first, made)
    made.text = text
    made.extend(run)
    if holder == "block":
        # The inside of a block has rules of its own.
        _repair_content(made, remarks)


def _joins(node: etree._Element, kinds: frozenset[str], allowed: set[str], holder: str) -> bool:
    """Whether an element belongs to the run that is wrapped."""
    if not isinstance(node.tag, str) or etree.QName(node).namespace != VXML:
        return False
    name = name_of(node)
    return name in kinds and (holder == "prompt" or name not in allowed)
