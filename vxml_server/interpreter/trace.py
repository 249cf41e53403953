"""What an onlooker sees of a session: one record for each thing that happened.

The keys are those of the dialogue format's `--json` output, which tests, logs and the conformance
report are made of. The interpreter emits `fetch`, `enter`, `match`, `throw`, `record`, `log` and
`end`; the platform emits `prompt`, `input`, `transfer`. Whoever debugs a document also gets `step`:
what the form interpretation algorithm does, with the lines of the document.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from vxml_server.interpreter.document import Element
from vxml_server.interpreter.platform import Json

# Characters of an element's attributes that are shown.
_LONGEST = 200

Observer: TypeAlias = Callable[[str, dict[str, Json]], None]
"""Called with the kind of the record (`prompt`, `throw`, ...) and its keys."""


def ignore(kind: str, record: dict[str, Json]) -> None:
    """The observer of those who do not look."""


def step(phase: str, element: Element, uri: str, detail: str = "") -> dict[str, Json]:
    """The `step` record: a phase of appendix C or `execute`, the element as written, its place."""
    written = "".join(f' {name}="{value}"' for name, value in element.attributes.items())
    if len(written) > _LONGEST:
        written = written[:_LONGEST] + "..."
    return {
        "phase": phase,
        # A run of text has a name that is none.
        "element": element.name if element.name[:1] == "(" else f"<{element.name}{written}>",
        "detail": detail,
        "uri": uri,
        "line": element.line,
    }
