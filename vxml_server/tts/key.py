"""What makes two requests the same prompt: a key of their content, for caches.

Documents that differ in comments, in the order of attributes or in how white space is laid out
sound the same, so they have the same key. The rule: two requests of one key sound alike; the other
way round is only thrift.
"""

from __future__ import annotations

import re
from hashlib import sha256

from lxml import etree

from vxml_server.markup import xml_parser
from vxml_server.tts.speech import RATE, SpeechRequest

MAX_BYTES = 262_144  # of a document that is put into its normal form
_SPACE = re.compile(r"[ \t\r\n]+")


def key_of(request: SpeechRequest, identity: str) -> str:
    """64 hexadecimal digits, for a request to the engine of that identity."""
    parts = (
        identity,
        str(RATE),
        request.lang.lower(),
        request.voice or "",
        request.gender or "",
        " ".join(lexicon.digest for lexicon in request.lexicons),
        normal_form(request.ssml),
    )
    # With their lengths, so that what ends one part cannot begin the next.
    written = "".join(f"{len(part)}:{part}" for part in parts)
    return sha256(written.encode("utf-8", "replace")).hexdigest()


def normal_form(ssml: str) -> str:
    """The document in canonical XML, without comments, white space folded.

    What is not well-formed stays as it is: the engine will say so.
    """
    data = ssml.encode("utf-8", "replace")
    if len(data) > MAX_BYTES:
        return ssml
    parser = xml_parser(encoding="utf-8", remove_comments=True, remove_pis=True)
    try:
        root = etree.fromstring(data.strip(), parser)
    except (etree.XMLSyntaxError, ValueError):
        return ssml
    for element in root.iter():
        element.text = _SPACE.sub(" ", element.text or "")
        element.tail = _SPACE.sub(" ", element.tail or "")
    return etree.tostring(root, method="c14n", exclusive=True).decode()
