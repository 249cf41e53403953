"""The XML form of SRGS 1.0, read into a rule tree.

Strict about what the recommendation calls an error, with the line; lenient where VoiceXML hosts the
grammar, since an inline `<grammar>` takes language, version and namespace from its document: the
caller says so by giving a default language. Elements of other namespaces are passed over
(section 5.4). Untrusted: no entity is expanded, nothing is fetched, size and depth are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urljoin

from lxml import etree

from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar.rules import (
    RESERVED_NAMES,
    Document,
    Expansion,
    Mode,
    OneOf,
    Repeat,
    Rule,
    RuleRef,
    Sequence,
    Special,
    Tag,
    Token,
    bad_grammar,
    check_rules,
    split_reference,
)
from vxml_server.grammar.tokens import are_keys, fold, words

SRGS = "http://www.w3.org/2001/06/grammar"
VXML = "http://www.w3.org/2001/vxml"
XML = "http://www.w3.org/XML/1998/namespace"
_OURS = frozenset({SRGS, VXML, ""})

MAX_DEPTH = 120
MAX_REPEAT = 1_000_000

_REPEAT = re.compile(r"([0-9]{1,7})(?:(-)([0-9]{1,7})?)?")
_NUMBER = re.compile(r"\d+(?:\.\d*)?|\.\d+")
_LANG = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*")
_TOKENS = re.compile(r'"([^"]*)"|([^\s"]+)')
_OTHER_SYNTAX = re.compile(r"[\[\](){}<>|;=$]")


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds where a grammar does not say. A `lang` means that VoiceXML hosts the grammar."""

    mode: Mode | None = None
    lang: str = ""
    line_offset: int = 0

    @property
    def hosted(self) -> bool:
        return bool(self.lang)


def parse_xml(root: etree._Element, uri: str, defaults: Defaults) -> Document:
    """The rule tree of a grammar document or of an inline `<grammar>` element.

    Raises `error.badfetch`, and `error.unsupported.format` for an element whose content is a
    grammar of another form.
    """
    return _Reader(uri, defaults).document(root)


def inline_text(root: etree._Element) -> str:
    """The text of a `<grammar>` that holds no element; else ""."""
    return "" if len(root) else (root.text or "").strip()


def repeat_counts(written: str) -> tuple[int, int | None] | None:
    """What `n`, `m-n` or `m-` means; None for anything else."""
    found = _REPEAT.fullmatch(written)
    if found is None:
        return None
    minimum = int(found[1])
    maximum = int(found[3]) if found[3] is not None else None if found[2] else minimum
    if max(minimum, maximum or 0) > MAX_REPEAT or (maximum is not None and maximum < minimum):
        return None
    return minimum, maximum


def parse_element(source: bytes, uri: str, line_offset: int) -> etree._Element:
    """The root element of a document; `error.badfetch` when it is not well-formed or not safe."""
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(source, parser)
    except etree.XMLSyntaxError as error:
        line = (error.lineno or 0) + line_offset
        raise bad_grammar(f"not well-formed XML: {error.msg}", uri, line) from None
    except (ValueError, LookupError) as error:
        raise bad_grammar(f"not XML: {error}", uri, line_offset) from None
    subset = root.getroottree().docinfo.internalDTD
    if subset is not None and next(iter(subset.iterentities()), None) is not None:
        raise bad_grammar("a grammar may not declare entities", uri, 1 + line_offset)
    return root


class _Reader:
    def __init__(self, uri: str, defaults: Defaults) -> None:
        self.uri = uri
        self.defaults = defaults
        self.base = uri
        self.base_written = ""
        self.mode: Mode = "voice"

    def fail(self, element: etree._Element, message: str) -> VoiceXmlEvent:
        return bad_grammar(message, self.uri, self.line(element))

    def line(self, element: etree._Element) -> int:
        return (element.sourceline or 0) + self.defaults.line_offset

    # The document ------------------------------------------------------------------------------

    def document(self, root: etree._Element) -> Document:
        namespace, name = _name(root)
        if name != "grammar" or namespace not in _OURS:
            raise self.fail(root, f"the root element is <{name}>, not <grammar>")
        self.header(root, namespace)
        rules: dict[str, Rule] = {}
        tags = []
        for child in root:
            kind = self.kind(child)
            match kind:
                case "rule":
                    rule = self.rule(child)
                    if rule.name in rules:
                        raise self.fail(child, f"the rule {rule.name!r} is defined twice")
                    rules[rule.name] = rule
                case "tag":
                    tags.append(self.tag(child))
                case "meta" | "metadata" | "lexicon" | "":
                    pass
                case _:
                    raise self.fail(child, f"<{kind}> may not stand here")
        if not rules:
            rules = self.bare_text(root)
        return check_rules(
            Document(
                uri=self.uri,
                mode=self.mode,
                lang=root.get(f"{{{XML}}}lang", "") or self.defaults.lang,
                root=root.get("root", "").strip(),
                rules=rules,
                tag_format=root.get("tag-format", "").strip(),
                tags=tuple(tags),
                scope=root.get("scope", "").strip(),
                line=self.line(root),
            )
        )

    def header(self, root: etree._Element, namespace: str) -> None:
        """Checks the attributes of `<grammar>`, and takes the mode and base from them."""
        hosted = self.defaults.hosted
        version = root.get("version")
        if version != "1.0" and not (version is None and (hosted or namespace != SRGS)):
            raise self.fail(root, f"the version is {version!r}, not '1.0'")
        match root.get("mode", self.defaults.mode or "voice"):
            case "voice":
                self.mode = "voice"
            case "dtmf":
                self.mode = "dtmf"
            case other:
                raise self.fail(root, f"the mode is {other!r}, not 'voice' or 'dtmf'")
        lang = root.get(f"{{{XML}}}lang", "")
        if self.mode == "voice" and not (lang or hosted):
            raise self.fail(root, "a grammar for voice must declare its language (xml:lang)")
        self.check_lang(root)
        written = root.get(f"{{{XML}}}base", "").strip()
        self.base_written = written[: written.rfind("/") + 1]
        self.base = self.join(root, written)

    def bare_text(self, root: etree._Element) -> dict[str, Rule]:
        """The one rule of an inline grammar that is nothing but words or keys."""
        text = root.text or ""
        if len(root) or not text.strip():
            return {}
        if _OTHER_SYNTAX.search(text):
            message = "the content of <grammar> is in no format known here"
            raise VoiceXmlEvent(
                "error.unsupported.format", message, uri=self.uri, line=self.line(root)
            )
        name = root.get("root", "").strip() or "grammar"
        body = _sequence(list(self.tokens(root, text)))
        return {name: Rule(name, body, public=True, line=self.line(root))}

    # Rules and their expansions ----------------------------------------------------------------

    def kind(self, element: etree._Element) -> str:
        """The local name of an element of ours, "" for one to be passed over."""
        if not isinstance(element.tag, str):
            raise self.fail(element, "entities are not expanded in grammars")
        namespace, name = _name(element)
        return name if namespace in _OURS else ""

    def rule(self, element: etree._Element) -> Rule:
        name = element.get("id", "").strip()
        if not name:
            raise self.fail(element, "a rule must have an id")
        scope = element.get("scope", "private").strip()
        if scope not in {"public", "private"}:
            raise self.fail(element, f"the scope is {scope!r}, not 'public' or 'private'")
        body = self.content(element, 0, examples=True)
        return Rule(name, body, public=scope == "public", line=self.line(element))

    def content(self, element: etree._Element, depth: int, *, examples: bool = False) -> Expansion:
        """What stands inside a rule or an item: a sequence."""
        if depth > MAX_DEPTH:
            raise self.fail(element, "the grammar is nested too deeply")
        parts: list[Expansion] = list(self.tokens(element, element.text))
        for child in element:
            kind = self.kind(child)
            match kind:
                case "item":
                    parts.append(self.item(child, depth))
                case "one-of":
                    parts.append(self.one_of(child, depth))
                case "ruleref":
                    parts.append(self.ruleref(child))
                case "token":
                    parts.append(self.token(child))
                case "tag":
                    parts.append(self.tag(child))
                case "example" if examples:
                    pass
                case "":
                    pass
                case _:
                    raise self.fail(child, f"<{kind}> may not stand here")
            parts.extend(self.tokens(child, child.tail))
        return _sequence(parts)

    def item(self, element: etree._Element, depth: int) -> Expansion:
        self.check_lang(element)
        self.check_number(element, "weight")
        probability = self.check_number(element, "repeat-prob")
        if probability > 1:
            raise self.fail(element, "a repeat-prob may not exceed 1")
        body = self.content(element, depth + 1)
        # The grammars of 2000 put the tag into an attribute.
        if (text := element.get("tag")) is not None:
            body = _sequence([body, Tag(text, self.line(element))])
        repeat = element.get("repeat")
        if repeat is None:
            return body
        minimum, maximum = self.counts(element, repeat.strip())
        return Repeat(body, minimum, maximum)

    def counts(self, element: etree._Element, written: str) -> tuple[int, int | None]:
        counts = repeat_counts(written)
        if counts is None:
            raise self.fail(element, f"{written!r} is not a repeat")
        return counts

    def one_of(self, element: etree._Element, depth: int) -> Expansion:
        self.check_lang(element)
        self.no_text(element, element.text)
        alternatives = []
        for child in element:
            self.no_text(element, child.tail)
            match self.kind(child):
                case "item":
                    alternatives.append(self.item(child, depth + 1))
                case "":
                    pass
                case other:
                    raise self.fail(child, f"<{other}> may not stand in <one-of>")
        if not alternatives:
            raise self.fail(element, "<one-of> must have an <item>")
        return OneOf(tuple(alternatives))

    def no_text(self, element: etree._Element, text: str | None) -> None:
        if text and text.strip():
            raise self.fail(element, "text may not stand directly in <one-of>")

    def token(self, element: etree._Element) -> Expansion:
        self.check_lang(element)
        if len(element):
            raise self.fail(element, "<token> holds only text")
        return _sequence(list(self.checked(element, [fold(element.text or "").strip('"')])))

    def tag(self, element: etree._Element) -> Tag:
        if len(element):
            raise self.fail(element, "<tag> holds only text")
        return Tag(element.text or "", self.line(element))

    def ruleref(self, element: etree._Element) -> Expansion:
        self.check_lang(element)
        uri, special = element.get("uri"), element.get("special")
        if (uri is None) == (special is None):
            raise self.fail(element, "<ruleref> must have either a uri or a special")
        if special is not None:
            if special not in RESERVED_NAMES:
                raise self.fail(element, f"there is no special rule {special!r}")
            return Special[special]
        written = (uri or "").strip()
        place, name = split_reference(written)
        if not written or (written.endswith("#") and not place):
            raise self.fail(element, "<ruleref> refers to nothing")
        if not place:
            return RuleRef("", name, f"${name}", self.line(element))
        target = self.join(element, place)
        shown = (
            written if re.match(r"[A-Za-z][\w+.-]*:|/", written) else self.base_written + written
        )
        return RuleRef(target, name, f"$<{shown}>", self.line(element))

    # Text and attributes -----------------------------------------------------------------------

    def tokens(self, element: etree._Element, text: str | None) -> Iterator[Expansion]:
        """The tokens of character data: words, or several words in double quotes."""
        if not text or not text.strip():
            return
        if text.count('"') % 2:
            raise self.fail(element, "a double quote is not closed")
        yield from self.checked(element, (fold(m[1] or m[2] or "") for m in _TOKENS.finditer(text)))

    def checked(self, element: etree._Element, texts: Iterator[str] | list[str]) -> Iterator[Token]:
        for text in texts:
            if self.mode == "dtmf" and not are_keys(text):
                raise self.fail(element, f"{text!r} is not a key")
            if self.mode == "dtmf":
                yield from (Token(key) for key, _ in words(text, "dtmf"))
            elif text:
                yield Token(text)

    def join(self, element: etree._Element, reference: str) -> str:
        try:
            return urljoin(self.base, reference)
        except ValueError:
            raise self.fail(element, f"{reference!r} is not a URI") from None

    def check_lang(self, element: etree._Element) -> None:
        lang = element.get(f"{{{XML}}}lang")
        if lang is not None and not _LANG.fullmatch(lang):
            raise self.fail(element, f"{lang!r} is not a language")

    def check_number(self, element: etree._Element, name: str) -> float:
        written = element.get(name, "0").strip()
        if not _NUMBER.fullmatch(written):
            raise self.fail(element, f"the {name} is {written!r}, not a number")
        return float(written)


def _name(element: etree._Element) -> tuple[str, str]:
    qualified = etree.QName(element)
    return qualified.namespace or "", qualified.localname


def _sequence(parts: list[Expansion]) -> Expansion:
    return parts[0] if len(parts) == 1 else Sequence(tuple(parts))
