"""Documents to start from, and what is done to them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random

from lxml import etree

from vxml_server.interpreter.schema import VXML, model

ROOT = Path(__file__).parents[2]
_FOLDERS = ("apps", "tests/conformance", "tests/interpreter/documents")
_OTHERS = frozenset({".grxml", ".gram", ".js", ".json", ".xml", ".txt"})
MAIN = "main.vxml"
XML = "{http://www.w3.org/XML/1998/namespace}"

# Expressions: most of them trouble, some of them endless, greedy or hostile.
EXPRESSIONS = (
    "", "1", "'a'", "true", "undefined", "null", "NaN", "-0", "1e308*10", "x", "f", "f$",
    "f$.x.y", "session", "session.connection.remote.uri", "application.lastresult$",
    "document.x", "dialog.f", "lastresult$[0].utterance", "1 +", ")", "}", "'", "/*", "//",
    "a b", "x = 1", "x.y.z = 1", "while(true){}", "(function(){while(1);})()",
    "(function f(){f()})()", "(()=>{throw 1})()", "(()=>{throw null})()",
    "(()=>{throw {toString(){throw 2}}})()", "'x'.repeat(1e8)", "new Array(1e9).join('x')",
    "[...Array(1e6)]", "Symbol('x')", "10n**1000n", "2n", "'\\ud800'", "'\\u0000a'",
    "String.fromCharCode(0,1,8,0xfffe,0xdfff)", "[[[[[[]]]]]]", "JSON = 1",
    "Object.prototype.x = 1", "Object.freeze(this)", "this", "globalThis", "eval('x')",
    "Function('return this')()", "new Proxy({}, {get(){throw 3}})", "({toString: null})",
    "({valueOf(){return {}}})", "({get a(){return this}})", "(a=>(a.a=a))({})", "async()=>1",
    "Promise.resolve(1).then(x=>{while(1);})", "delete session", "session.connection = 1",
    "application = 1", "var", "return", "import('x')", "new Date(NaN)",
    "/(a+)+$/.test('a'.repeat(30)+'b')", "_event", "_message", "_prompt", "'#a'", "'main.vxml'",
    "'leaf.vxml#x'", "'::'", "'http://['", "'data:,x'", "'javascript:1'", "[1,2,3]",
    "[{audio:'a.wav',tts:'b'}]", "{a: 1}", "({a: {b: [1]}})", "'error.semantic'", "'.'", "' '",
    "'connection.disconnect.hangup'", "({length: 1e9})", "new Uint8Array(9)",
)  # fmt: skip
VALUES = (
    "", " ", "a", "#a", "#", "##", "#no such", "main.vxml", "main.vxml#f", "leaf.vxml", "::",
    "//", "http://[", "http://test:99999/", "file:///etc/passwd", "data:text/plain,x", "true",
    "false", "TRUE", "yes", "0", "1", "-1", "2", "99999999999999999999", "1.5", "1e9", "NaN",
    "5s", "0s", "5", "100", "250ms", "-1s", "1 s", "9999999999s", ".s", "s", "en", "fr-FR",
    "en-UK", "en_US", "x-y-z-", "x" * 2000, "dialog", "document", "get", "POST",
    "multipart/form-data", "any", "all", "exact", "approximate", "voice", "dtmf", "dtmf voice",
    "none", "all", "prefetch", "hotword", "bridge", "blind", "consultation", "tel:+331",
    "sip:a@b", "tel:", "builtin:grammar/digits", "builtin:dtmf/boolean?y=1;n=1",
    "builtin:grammar/no", "digits", "digits?length=4", "digits?minlength=9;maxlength=1",
    "boolean", "date", "currency", "number", "phone", "time", "digits?length=-1",
    "noinput nomatch", "error", "error.", ".", "..", "connection.disconnect", "help", "exit",
    "cancel", "a b c", "session.x", "a.b", "f f", "audio/x-wav", "application/srgs",
    "application/x-jsgf", "1.0", "2.1", "3.0", "#ABNF 1.0;", "\u00e9", "\U0001f600", "12#", "A",
    "1 2 3", "*", "xx-large", "+50%", "0-1", "1-", "1000000-", "3-1", "cdata-section", "x:y",
    "_x", "x$", "class", "this", "1x",
)  # fmt: skip
TEXTS = (
    "", " ", "Hello.", "one two three", "*", "1 2", "$x;", "<",
    "]]>", "#ABNF 1.0; $a = b;", "#ABNF 1.0 UTF-8; root $r; $r = a | $r;", "x" * 5000, "\u2028",
    "\u00e9\u00df", "\U0001f600", "word " * 300,
)  # fmt: skip
_PIECES = (
    b"<", b">", b"&", b"&amp;", b"&x;", b"<![CDATA[", b"]]>", b"<!--", b"-->", b"\x00", b"\xff",
    b"\xc3", b"<?xml version='1.0' encoding='utf-16'?>", b"<!DOCTYPE vxml [<!ENTITY x 'y'>]>",
    b"</form>", b"<form>", b"<block>", b"\xef\xbb\xbf", b"\r", b"&#0;", b"&#xd800;",
    b"xmlns='urn:x'", b"'", b'"', b"=", b"/",
)  # fmt: skip
_ENCODINGS = (
    "utf-16",
    "utf-16-le",
    "utf-32",
    "iso-8859-1",
    "cp1252",
    "utf-7",
    "cp037",
    "utf-8-sig",
    "shift_jis",
)


@dataclass(frozen=True, slots=True)
class Seed:
    """A document to start from: its folder and name, and its bytes."""

    folder: str
    name: str
    body: bytes


@lru_cache(maxsize=1)
def seeds() -> tuple[Seed, ...]:
    """The documents of the repository that are well-formed."""
    found = []
    for folder in _FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.vxml")):
            body = path.read_bytes()
            try:
                etree.fromstring(body)
            except etree.XMLSyntaxError:
                continue
            found.append(Seed(str(path.parent), path.name, body))
    return tuple(found)


@lru_cache(maxsize=1)
def _neighbours() -> Mapping[str, list[Seed]]:
    """The documents of each folder."""
    found: dict[str, list[Seed]] = {}
    for seed in seeds():
        found.setdefault(seed.folder, []).append(seed)
    return found


@lru_cache(maxsize=1)
def others() -> Mapping[str, bytes]:
    """Grammars, scripts and data of the repository, by name."""
    return {
        path.name: path.read_bytes()
        for folder in _FOLDERS
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in _OTHERS and path.is_file()
    }


def site(random: Random) -> dict[str, bytes]:
    """The pages of a run: the document that is called, and what it may lead to."""
    pages = dict(others())
    chosen = random.choice(seeds())
    for seed in _neighbours()[chosen.folder]:
        pages[seed.name] = seed.body
    pages["leaf.vxml"] = document(random, random.choice(seeds()))
    pages[MAIN] = document(random, chosen)
    name = random.choice(sorted(pages))
    if random.random() < 0.2:
        pages[name] = _spoilt(pages[name], random)
    return pages


def document(random: Random, seed: Seed) -> bytes:
    """The seed with its structure, and at times its bytes, changed."""
    root = etree.fromstring(seed.body)
    for _ in range(random.choice((0, 1, 1, 2, 3, 5, 8))):
        nodes = [node for node in root.iter() if isinstance(node.tag, str)]
        random.choice(_MUTATIONS)(random.choice(nodes), random)
    body = etree.tostring(root.getroottree())
    return _spoilt(body, random) if random.random() < 0.15 else body


# The tree ----------------------------------------------------------------------------------------


def _delete(node: etree._Element, random: Random) -> None:
    parent = node.getparent()
    if parent is not None:
        parent.remove(node)


def _repeat(node: etree._Element, random: Random) -> None:
    parent = node.getparent()
    if parent is not None and sum(1 for _ in node.iter()) < 60:
        for _ in range(random.choice((1, 1, 2, 20))):
            parent.insert(parent.index(node), copy.deepcopy(node))


def _move(node: etree._Element, random: Random) -> None:
    """To anywhere, but not into itself."""
    inside = set(node.iter())
    places = [place for place in node.getroottree().iter("*") if place not in inside]
    if places and node.getparent() is not None:
        place = random.choice(places)
        place.insert(random.randint(0, len(place)), node)


def _nest(node: etree._Element, random: Random) -> None:
    """Around itself, often: depth."""
    parent = node.getparent()
    if parent is None:
        return
    name = random.choice(_NAMES)
    for _ in range(random.choice((1, 2, 30))):
        around = etree.Element(f"{{{VXML}}}{name}")
        parent.insert(parent.index(node), around)
        around.append(node)
        parent = around


def _rename(node: etree._Element, random: Random) -> None:
    if node.getparent() is not None:
        node.tag = f"{{{VXML}}}{random.choice(_NAMES)}"


def _insert(node: etree._Element, random: Random) -> None:
    made = etree.SubElement(node, f"{{{VXML}}}{random.choice(_NAMES)}")
    made.text = random.choice(TEXTS)
    for _ in range(random.randint(0, 3)):
        _set(made, random)


def _graft(node: etree._Element, random: Random) -> None:
    """Something from another document."""
    other = etree.fromstring(random.choice(seeds()).body)
    nodes = [found for found in other.iter() if isinstance(found.tag, str)][1:]
    if nodes:
        node.insert(random.randint(0, len(node)), random.choice(nodes))


def _set(node: etree._Element, random: Random) -> None:
    known = model().elements.get(etree.QName(node).localname)
    names = sorted(known.attributes) if known and random.random() < 0.9 else _ATTRIBUTES
    if not names:
        return
    name = random.choice(names)
    kind = known.attributes.get(name) if known else None
    choices: Sequence[str] = VALUES
    if kind is not None and kind.values and random.random() < 0.7:
        choices = sorted(kind.values)
    elif kind is not None and kind.name == "Script":
        choices = EXPRESSIONS
    node.set(name.replace("xml:", XML), random.choice(choices))


def _unset(node: etree._Element, random: Random) -> None:
    if node.attrib:
        del node.attrib[random.choice(sorted(map(str, node.attrib)))]


def _say(node: etree._Element, random: Random) -> None:
    is_script = etree.QName(node).localname == "script"
    text = random.choice(EXPRESSIONS if is_script else TEXTS)
    if is_script or random.random() < 0.5:
        node.text = text
    else:
        node.tail = text


_OLD = ("dtmf", "sayas", "emp", "pros", "div", "speak")
_NAMES = (*sorted(model().elements), *_OLD, "nonsense")
_ATTRIBUTES = (
    *sorted({name for e in model().elements.values() for name in e.attributes}),
    *("bargeIn", "caching", "class", "msecs"),
)
_MUTATIONS: tuple[Callable[[etree._Element, Random], None], ...] = (
    _delete,
    _graft,
    _insert,
    _insert,
    _move,
    _nest,
    _rename,
    _repeat,
    _say,
    _set,
    _set,
    _set,
    _set,
    _unset,
)


# The bytes ---------------------------------------------------------------------------------------


def _spoilt(body: bytes, random: Random) -> bytes:
    kind = random.randint(0, 4)
    if kind == 0:
        return body[: random.randint(0, len(body))]
    if kind == 1:
        encoding = random.choice(_ENCODINGS)
        text = body.decode("utf-8", "replace")
        if random.random() < 0.5:
            text = f'<?xml version="1.0" encoding="{random.choice(_ENCODINGS)}"?>' + text
        return text.encode(encoding, "replace")
    at = random.randint(0, len(body))
    if kind == 2:
        return body[:at] + random.choice(_PIECES) + body[at:]
    if kind == 3:
        changed = bytearray(body)
        for _ in range(min(len(changed), random.randint(1, 5))):
            changed[random.randrange(len(changed))] = random.randrange(256)
        return bytes(changed)
    end = min(len(body), at + random.randint(0, 200))
    return body[:end] + body[at:end] * random.choice((1, 2, 50)) + body[end:]
