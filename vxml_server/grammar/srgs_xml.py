"""The XML form of SRGS 1.0, read into a rule tree.

Strict about what the recommendation calls an error, with the place; lenient where VoiceXML hosts
the grammar, since an inline `<grammar>` takes language, version and namespace from its document:
the caller says so by giving a default language. Elements of other namespaces are passed over
(section 5.4), but for one that is called `optional`: what is in it may be said or left out, as in
the recommendation's own tests. Size and depth are bounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urljoin

from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar.elements import BASE, LANG, Element
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
    attach,
    bad_grammar,
    finished,
    split_reference,
)
from vxml_server.grammar.tokens import are_keys, fold, words

SRGS = "http://www.w3.org/2001/06/grammar"
VXML = "http://www.w3.org/2001/vxml"
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


def parse_xml(root: Element, uri: str, defaults: Defaults) -> Document:
    """The rule tree of a grammar document or of an inline `<grammar>` element.

    Raises `error.badfetch`, and `error.unsupported.format` for an element whose content is a
    grammar of another form.
    """
    return _Reader(uri, defaults).document(root)


def inline_text(root: Element) -> str:
    """The text of a `<grammar>` that holds no element; else ""."""
    return "" if len(root) else root.text.strip()


def is_lang(written: str) -> bool:
    """Whether `written` is a language identifier (RFC 3066)."""
    return _LANG.fullmatch(written) is not None


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


class _Reader:
    def __init__(self, uri: str, defaults: Defaults) -> None:
        self.uri = uri
        self.defaults = defaults
        self.base = uri
        self.base_written = ""
        self.mode: Mode = "voice"

    def fail(self, element: Element, message: str) -> VoiceXmlEvent:
        return bad_grammar(message, self.uri, *element.place)

    # The document ------------------------------------------------------------------------------

    def document(self, root: Element) -> Document:
        if root.name != "grammar" or root.namespace not in _OURS:
            name = f"<{root.name}> of the namespace {root.namespace!r}"
            raise self.fail(root, f"the root element is {name}, not a <grammar>")
        self.header(root)
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
                case "meta" | "lexicon":
                    self.described(child, kind)
                case "metadata" | "":
                    pass
                case _:
                    raise self.fail(child, f"<{kind}> may not stand here")
            self.no_text(child, child.tail)
        if len(root):
            self.no_text(root, root.text)
        if not rules:
            rules = self.bare_text(root)
        return finished(
            Document(
                uri=self.uri,
                mode=self.mode,
                lang=root.get(LANG) or self.defaults.lang,
                root=root.get("root").strip(),
                rules=rules,
                tag_format=root.get("tag-format").strip(),
                tags=tuple(tags),
                scope=root.get("scope").strip(),
                line=root.place.line,
                column=root.place.column,
            )
        )

    def header(self, root: Element) -> None:
        """Checks the attributes of `<grammar>`, and takes the mode and base from them."""
        hosted = self.defaults.hosted
        version = root.attributes.get("version")
        if version != "1.0" and not (version is None and (hosted or root.namespace != SRGS)):
            raise self.fail(root, f"the version is {version!r}, not '1.0'")
        match root.get("mode", self.defaults.mode or "voice"):
            case "voice":
                self.mode = "voice"
            case "dtmf":
                self.mode = "dtmf"
            case other:
                raise self.fail(root, f"the mode is {other!r}, not 'voice' or 'dtmf'")
        if self.mode == "voice" and not (root.get(LANG) or hosted):
            raise self.fail(root, "a grammar for voice must declare its language (xml:lang)")
        if root.get(LANG):
            self.lang(root)
        written = root.get(BASE).strip()
        self.base_written = written[: written.rfind("/") + 1]
        self.base = self.join(root, written)

    def described(self, element: Element, kind: str) -> None:
        """Checks a `<meta>` or `<lexicon>`; what they say is not used (sections 4.9 and 4.11)."""
        self.empty(element)
        needed = {"lexicon": ("uri",), "meta": ("content",)}[kind]
        for name in needed:
            if name not in element.attributes:
                raise self.fail(element, f"<{kind}> must have a {name}")
        if kind == "meta" and ("name" in element.attributes) == (
            "http-equiv" in element.attributes
        ):
            raise self.fail(element, "<meta> must have either a name or an http-equiv")
        if kind == "lexicon":
            self.join(element, element.get("uri"))

    def empty(self, element: Element) -> None:
        if len(element) or element.text.strip():
            raise self.fail(element, f"<{element.name}> must be empty")

    def bare_text(self, root: Element) -> dict[str, Rule]:
        """The one rule of an inline grammar that is nothing but words or keys."""
        text = root.text
        if len(root) or not text.strip():
            return {}
        if _OTHER_SYNTAX.search(text):
            message = "the content of <grammar> is in no format known here"
            line, column = root.place
            raise VoiceXmlEvent(
                "error.unsupported.format", message, uri=self.uri, line=line, column=column
            )
        name = root.get("root").strip() or "grammar"
        body = _sequence(list(self.tokens(root, text)))
        return {name: Rule(name, body, True, *root.place)}

    # Rules and their expansions ----------------------------------------------------------------

    def kind(self, element: Element) -> str:
        """The local name of an element of ours, "" for one to be passed over."""
        return element.name if element.namespace in _OURS else ""

    def rule(self, element: Element) -> Rule:
        name = element.get("id").strip()
        if not name:
            raise self.fail(element, "a rule must have an id")
        scope = element.get("scope", "private").strip()
        if scope not in {"public", "private"}:
            raise self.fail(element, f"the scope is {scope!r}, not 'public' or 'private'")
        body = self.content(element, 0, examples=True)
        return Rule(name, body, scope == "public", *element.place)

    def content(self, element: Element, depth: int, *, examples: bool = False) -> Expansion:
        """What stands inside a rule or an item: a sequence."""
        if depth > MAX_DEPTH:
            raise self.fail(element, "the grammar is nested too deeply")
        parts: list[Expansion] = self.tokens(element, element.text)
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
                case "" if child.name == "optional":
                    parts.append(Repeat(self.content(child, depth + 1), 0, 1))
                case "":
                    pass
                case _:
                    raise self.fail(child, f"<{kind}> may not stand here")
            parts.extend(self.tokens(child, child.tail))
        return _sequence(parts)

    def item(self, element: Element, depth: int) -> Expansion:
        self.number(element, "weight")
        probability = self.number(element, "repeat-prob")
        if probability is not None and probability > 1:
            raise self.fail(element, "a repeat-prob may not exceed 1")
        body = self.content(element, depth + 1)
        # The grammars of 2000 put the tag into an attribute.
        if (text := element.attributes.get("tag")) is not None:
            body = _sequence([body, Tag(text, *element.place)])
        if LANG in element.attributes:
            body = attach(body, self.lang(element))
        repeat = element.attributes.get("repeat")
        if repeat is None:
            return body
        minimum, maximum = self.counts(element, repeat.strip())
        return Repeat(body, minimum, maximum, probability)

    def counts(self, element: Element, written: str) -> tuple[int, int | None]:
        counts = repeat_counts(written)
        if counts is None:
            raise self.fail(element, f"{written!r} is not a repeat")
        return counts

    def one_of(self, element: Element, depth: int) -> Expansion:
        self.no_text(element, element.text)
        alternatives = []
        weights: list[float] = []
        for child in element:
            self.no_text(child, child.tail)
            match self.kind(child):
                case "item":
                    weight = self.number(child, "weight")
                    weights.append(1.0 if weight is None else weight)
                    alternatives.append(self.item(child, depth + 1))
                case "":
                    pass
                case other:
                    raise self.fail(child, f"<{other}> may not stand in <one-of>")
        if not alternatives:
            raise self.fail(element, "<one-of> must have an <item>")
        made = OneOf.weighted(alternatives, weights)
        return attach(made, self.lang(element)) if LANG in element.attributes else made

    def no_text(self, element: Element, text: str) -> None:
        if text and not text.isspace():
            raise self.fail(element, f"text may not stand here: {text.strip()[:40]!r}")

    def token(self, element: Element) -> Expansion:
        if len(element):
            raise self.fail(element, "<token> holds only text")
        made = _sequence(self.checked(element, [fold(element.text).strip('"')]))
        return attach(made, self.lang(element)) if LANG in element.attributes else made

    def tag(self, element: Element) -> Tag:
        if len(element):
            raise self.fail(element, "<tag> holds only text")
        return Tag(element.text, *element.place)

    def ruleref(self, element: Element) -> Expansion:
        lang = self.lang(element) if LANG in element.attributes else ""
        self.empty(element)
        uri, special = element.attributes.get("uri"), element.attributes.get("special")
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
            return RuleRef("", name, f"${name}", *element.place)
        target = self.join(element, place)
        shown = (
            written if re.match(r"[A-Za-z][\w+.-]*:|/", written) else self.base_written + written
        )
        return RuleRef(target, name, f"$<{shown}>", *element.place, lang, element.get("type"))

    # Text and attributes -----------------------------------------------------------------------

    def tokens(self, element: Element, text: str) -> list[Expansion]:
        """The tokens of character data: words, or several words in double quotes."""
        if not text or text.isspace():
            return []
        if self.mode == "voice" and '"' not in text:
            return [Token(word) for word in text.split()]
        if text.count('"') % 2:
            raise self.fail(element, "a double quote is not closed")
        return self.checked(element, [fold(m[1] or m[2] or "") for m in _TOKENS.finditer(text)])

    def checked(self, element: Element, texts: list[str]) -> list[Expansion]:
        if self.mode == "voice":
            return [Token(text) for text in texts if text]
        if wrong := [text for text in texts if not are_keys(text)]:
            raise self.fail(element, f"{wrong[0]!r} is not a key")
        return [Token(key) for text in texts for key, _ in words(text, "dtmf")]

    def join(self, element: Element, reference: str) -> str:
        try:
            return urljoin(self.base, reference)
        except ValueError:
            raise self.fail(element, f"{reference!r} is not a URI") from None

    def lang(self, element: Element) -> str:
        lang = element.get(LANG)
        if not is_lang(lang):
            raise self.fail(element, f"{lang!r} is not a language")
        return lang

    def number(self, element: Element, name: str) -> float | None:
        written = element.attributes.get(name)
        if written is None:
            return None
        if not _NUMBER.fullmatch(written.strip()):
            raise self.fail(element, f"the {name} is {written!r}, not a number")
        return float(written)


def _sequence(parts: list[Expansion]) -> Expansion:
    return parts[0] if len(parts) == 1 else Sequence(tuple(parts))
