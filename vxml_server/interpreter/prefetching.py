"""What a document will need: `fetchhint`, section 6.1.1 of VoiceXML 2.0.

"prefetch" lets the interpreter fetch when the document is loaded, "safe" only when the content is
needed. Known beforehand are references that are written down, not those that are computed. The hint
is the element's own, or else the property for its kind of resource.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, TypeAlias

from vxml_server.fetch import FetchRequest, resolve_uri, split_fragment
from vxml_server.interpreter.document import Document, Element
from vxml_server.interpreter.properties import Properties, fetch_request

Kind: TypeAlias = Literal["audio", "data", "document", "grammar", "script"]

# Element -> the attribute that refers to something, and what it is.
_REFERENCES: dict[str, tuple[str, Kind]] = {
    "audio": ("src", "audio"),
    "choice": ("next", "document"),
    "data": ("src", "data"),
    "goto": ("next", "document"),
    "grammar": ("src", "grammar"),
    "link": ("next", "document"),
    "script": ("src", "script"),
    "subdialog": ("src", "document"),
}


def wanted_ahead(
    document: Document, properties_at: Callable[..., Properties]
) -> Iterator[FetchRequest]:
    """The requests of what may be prefetched, in document order.

    `properties_at` gives the properties inside elements, the nearest first.
    """
    pending: list[tuple[Element, tuple[Element, ...]]] = [(document.root, ())]
    while pending:
        element, around = pending.pop()
        if (request := _request(element, around, document, properties_at)) is not None:
            yield request
        inside = (element, *around) if element is not document.root else around
        pending.extend((child, inside) for child in reversed(tuple(element.elements)))


def _request(
    element: Element,
    around: tuple[Element, ...],
    document: Document,
    properties_at: Callable[..., Properties],
) -> FetchRequest | None:
    attribute, kind = _REFERENCES.get(element.name, ("", "document"))
    uri = element.get(attribute) if attribute else ""
    if not uri or uri.startswith(("#", "builtin:")) or "namelist" in element.attributes:
        return None
    if element.get("method").lower() == "post":
        return None
    # Properties stand in forms, menus and items; what is deeper has none of its own.
    properties = properties_at(*[e for e in around if e.named("property")])
    hint = element.get("fetchhint") or properties.get(f"{kind}fetchhint")
    if hint.strip() != "prefetch":
        return None
    target = resolve_uri(element.base, uri)
    if kind == "document" and split_fragment(target)[0] == document.uri:
        return None
    return fetch_request(element, properties, kind, target, base=document.uri)
