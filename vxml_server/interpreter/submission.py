"""Variables as the fields of a request: `namelist` of `<submit>`, `<subdialog>` and `<data>`.

Section 5.3.8 of VoiceXML 2.0 leaves open how an object is sent, and what becomes of a recording
that is not sent as multipart/form-data. An object is one field for each of its leaves; a recording
makes a POST whose `enctype` is not stated multipart, and is refused otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from vxml_server.fetch import FetchRequest, FilePart
from vxml_server.interpreter.document import Element
from vxml_server.interpreter.platform import Json
from vxml_server.interpreter.recordings import EXTENSIONS, Recordings
from vxml_server.interpreter.scopes import Scopes

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"


def with_fields(
    request: FetchRequest,
    element: Element,
    names: Sequence[str],
    scopes: Scopes,
    recordings: Recordings,
) -> FetchRequest:
    """The request with the values of the variables `names`, sent as `element` says."""
    fields = tuple(field for name in names for field in _fields(name, scopes, recordings))
    is_post = element.get("method").lower() == "post"
    has_files = any(isinstance(value, FilePart) for _, value in fields)
    return replace(
        request,
        method="POST" if is_post else "GET",
        fields=fields,
        enctype=element.get("enctype", MULTIPART if has_files else URLENCODED),
    )


def _fields(
    name: str, scopes: Scopes, recordings: Recordings
) -> Iterator[tuple[str, str | FilePart]]:
    """A variable as form fields; an object as one field for each of its leaves, `a.b.c`."""
    original = scopes.value(name)
    if (audio := recordings.find(original)) is not None:
        filename = name.rpartition(".")[2] + EXTENSIONS[audio.media_type]
        yield name, FilePart(audio.data, audio.media_type, filename)
        return
    value: Json = scopes.engine.to_json(original)
    if not isinstance(value, dict | list):
        yield name, scopes.text(name)
        return
    pending: list[tuple[str, Json]] = [(name, value)]
    while pending:
        path, part = pending.pop()
        if isinstance(part, dict):
            pending.extend((f"{path}.{key}", part[key]) for key in reversed(part))
        elif isinstance(part, list):
            pending.extend((f"{path}.{n}", part[n]) for n in reversed(range(len(part))))
        else:
            yield path, scopes.engine.evaluate_text(json.dumps(part))
