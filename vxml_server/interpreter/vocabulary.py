"""The elements of VoiceXML 2.1 and SSML 1.0, and what the recommendation demands of each alone.

Tables only: which elements exist, which attributes must be there, and which exclude each other
("exactly one of ... must be specified; otherwise, an error.badfetch event is thrown").
"""

from __future__ import annotations

from collections.abc import Mapping

VERSIONS = frozenset({"2.0", "2.1", "1.0"})

# Elements in any other namespace are extensions of somebody else's; they are passed over. Authors
# and converters write the namespace in more ways than one, so a name like the right one will do.
_OTHERS = ("http://www.w3.org/1999/02/22-rdf-syntax-ns#", "http://purl.org/")


def is_ours(namespace: str | None) -> bool:
    """Whether elements of this namespace belong to the language of the document."""
    return namespace is None or (
        ("w3.org/20" in namespace or "voicexml" in namespace.lower())
        and not namespace.startswith(_OTHERS)
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
    return ""
