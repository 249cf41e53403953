"""What makes two requests the same prompt: a key of their content, for caches.

Documents that differ in comments, in the order of attributes or in how white space is laid out
sound the same, so they have the same key. The rule: two requests of one key sound alike; the other
way round is only thrift. What a document's numbers and signs are called is the server's own doing,
so its version is part of the key, and of the operator's voices those of the document's languages.
"""

from __future__ import annotations

import re
from hashlib import sha256

from lxml import etree

from vxml_server import __version__
from vxml_server.markup import xml_parser
from vxml_server.tts.speech import RATE, SpeechRequest

MAX_BYTES = 262_144  # of a document that is put into its normal form
XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_SPACE = re.compile(r"[ \t\r\n]+")


def key_of(request: SpeechRequest, identity: str) -> str:
    """64 hexadecimal digits, for a request to the engine of that identity."""
    document, langs = _normal_form(request.ssml)
    voices = {lang: request.operators_voice(lang) for lang in {request.lang.lower(), *langs}}
    parts = (
        __version__,
        identity,
        str(RATE),
        request.lang.lower(),
        request.voice or "",
        request.gender or "",
        " ".join(f"{lang}={voice}" for lang, voice in sorted(voices.items()) if voice),
        " ".join(lexicon.digest for lexicon in request.lexicons),
        document,
    )
    # With their lengths, so that what ends one part cannot begin the next.
    written = "".join(f"{len(part)}:{part}" for part in parts)
    return sha256(written.encode("utf-8", "replace")).hexdigest()


def _normal_form(ssml: str) -> tuple[str, set[str]]:
    """The document in canonical XML, without comments, white space folded; and its languages.

    What is not well-formed stays as it is: the engine will say so. So does what has no canonical
    form: references to entities, namespaces without a scheme.
    """
    data = ssml.encode("utf-8", "replace")
    if len(data) > MAX_BYTES:
        return ssml, set()
    parser = xml_parser(encoding="utf-8", remove_comments=True, remove_pis=True)
    try:
        root = etree.fromstring(data.strip(), parser)
    except (etree.XMLSyntaxError, ValueError):
        return ssml, set()
    langs = set()
    for element in root.iter(etree.Element):
        element.text = _SPACE.sub(" ", element.text or "")
        element.tail = _SPACE.sub(" ", element.tail or "")
        langs.add((element.get(XML_LANG) or "").strip().lower())
    try:
        return etree.tostring(root, method="c14n", exclusive=True).decode(), langs
    except (etree.LxmlError, ValueError):
        return ssml, langs
