"""What an onlooker sees of a session: one record for each thing that happened.

The keys are those of the dialogue format's `--json` output, which tests, logs and the conformance
report are made of. The interpreter emits `fetch`, `enter`, `match`, `throw`, `record`, `log` and
`end`; the platform emits `prompt`, `input`, `transfer`. Whoever debugs a document also gets `step`:
what the form interpretation algorithm does, with the lines of the document.
"""

from __future__ import annotations

import json
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


def described(record: dict[str, Json]) -> str:
    """A record, with its `event` and its time, as a line that a person reads; without the time."""

    def key(name: str) -> str:
        value = record.get(name)
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    match record["event"]:
        case "prompt":
            audio = record["audio"]
            files = [f"[{uri}]" for uri in audio] if isinstance(audio, list) else []
            return " ".join(["<", *files, key("text")]).rstrip()
        case "input":
            return f"> {key('utterance')} ({key('mode')}, {key('confidence')})"
        case "match":
            heard = f"{key('utterance')} = {key('interpretation')}"
            return f"  match {heard} ({key('grammar')} grammar, line {key('line')})"
        case "throw":
            said = f": {key('message')}" if record["message"] else ""
            place = f"line {key('line')}, handled by {key('handled_by')}"
            return f"! {key('name')}{said} ({place})"
        case "step":
            detail = f" {record['detail']}" if record["detail"] else ""
            return f"    {record['phase']:10} line {key('line'):>4}  {record['element']}{detail}"
        case "expect":
            if record["ok"]:
                return f"  expected {key('pattern')}"
            return f"  EXPECTED {key('pattern')} BUT HEARD {key('heard')}"
        case "end":
            returned = f" {key('value')}" if record["value"] is not None else ""
            failed = f": {key('message') or key('error')}" if record["error"] else ""
            return f"  end: {key('reason')}{returned}{failed}"
        case event:
            rest = ", ".join(f"{name} {key(name)}" for name in record if name not in {"t", "event"})
            return f"  {event} {rest}"
