"""What the caller hears while a document is fetched: `fetchaudio`, section 6.1.5 of VoiceXML 2.0.

Before it what is queued is played to its end (section 4.1.8); it begins `fetchaudiodelay` after
that if the document is still not there, and once begun lasts for `fetchaudiominimum`.
"""

from __future__ import annotations

from vxml_server.fetch import resolve_uri
from vxml_server.interpreter.document import Element
from vxml_server.interpreter.platform import AudioSegment, Waiting
from vxml_server.interpreter.properties import Properties, fetch_request


def waiting_for(
    element: Element, properties: Properties, document_uri: str, base: str = ""
) -> Waiting | None:
    """The audio that an element, or the property, wants for its fetch; None for none.

    An attribute's reference is relative to the element, a property's to the document.
    """
    uri = element.get("fetchaudio")
    if not uri and not (uri := properties.get("fetchaudio").strip()):
        return None
    if "fetchaudio" in element.attributes:
        target = resolve_uri(base or element.base, uri)
    else:
        target = resolve_uri(document_uri, uri)
    # The attributes of the element are those of the document it fetches, not of the audio.
    plain = Element("(fetchaudio)", {}, (), element.line, "", element.base)
    request = fetch_request(plain, properties, "audio", target, base=document_uri)
    return Waiting(
        AudioSegment(request, line=element.line),
        delay=properties.time("fetchaudiodelay"),
        minimum=properties.time("fetchaudiominimum"),
    )
