"""How executable content ends before its last element.

Executable content is a tree walk; what leaves it early (`<goto>`, `<submit>`, `<return>`,
`<exit>`) unwinds the walk as one of these exceptions. Events unwind it as `VoiceXmlEvent`. Nothing
else does.
"""

from __future__ import annotations

from dataclasses import dataclass

from vxml_server.ecmascript import Object
from vxml_server.events import VoiceXmlEvent
from vxml_server.interpreter.document import Document, Element
from vxml_server.interpreter.platform import InputResult, Json


class Flow(Exception):
    """A transfer of control out of executable content."""


@dataclass(slots=True, eq=False)
class GotoItem(Flow):
    """`<goto nextitem>`: visit that form item next."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A dialog that is ready to be entered.

    `new_document` says that the document's variables are to be initialised, `new_root` that those
    of the application are (section 1.5.2). `input` is what the caller already said when a grammar
    of that dialog matched elsewhere.
    """

    document: Document
    root: Document
    dialog: Element | None
    new_document: bool = True
    new_root: bool = True
    input: InputResult | None = None


@dataclass(slots=True, eq=False)
class Transition(Flow):
    """`<goto>`, `<submit>`, a link or a choice: run another dialog."""

    place: Place


@dataclass(slots=True, eq=False)
class Return(Flow):
    """`<return>`: end the subdialog with an object of variables, or by throwing an event."""

    values: Object | None = None
    event: VoiceXmlEvent | None = None


@dataclass(slots=True, eq=False)
class Exit(Flow):
    """The session ends: `<exit>`, the end of the last dialog, or an event nobody handles.

    `event` is the uncaught event that ended it, if one did.
    """

    value: Json = None
    event: VoiceXmlEvent | None = None
