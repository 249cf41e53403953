"""Reading a grammar and everything it refers to.

One generator does the work and yields each URI that it wants; `load` and `load_async` only differ
in how they get what is there. Documents may refer to each other in circles: each is read once.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Generator
from pathlib import Path
from urllib.request import url2pathname

from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar.abnf import is_abnf, parse_abnf, parse_abnf_text
from vxml_server.grammar.builtins import builtin_document, is_builtin
from vxml_server.grammar.elements import LANG, Element, parse_elements
from vxml_server.grammar.grammar import Grammar, compile_grammar
from vxml_server.grammar.gsl import is_gsl, parse_gsl, parse_gsl_text
from vxml_server.grammar.jsgf import is_jsgf, parse_jsgf, parse_jsgf_text
from vxml_server.grammar.rules import (
    Document,
    Mode,
    RuleRef,
    bad_grammar,
    rule_refs,
    split_reference,
)
from vxml_server.grammar.source import Place, Text, wide_encoding
from vxml_server.grammar.srgs_xml import Defaults, inline_text, parse_xml

MAX_BYTES = 8 * 1024 * 1024
"""The largest grammar document that is read."""
MAX_BYTES_ON_LOOP = 32 * 1024
"""The largest grammar that is compiled on the event loop: some 20 ms."""
MAX_DOCUMENTS = 200
"""The most documents that one grammar may be made of."""

_XML_TYPES = frozenset({"application/srgs+xml", "application/grammar+xml"})
_ABNF_TYPES = frozenset({"application/srgs", "application/grammar"})
_JSGF_TYPES = frozenset({"application/x-jsgf", "application/jsgf", "text/jsgf", "text/x-jsgf"})
_GSL_TYPES = frozenset({"application/x-nuance-gsl", "application/x-gsl", "text/gsl", "text/x-gsl"})
# What servers say when they do not know; the content is looked at instead.
_VAGUE_TYPES = frozenset(
    {"", "text/xml", "application/xml", "text/plain", "text/html", "application/octet-stream"}
)
_KNOWN_TYPES = _XML_TYPES | _ABNF_TYPES | _JSGF_TYPES | _GSL_TYPES | _VAGUE_TYPES


def load(
    source: str | bytes,
    *,
    base_uri: str = "",
    media_type: str = "",
    read: Callable[[str], bytes] | None = None,
    mode: Mode | None = None,
    lang: str = "",
    rule: str = "",
    line_offset: int = 0,
) -> Grammar:
    """The grammar at a URI or path (a `str`), or in `bytes` that were found at `base_uri`.

    External rule references are read through `read` (absolute URI -> bytes; default: local files
    only). `media_type` is the declared type, "" to look at the content. `mode` and `lang` are what
    holds where the grammar does not say (VoiceXML gives both to an inline grammar); without a
    `lang` a voice grammar must declare its own. `rule` picks a rule other than the root, as does
    the fragment of a `str` source. `line_offset` is added to lines in errors: the number of lines
    of the document before an inline grammar. An inline `<grammar>` may be in the SRGS, the
    VoiceXML or no namespace, and may lack version and root.

    Raises `VoiceXmlEvent`: `error.badfetch` for a grammar that is wrong or refers to one that
    cannot be had, `error.unsupported.format` for a format not known here,
    `error.unsupported.builtin` for an unknown `builtin:` reference.
    """
    read = read or read_local_file
    defaults = Defaults(mode, lang, line_offset)
    step = _go_on(_loading(source, base_uri, media_type, defaults, rule))
    found = step(None)
    while isinstance(found, str):
        found = step(read(found))
    return found


async def load_async(
    source: str | bytes,
    *,
    fetch: Callable[[str], Awaitable[bytes]],
    base_uri: str = "",
    media_type: str = "",
    mode: Mode | None = None,
    lang: str = "",
    rule: str = "",
    line_offset: int = 0,
) -> Grammar:
    """`load` for the event loop: what is wanted comes through `fetch`, an absolute URI at a time.

    What `fetch` raises as a `VoiceXmlEvent` is passed on unchanged. A large grammar is compiled in
    a thread, so that the loop goes on meanwhile.
    """
    defaults = Defaults(mode, lang, line_offset)
    step = _go_on(_loading(source, base_uri, media_type, defaults, rule))
    size = len(source) if isinstance(source, bytes) else 0
    content: bytes | None = None
    while True:
        in_thread = size > MAX_BYTES_ON_LOOP
        found = await asyncio.to_thread(step, content) if in_thread else step(content)
        if not isinstance(found, str):
            return found
        content = await fetch(found)
        size += len(content)


def _go_on(work: Generator[str, bytes, Grammar]) -> Callable[[bytes | None], str | Grammar]:
    """What takes the content that `work` wanted, at first None, and gives the URI that it wants
    next or its grammar."""

    def step(content: bytes | None) -> str | Grammar:
        try:
            return next(work) if content is None else work.send(content)
        except StopIteration as done:
            grammar: Grammar = done.value
            return grammar

    return step


def read_local_file(uri: str) -> bytes:
    """The content of a path or `file:` URI; `error.badfetch` for anything else."""
    scheme, colon, rest = uri.partition(":")
    path = uri
    if colon and len(scheme) > 1:  # one letter is a drive
        if scheme.lower() != "file" or not re.match(r"//(localhost)?/|/[^/]", rest):
            raise bad_grammar("only local files can be read here", uri)
        path = url2pathname(re.sub("^//(localhost)?", "", rest))
    try:
        with Path(path).open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a file name"
        raise bad_grammar(f"the grammar cannot be read: {reason}", uri) from None


def _loading(
    source: str | bytes, base_uri: str, media_type: str, defaults: Defaults, rule: str
) -> Generator[str, bytes, Grammar]:
    documents: dict[str, Document] = {}
    if isinstance(source, str):
        uri, fragment = split_reference(source)
        rule = rule or fragment
        main = yield from _document(uri, media_type, defaults, lang=defaults.lang)
        documents[uri] = main
    else:
        main = parse(source, base_uri, media_type, defaults)
    documents[""] = main
    # A grammar that is referred to stands for itself, wherever the first one was found.
    inherited = Defaults(main.mode, defaults.lang)
    todo = [(main, reference) for reference in _external(main)]
    for document, reference in todo:
        if reference.document not in documents:
            if len(documents) > MAX_DOCUMENTS:
                place = (reference.line, reference.column)
                raise bad_grammar("too many grammar documents", document.uri, *place)
            if (kind := _kind(reference.media_type)) not in _KNOWN_TYPES:
                message = f"grammars of type {kind} are not supported"
                raise unsupported(message, document.uri, Place(reference.line, reference.column))
            lang = reference.lang or document.lang
            if is_builtin(reference.uri):
                found = _builtin_for(document, reference, lang, inherited)
            else:
                found = yield from _document(reference.uri, "", inherited, lang=lang)
            documents[reference.document] = found
            todo.extend((found, further) for further in _external(found))
        _check_reference(document, reference, documents[reference.document])
    return _compile(main, documents, rule)


def _document(
    uri: str, media_type: str, defaults: Defaults, *, lang: str
) -> Generator[str, bytes, Document]:
    if is_builtin(uri):
        return builtin_document(uri, lang, defaults.mode)
    return parse((yield uri), uri, media_type, defaults)


def _builtin_for(document: Document, reference: RuleRef, lang: str, defaults: Defaults) -> Document:
    """The built-in grammar that a document refers to; whose mistake it is if there is none."""
    try:
        return builtin_document(reference.uri, lang, defaults.mode)
    except VoiceXmlEvent as event:
        line, column = reference.line, reference.column
        raise VoiceXmlEvent(
            event.name, event.message, uri=document.uri, line=line, column=column
        ) from None


def parse(source: bytes, uri: str, media_type: str, defaults: Defaults) -> Document:
    """The rule tree of one document, of the form that its type or its content says."""
    line = defaults.line_offset
    start = Place(1 + line, 1)
    if len(source) > MAX_BYTES:
        raise bad_grammar("the grammar is too large", uri, *start)
    kind = _kind(media_type)
    if kind not in _KNOWN_TYPES:
        raise unsupported(f"grammars of type {kind} are not supported", uri, start)
    if _looks_like_xml(source) and (kind not in _JSGF_TYPES or b"<grammar" in source[:1000]):
        root, text = parse_elements(source, uri, line)
        return _element(root, text, kind, uri, defaults)
    if kind in _XML_TYPES:
        raise bad_grammar("not well-formed XML: it does not begin with <", uri, *start)
    beginning = source[:200].decode(wide_encoding(source) or "latin-1", "replace").lstrip("\ufeff")
    if kind in _ABNF_TYPES or is_abnf(source):
        return parse_abnf(source, uri, defaults)
    if kind in _JSGF_TYPES or is_jsgf(beginning):
        return parse_jsgf(source, uri, defaults)
    if kind in _GSL_TYPES or is_gsl(source.decode("utf-8", "replace").strip()):
        return parse_gsl(source, uri, defaults)
    raise unsupported("the grammar is in no format known here", uri, start)


def _kind(media_type: str) -> str:
    return media_type.partition(";")[0].strip().lower()


def _element(root: Element, document: str, kind: str, uri: str, defaults: Defaults) -> Document:
    """The rule tree of a `<grammar>` element, which may hold the text of another form."""
    kind = _kind(root.get("type", kind))
    if kind not in _KNOWN_TYPES:
        raise unsupported(f"grammars of type {kind} are not supported", uri, root.place)
    inside = inline_text(root)
    read = _text_form(inside, kind)
    if read is None:
        return parse_xml(root, uri, defaults)
    # Where the text begins, for the places in it.
    at = document.find(inside.partition("\n")[0]) if inside else -1
    found = Text(document, Place(1 + defaults.line_offset, 1)).place(at) if at >= 0 else root.place
    mode = defaults.mode
    match root.get("mode"):
        case "":
            pass
        case "voice":
            mode = "voice"
        case "dtmf":
            mode = "dtmf"
        case other:
            message = f"the mode is {other!r}, not 'voice' or 'dtmf'"
            raise bad_grammar(message, uri, *root.place)
    lang = root.get(LANG) or defaults.lang
    return read(Text(inside, found), uri, Defaults(mode, lang, defaults.line_offset))


def _text_form(text: str, kind: str) -> Callable[[Text, str, Defaults], Document] | None:
    """What reads the text inside a `<grammar>`; None when it is the XML form, or mere words."""
    if kind in _ABNF_TYPES or is_abnf(text.encode()):
        return parse_abnf_text
    if kind in _JSGF_TYPES or is_jsgf(text):
        return parse_jsgf_text
    if kind in _GSL_TYPES or (text and kind not in _XML_TYPES and is_gsl(text)):
        return parse_gsl_text
    if kind not in _XML_TYPES and "|" in text:
        return parse_jsgf_text
    return None


def unsupported(message: str, uri: str, place: Place) -> VoiceXmlEvent:
    line, column = place
    return VoiceXmlEvent("error.unsupported.format", message, uri=uri, line=line, column=column)


def _looks_like_xml(source: bytes) -> bool:
    start = source[:200].lstrip(b"\xef\xbb\xbf\xfe\xff\x00 \t\r\n")
    return start.startswith(b"<")


def _external(document: Document) -> list[RuleRef]:
    return [
        reference
        for rule in document.rules.values()
        for reference in rule_refs(rule.expansion)
        if reference.uri
    ]


def _check_reference(document: Document, reference: RuleRef, target: Document) -> None:
    """Whether a document may refer to that rule of another (sections 2.2.2, 3.2 and 4.6)."""

    def fail(message: str) -> VoiceXmlEvent:
        return bad_grammar(
            f"{reference.written}: {message}", document.uri, reference.line, reference.column
        )

    if target.mode != document.mode:
        raise fail(f"a grammar for {document.mode} refers to one for {target.mode}")
    if not reference.rule:
        if not target.root:
            raise fail("the grammar declares no root")
        return
    rule = target.rules.get(reference.rule)
    if rule is None:
        raise fail("the rule is not defined there")
    if not rule.public and target is not document and reference.rule != target.root:
        raise fail("the rule is private")


def _compile(main: Document, documents: dict[str, Document], rule: str) -> Grammar:
    root = rule or main.root
    if rule and rule not in main.rules:
        raise bad_grammar(f"the rule {rule!r} is not defined", main.uri, main.line, main.column)
    if rule and not main.rules[rule].public and rule != main.root:
        raise bad_grammar(f"the rule {rule!r} is private", main.uri, main.line, main.column)
    if not root and main.rules:
        public = [name for name, found in main.rules.items() if found.public]
        root = (public or list(main.rules))[0]
    return compile_grammar(main, documents, root)
