"""The elements of VoiceXML 2.1 and SSML 1.0, and what the recommendation demands of each alone.

Tables only: which elements exist, which attributes must be there, which exclude each other
("exactly one of ... must be specified; otherwise, an error.badfetch event is thrown"), and what
their values may be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from vxml_server.interpreter.times import seconds

VERSIONS = frozenset({"2.0", "2.1", "1.0"})


def is_ours(namespace: str | None, root: str | None) -> bool:
    """Whether elements of this namespace belong to the language of the document.

    Elements of any other are extensions of somebody else's; they are passed over. Authors and
    converters write the namespace in more ways than one: what the root element has will do, and so
    will a name like the right one.
    """
    return (
        namespace is None
        or namespace == root
        or "w3.org/20" in namespace
        or "voicexml" in namespace.lower()
    )


SSML = frozenset(
    [
        "break",
        "desc",
        "emphasis",
        "lexicon",
        "mark",
        "metadata",
        "p",
        "paragraph",
        "phoneme",
        "prosody",
        "s",
        "say-as",
        "sentence",
        "speak",
        "sub",
        "voice",
    ]
)
EXECUTABLE = frozenset(
    [
        "assign",
        "audio",
        "clear",
        "data",
        "disconnect",
        "enumerate",
        "exit",
        "foreach",
        "goto",
        "if",
        "log",
        "prompt",
        "reprompt",
        "return",
        "script",
        "submit",
        "throw",
        "value",
        "var",
    ]
)
_OTHER_ELEMENTS = frozenset(
    [
        "block",
        "catch",
        "choice",
        "else",
        "elseif",
        "error",
        "field",
        "filled",
        "form",
        "grammar",
        "help",
        "initial",
        "link",
        "menu",
        "meta",
        "noinput",
        "nomatch",
        "object",
        "option",
        "param",
        "property",
        "record",
        "subdialog",
        "transfer",
        "vxml",
    ]
)
ELEMENTS = SSML | EXECUTABLE | _OTHER_ELEMENTS

_REQUIRED: Mapping[str, tuple[str, ...]] = {
    "assign": ("name", "expr"),
    "elseif": ("cond",),
    "foreach": ("array", "item"),
    "if": ("cond",),
    "object": ("classid",),
    "param": ("name",),
    "property": ("name", "value"),
    "value": ("expr",),
    "var": ("name",),
    "vxml": ("version",),
}
_EXACTLY_ONE: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "audio": (("src", "expr"),),
    "choice": (("next", "expr", "event", "eventexpr"),),
    "goto": (("next", "expr", "nextitem", "expritem"),),
    "link": (("next", "expr", "event", "eventexpr"),),
    "mark": (("name", "nameexpr"),),
    "param": (("expr", "value"),),
    "subdialog": (("src", "srcexpr"),),
    "submit": (("next", "expr"),),
    "throw": (("event", "eventexpr"),),
    "transfer": (("dest", "destexpr"),),
}
_AT_MOST_ONE: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "choice": (("message", "messageexpr"),),
    "exit": (("expr", "namelist"),),
    "link": (("message", "messageexpr"),),
    "return": (("namelist", "event", "eventexpr"), ("message", "messageexpr")),
    "throw": (("message", "messageexpr"),),
    "transfer": (("bridge", "type"), ("aai", "aaiexpr")),
}
_BOOLEAN = frozenset({"true", "false"})
_SCOPES = frozenset({"dialog", "document"})
_ACCEPT = frozenset({"exact", "approximate"})
_METHODS = frozenset({"get", "post", "GET", "POST"})
_ONE_OF: Mapping[tuple[str, str], frozenset[str]] = {
    ("choice", "accept"): _ACCEPT,
    ("field", "modal"): _BOOLEAN,
    ("filled", "mode"): frozenset({"all", "any"}),
    ("form", "scope"): _SCOPES,
    ("grammar", "mode"): frozenset({"dtmf", "voice"}),
    ("grammar", "scope"): _SCOPES,
    ("menu", "accept"): _ACCEPT,
    ("menu", "dtmf"): _BOOLEAN,
    ("menu", "scope"): _SCOPES,
    ("option", "accept"): _ACCEPT,
    ("prompt", "bargein"): _BOOLEAN,
    ("prompt", "bargeintype"): frozenset({"speech", "hotword"}),
    ("record", "modal"): _BOOLEAN,
    ("subdialog", "method"): _METHODS,
    ("submit", "method"): _METHODS,
    ("transfer", "bridge"): _BOOLEAN,
    ("transfer", "type"): frozenset({"bridge", "blind", "consultation"}),
    ("vxml", "version"): VERSIONS,
}


def _is_time(text: str) -> bool:
    try:
        seconds(text)
    except ValueError:
        return False
    return True


def _is_whole(text: str) -> bool:
    text = text.strip()
    return text.isascii() and text.isdigit() and len(text) <= 9


def _is_count(text: str) -> bool:
    return _is_whole(text) and int(text) > 0


# What an attribute's value must be, on whichever element of ours it stands.
_KINDS: Mapping[str, tuple[Callable[[str], bool], str]] = {
    "connecttimeout": (_is_time, "a time such as 5s or 250ms"),
    "count": (_is_count, "a whole number from 1 on"),
    "fetchtimeout": (_is_time, "a time such as 5s or 250ms"),
    "finalsilence": (_is_time, "a time such as 5s or 250ms"),
    "maxage": (_is_whole, "a whole number of seconds"),
    "maxstale": (_is_whole, "a whole number of seconds"),
    "maxtime": (_is_time, "a time such as 5s or 250ms"),
    "timeout": (_is_time, "a time such as 5s or 250ms"),
}


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:-1]) + f" or {names[-1]}"


def problem(name: str, attributes: Mapping[str, str]) -> str:
    """What is wrong with an element of this name with these attributes; "" when nothing is."""
    if name not in ELEMENTS:
        return f"<{name}> is not an element of VoiceXML"
    for attribute in _REQUIRED.get(name, ()):
        if attribute not in attributes:
            return f"<{name}> needs the attribute {attribute}"
    for group in _EXACTLY_ONE.get(name, ()):
        if sum(attribute in attributes for attribute in group) != 1:
            return f"<{name}> needs exactly one of {_listed(group)}"
    for group in _AT_MOST_ONE.get(name, ()):
        if sum(attribute in attributes for attribute in group) > 1:
            return f"<{name}> takes at most one of {_listed(group)}"
    return next(filter(None, (_value(name, *item) for item in attributes.items())), "")


def _value(name: str, attribute: str, text: str) -> str:
    """What is wrong with the value of an attribute."""
    allowed = _ONE_OF.get((name, attribute))
    if allowed is not None and text not in allowed:
        return f"{attribute}={text!r} of <{name}> is not {_listed(tuple(sorted(allowed)))}"
    if attribute in _KINDS and name not in SSML:
        is_right, expected = _KINDS[attribute]
        if not is_right(text):
            return f"{attribute}={text!r} of <{name}> is not {expected}"
    return ""
