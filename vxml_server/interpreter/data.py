"""`<data>`: section 5 of VoiceXML 2.1. Data from a server, without leaving the dialog.

XML becomes a DOM `Document`. As an extension, JSON becomes the value that it is. Who may read XML
is said by the `access-control` processing instruction in it (appendix E of 2.1): hosts, with `*`
for any beginning. Data that says nothing may be read by all, as the server fetches for its own
applications.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lxml import etree

from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import Resource, resolve_uri
from vxml_server.interpreter import dom
from vxml_server.interpreter.document import Document, Element
from vxml_server.interpreter.properties import Properties, fetch_request
from vxml_server.interpreter.submission import with_fields
from vxml_server.interpreter.waiting import waiting_for

if TYPE_CHECKING:
    from vxml_server.interpreter.context import ExecutionContext

_PSEUDO_ATTRIBUTE = re.compile(r"""(allow|deny)\s*=\s*(?:"([^"]*)"|'([^']*)')""")


async def run_data(
    element: Element,
    context: ExecutionContext,
    document: Document,
    properties: Properties,
    base: str = "",
) -> None:
    """Fetches, and declares the variable in the innermost scope, if the element has a name.

    Without one the answer is not looked at. Raises `error.badfetch` for what is neither XML nor
    JSON, `error.noauthorization` for XML that is not for this document's host.
    """
    scopes, session = context.scopes, context.session
    uri = element.get("src")
    if "srcexpr" in element.attributes:
        uri = scopes.text(element.get("srcexpr"))
    target = resolve_uri(base or element.base, uri)
    names = element.get("namelist").split()
    request = fetch_request(element, properties, "data", target, base=document.uri)
    request = with_fields(request, element, names, scopes, session.recordings)
    waiting = waiting_for(element, properties, document.uri, base)
    resource = await context.fetch(request, waiting)
    if name := element.get("name"):
        value = _value(resource, document, context)
        scopes.declare(name, None)
        scopes.engine.set(scopes.innermost, name, value)


def _value(resource: Resource, document: Document, context: ExecutionContext) -> Any:
    """What the variable is given."""
    engine = context.scopes.engine
    try:
        if resource.media_type.endswith(("/json", "+json")):
            return engine.from_json(_json(resource))
        tree = dom.parse_xml(resource.body, resource.uri)
        _authorize(tree, resource.uri, document.uri)
        return dom.expose(tree, engine)
    except VoiceXmlEvent as event:
        if event.name != "error.semantic":
            raise
        message = f"{len(resource.body)} bytes of data are more than a script's memory takes"
        raise VoiceXmlEvent("error.badfetch", message, uri=resource.uri) from None


def _json(resource: Resource) -> object:
    try:
        return json.loads(resource.body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        message = f"not JSON: {error}"
        raise VoiceXmlEvent("error.badfetch", message, uri=resource.uri) from None


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


# Who may read it ---------------------------------------------------------------------------------


def _authorize(tree: etree._ElementTree, uri: str, reader: str) -> None:
    """Raises `error.noauthorization` if the document at `reader` may not read the data at `uri`."""
    rules = list(_rules(tree))
    host = (urlsplit(reader).hostname or "").lower()
    if rules and not _is_allowed(host, rules):
        message = f"{uri} may not be read by documents of {host or 'no host'}"
        raise VoiceXmlEvent("error.noauthorization", message)


def _rules(tree: etree._ElementTree) -> Iterator[tuple[str, str]]:
    """What the processing instructions before the root say: (allow or deny, host pattern)."""
    before, _ = dom.outside_root(tree)
    for node in before:
        if isinstance(node, etree._ProcessingInstruction) and node.target == "access-control":
            yield "deny", ""  # an instruction that allows nobody
            for kind, double, single in _PSEUDO_ATTRIBUTE.findall(node.text or ""):
                for pattern in (double or single).lower().split():
                    yield kind, pattern


def _is_allowed(host: str, rules: list[tuple[str, str]]) -> bool:
    """The longest pattern that fits decides; of two that are as long, the one that denies."""
    fitting = [
        (len(pattern), kind == "deny")
        for kind, pattern in rules
        if pattern == host
        or not pattern
        or (pattern.startswith("*") and host.endswith(pattern.removeprefix("*")))
    ]
    return not max(fitting, default=(0, True))[1]
