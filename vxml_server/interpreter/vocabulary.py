"""Kinds of elements that several modules speak of; what each may hold is in `schema`."""

from __future__ import annotations


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
