"""VoiceXML 1.0 as 2.1: elements, attributes, events and variables that had other names.

One function an element, in `RULES`; `rename_events` and `session_variables` for the rest. Each
leaves a remark that says what the name is now.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from lxml import etree

from vxml_server.interpreter.repairs import Remarks, key_of, name_of, new_element, rename, unwrap

# What shows, in the bytes of a document, that it has old names where any text may stand.
OLD_WORDS = re.compile(rb"telephone\.|session\.callerid")


def _deprecated(node: etree._Element, old: str, new: str, remarks: Remarks) -> None:
    remarks.add("deprecated", f"{old} is of VoiceXML 1.0; now it is {new}", node)


def _old_version(node: etree._Element, remarks: Remarks) -> None:
    if node.get("version", "").strip() == "1.0":
        _deprecated(node, 'version="1.0"', 'version="2.1"', remarks)
        node.set("version", "2.0")
    for old, new in (("lang", "xml:lang"), ("base", "xml:base")):
        if old in node.attrib and key_of(new) not in node.attrib:
            _deprecated(node, old, new, remarks)
            node.set(key_of(new), str(node.attrib.pop(old)))


def _dtmf(node: etree._Element, remarks: Remarks) -> None:
    _deprecated(node, "<dtmf>", '<grammar mode="dtmf">', remarks)
    rename(node, "grammar")
    node.set("mode", "dtmf")


def _sayas(node: etree._Element, remarks: Remarks) -> None:
    """`<sayas>`: a pronunciation, a substitute, or a class of text."""
    attributes = {name: str(node.attrib.pop(name, "")) for name in ("phon", "sub", "class")}
    if attributes["phon"]:
        new = "phoneme"
        node.set("ph", attributes["phon"])
        node.set("alphabet", "ipa")
    elif attributes["sub"]:
        new = "sub"
        node.set("alias", attributes["sub"])
    else:
        new = "say-as"
        node.set("interpret-as", _CLASSES.get(attributes["class"], attributes["class"]))
    _deprecated(node, "<sayas>", f"<{new}>", remarks)
    rename(node, new)


_CLASSES = {"phone": "telephone", "literal": "characters", "": "characters"}


def _emp(node: etree._Element, remarks: Remarks) -> None:
    _deprecated(node, "<emp>", "<emphasis>", remarks)
    rename(node, "emphasis")


def _pros(node: etree._Element, remarks: Remarks) -> None:
    """`<pros>`, whose volume is a fraction and whose rate is words a minute or a percentage."""
    _deprecated(node, "<pros>", "<prosody>", remarks)
    rename(node, "prosody")
    if (volume := node.attrib.pop("vol", None)) is not None:
        number = _number(str(volume))
        scaled = str(volume) if number is None else f"{min(100.0, max(0.0, number * 100)):g}"
        node.set("volume", scaled)
    rate = _number(node.get("rate", ""))
    if rate is not None and rate > 10:
        node.set("rate", f"{rate / _WORDS_A_MINUTE:.2f}")
    for name in ("pitch", "range"):
        if _number(node.get(name, "")) is not None:
            node.set(name, node.get(name, "").strip() + "Hz")


_WORDS_A_MINUTE = 175


def _number(text: str) -> float | None:
    found = re.fullmatch(r"\s*(\d{1,9}(?:\.\d{1,9})?|\.\d{1,9})\s*", text, re.ASCII)
    return float(found[1]) if found else None


def _div(node: etree._Element, remarks: Remarks) -> None:
    new = "s" if node.attrib.pop("type", "") == "sentence" else "p"
    _deprecated(node, "<div>", f"<{new}>", remarks)
    rename(node, new)


def _break(node: etree._Element, remarks: Remarks) -> None:
    if (length := node.attrib.pop("msecs", None)) is not None:
        _deprecated(node, "msecs of <break>", "time", remarks)
        number = _number(str(length))
        if number is not None and "time" not in node.attrib:
            node.set("time", f"{round(number)}ms")
    if (size := node.attrib.pop("size", None)) is not None:
        _deprecated(node, "size of <break>", "strength", remarks)
        strength = _SIZES.get(str(size).strip().lower())
        if strength and "strength" not in node.attrib:
            node.set("strength", strength)


_SIZES = {"none": "none", "small": "weak", "medium": "medium", "large": "strong"}


def _value(node: etree._Element, remarks: Remarks) -> None:
    """`<value class="...">` is a value in a `<say-as>`."""
    for name in ("mode", "recsrc"):
        if node.attrib.pop(name, None) is not None:
            _deprecated(node, f"{name} of <value>", "an <audio>", remarks)
    kind = node.attrib.pop("class", None)
    if kind is None:
        return
    _deprecated(node, "class of <value>", "<say-as>", remarks)
    parent = node.getparent()
    if parent is None or name_of(parent) == "log":
        return
    around = new_element("say-as", node)
    around.set("interpret-as", _CLASSES.get(str(kind), str(kind)))
    around.tail, node.tail = node.tail, None
    parent.replace(node, around)
    around.append(node)


def _caching(node: etree._Element, remarks: Remarks) -> None:
    caching = node.attrib.pop("caching", None)
    if caching is not None:
        _deprecated(node, f"caching of <{name_of(node)}>", "maxage", remarks)
        if caching == "safe" and "maxage" not in node.attrib:
            node.set("maxage", "0")


def _long_name(node: etree._Element, remarks: Remarks) -> None:
    new = name_of(node)[0]
    remarks.add("deprecated", f"<{name_of(node)}> is <{new}>", node)
    rename(node, new)


def _speak(node: etree._Element, remarks: Remarks) -> None:
    """`<speak>` in a prompt says nothing more than the prompt."""
    parent = node.getparent()
    if parent is not None:
        remarks.add("misplaced-element", "<speak> in a document is taken for its content", node)
        unwrap(node, parent)


Rule: TypeAlias = Callable[[etree._Element, Remarks], None]
RULES: Mapping[str, tuple[Rule, ...]] = {
    "audio": (_caching,),
    "break": (_break,),
    "choice": (_caching,),
    "div": (_div,),
    "dtmf": (_dtmf, _caching),
    "emp": (_emp,),
    "goto": (_caching,),
    "grammar": (_caching,),
    "link": (_caching,),
    "object": (_caching,),
    "paragraph": (_long_name,),
    "pros": (_pros,),
    "sayas": (_sayas,),
    "script": (_caching,),
    "sentence": (_long_name,),
    "speak": (_speak,),
    "subdialog": (_caching,),
    "submit": (_caching,),
    "value": (_value,),
    "vxml": (_old_version,),
}


# Names that have changed -----------------------------------------------------------------------

_EVENTS = (
    ("telephone.disconnect", "connection.disconnect"),
    ("error.telephone", "error.connection"),
)


def rename_events(node: etree._Element, remarks: Remarks) -> None:
    names = node.get("event", "")
    if "telephone" not in names:
        return
    renamed = " ".join(_new_event(name) for name in names.split())
    if renamed != " ".join(names.split()):
        remarks.add("deprecated", f"the event {names} is {renamed} now", node, "event")
        node.set("event", renamed)


def _new_event(name: str) -> str:
    for old, new in _EVENTS:
        if name == old or name.startswith(old + "."):
            return new + name.removeprefix(old)
    return name


_SESSION = re.compile(r"\bsession\.(callerid|telephone(?:\.(?:ani|dnis|rdnis|uui|iidigits))?)\b")
_SESSION_NOW = {
    "callerid": "session.connection.remote.uri",
    "telephone.ani": "session.connection.remote.uri",
    "telephone.dnis": "session.connection.local.uri",
    "telephone.uui": "session.connection.aai",
}


def remark_on_session(node: etree._Element, remarks: Remarks) -> None:
    """Old names of what is known of the call; `session_variables` gives them their values."""
    texts: Iterator[tuple[str, str]] = ((str(k), str(v)) for k, v in node.attrib.items())
    for attribute, text in [*texts, ("", node.text or "")]:
        for found in _SESSION.finditer(text):
            new = _SESSION_NOW.get(found[1], "session.connection")
            remarks.add("deprecated", f"{found[0]} is {new} now", node, attribute)


def session_variables(remote: str, local: str, aai: str | None) -> dict[str, object]:
    """What VoiceXML 1.0 called the variables of the session, for those who still do."""
    caller, called = _user(remote), _user(local)
    return {
        "callerid": caller,
        "telephone": {"ani": caller, "dnis": called, "rdnis": "", "iidigits": "", "uui": aai},
    }


def _user(uri: str) -> str:
    """The number or name in a tel: or sip: URI."""
    return re.sub(r"^(?:tel|sips?):", "", uri.strip("<> ")).partition("@")[0].partition(";")[0]
