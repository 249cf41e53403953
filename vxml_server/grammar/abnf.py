"""The augmented BNF form of SRGS 1.0, read into a rule tree.

The form is read left to right without a separate list of tokens, since what `<` or `/` begins
depends on where it stands. Places in errors are those of the text.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import urljoin

from vxml_server.grammar.rules import (
    RESERVED_NAMES,
    Document,
    Expansion,
    Mode,
    Repeat,
    Rule,
    RuleRef,
    Sequence,
    Special,
    Tag,
    Token,
    attach,
    finished,
    split_reference,
)
from vxml_server.grammar.scanner import Scanner
from vxml_server.grammar.source import Place, Text, decode, wide_encoding
from vxml_server.grammar.srgs_xml import MAX_DEPTH, Defaults, is_lang, repeat_counts
from vxml_server.grammar.tokens import are_keys, fold, words

_DECLARED = re.compile(rb"(?:\xef\xbb\xbf)?#ABNF[ \t]+[\d.]+[ \t]+([\w.:-]+)")
_IDENTIFIER = re.compile(r"#ABNF[ \t]+(?P<version>[\d.]+)(?:[ \t]+(?P<encoding>[\w.:-]+))?[ \t]*;")
_BLANK = re.compile(r"(?:\s+|//[^\r\n]*|/\*.*?\*/)*", re.DOTALL)
_KEYWORD = re.compile(r"[a-z]+(?:-[a-z]+)?(?![\w-])")
_VALUE = re.compile(r"[^\s;]+")
_STRING = re.compile(r"\"([^\"]*)\"|'([^']*)'")
_ANGLE = re.compile(r"<([^<>]*)>")
_VARIABLE = re.compile(r"\$([^\W\d]\w*)")
_TAG = re.compile(r"\{!\{(.*?)\}!\}|\{(?!!\{)([^}]*)\}", re.DOTALL)
_QUOTED = re.compile(r'"([^"]*)"')
_WORD = re.compile(r"[^\s;=|*+<>()\[\]{}/!$\"~?]+")
_LANG = re.compile(r"!([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*)")
_COUNTS = re.compile(r"\s*([\d-]+)\s*(?:/\s*(0?\.\d+|0|1(?:\.0*)?|0\.)\s*/\s*)?")
_MEDIA_TYPE = re.compile(r"~\s*<([^<>]*)>")


def is_abnf(source: bytes) -> bool:
    """Whether a document begins as ABNF does (section 4.1)."""
    encoding = wide_encoding(source) or "latin-1"
    start = source[:64].decode(encoding, "replace")
    return start.removeprefix("\ufeff").startswith("#ABNF")


def parse_abnf(source: bytes, uri: str, defaults: Defaults) -> Document:
    """The rule tree of an ABNF grammar. Raises `error.badfetch`."""
    text = decode(source, _DECLARED, uri, defaults.line_offset)
    return parse_abnf_text(Text(text, Place(1 + defaults.line_offset, 1)), uri, defaults)


def parse_abnf_text(text: Text, uri: str, defaults: Defaults) -> Document:
    """The same for a text that stands somewhere in another document."""
    return _Reader(text, uri, defaults).document()


@lru_cache(maxsize=256)
def _keys(text: str) -> Expansion | None:
    """The keys of a token; None if it has anything else."""
    if not are_keys(text):
        return None
    tokens = tuple(Token(key) for key, _ in words(text, "dtmf"))
    return tokens[0] if len(tokens) == 1 else Sequence(tokens)


class _Reader(Scanner):
    def __init__(self, source: Text, uri: str, defaults: Defaults) -> None:
        super().__init__(source, uri, _BLANK)
        self.defaults = defaults
        self.mode: Mode = defaults.mode or "voice"
        self.base = uri
        self.base_written = ""
        self.root = self.lang = self.tag_format = ""
        self.tags: list[Tag] = []
        self.rules: dict[str, Rule] = {}
        self.seen: set[str] = set()

    # The document ------------------------------------------------------------------------------

    def document(self) -> Document:
        found = _IDENTIFIER.match(self.text)
        if found is None or found["version"] != "1.0":
            raise self.fail("the grammar does not begin with '#ABNF 1.0;'")
        self.at = found.end()
        if re.match(r"[ \t]*(?:\r|\n|$)", self.text[self.at :]) is None:
            raise self.fail("a new line must follow '#ABNF 1.0;'")
        while not self.at_end:
            self.statement()
        if self.mode == "voice" and not (self.lang or self.defaults.hosted):
            raise self.fail("a grammar for voice must declare its language", self.source.start)
        return finished(
            Document(
                uri=self.uri,
                mode=self.mode,
                lang=self.lang or self.defaults.lang,
                root=self.root,
                rules=self.rules,
                tag_format=self.tag_format,
                tags=tuple(self.tags),
                line=self.source.start.line,
                column=self.source.start.column,
            )
        )

    def statement(self) -> None:
        """A header declaration or a rule definition."""
        if self.text.startswith("$", self.at):
            self.rule(public=False)
        elif self.text.startswith("{", self.at):
            place = self.place
            self.tags.append(self.tag(self.need(_TAG, "a tag"), place))
            self.need_sign(";")
        else:
            keyword = self.need(_KEYWORD, "a declaration or a rule")[0]
            if keyword in {"public", "private"}:
                self.rule(public=keyword == "public")
            else:
                self.declaration(keyword)

    def declaration(self, keyword: str) -> None:
        if self.rules:
            raise self.wrong(f"{keyword!r} may not stand behind a rule")
        if keyword in self.seen - {"meta", "http-equiv", "lexicon"}:
            raise self.wrong(f"{keyword!r} is declared twice")
        self.seen.add(keyword)
        match keyword:
            case "language":
                self.lang = self.need(_VALUE, "a language")[0]
                if not is_lang(self.lang):
                    raise self.wrong(f"{self.lang!r} is not a language")
            case "mode":
                match self.need(_VALUE, "a mode")[0]:
                    case "voice":
                        self.mode = "voice"
                    case "dtmf":
                        self.mode = "dtmf"
                    case other:
                        raise self.wrong(f"the mode is {other!r}, not 'voice' or 'dtmf'")
            case "root":
                self.root = self.need(_VARIABLE, "a rule name")[1]
            case "tag-format":
                self.tag_format = self.need(_ANGLE, "a tag format")[1].strip()
            case "base":
                written = self.need(_ANGLE, "a URI")[1].strip()
                self.base = self.join(written, self.source.place(self.taken))
                self.base_written = written[: written.rfind("/") + 1]
            case "lexicon":
                self.need(_ANGLE, "a URI")
                self.take(_MEDIA_TYPE)
            case "meta" | "http-equiv":
                self.need(_STRING, "a name in quotes")
                if self.need(_KEYWORD, "'is'")[0] != "is":
                    raise self.wrong("'is' is missing")
                self.need(_STRING, "a content in quotes")
            case _:
                raise self.wrong(f"there is no declaration {keyword!r}")
        self.need_sign(";")

    def rule(self, *, public: bool) -> None:
        self.skip()
        place = self.place
        name = self.need(_VARIABLE, "a rule name")[1]
        if name in self.rules:
            raise self.fail(f"the rule {name!r} is defined twice", place)
        self.need_sign("=")
        body = self.alternatives(0)
        self.need_sign(";")
        self.rules[name] = Rule(name, body, public, *place)

    # Expansions --------------------------------------------------------------------------------

    def alternatives(self, depth: int) -> Expansion:
        if depth > MAX_DEPTH:
            raise self.fail("the grammar is nested too deeply")
        return self.between_bars(lambda: self.sequence(depth))

    def sequence(self, depth: int) -> Expansion:
        parts: list[Expansion] = []
        while (part := self.part(depth)) is not None:
            parts.append(part)
        if not parts:
            raise self.fail("an alternative is empty")
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def part(self, depth: int) -> Expansion | None:
        """One part of a sequence with what is attached to it; None where the sequence ends."""
        part = self.plain_part(depth)
        while part is not None:
            self.skip()
            # What is attached begins with one of two signs.
            if self.text.startswith("!", self.at):
                found = self.need(_LANG, "a language")
                part = attach(part, found[1])
            elif self.text.startswith("<", self.at):
                part = self.repeated(part)
            else:
                break
        return part

    def repeated(self, part: Expansion) -> Expansion:
        place = self.place
        angle = self.need(_ANGLE, "a repeat")
        found = _COUNTS.fullmatch(angle[1])
        counts = repeat_counts(found[1]) if found is not None else None
        if found is None or counts is None:
            raise self.fail(f"{angle[0]!r} is not a repeat", place)
        return Repeat(part, *counts, float(found[2]) if found[2] is not None else None)

    def plain_part(self, depth: int) -> Expansion | None:
        self.skip()
        # A word is what most grammars are made of, and begins with none of the signs below.
        if (found := _WORD.match(self.text, self.at)) is not None:
            return self.token(found)
        if self.sign("("):
            return self.group(")", depth)
        if self.sign("["):
            return Repeat(self.group("]", depth), 0, 1)
        place = self.place
        if (found := self.take(_TAG)) is not None:
            return self.tag(found, place)
        if self.sign("$"):
            return self.reference(place)
        if (found := _QUOTED.match(self.text, self.at)) is not None:
            return self.token(found)
        return None

    def group(self, close: str, depth: int) -> Expansion:
        if self.sign(close):
            return Special.NULL
        inner = self.alternatives(depth + 1)
        self.need_sign(close)
        return inner

    def tag(self, found: re.Match[str], place: Place) -> Tag:
        return Tag(found[1] if found[1] is not None else found[2], *place)

    def token(self, found: re.Match[str]) -> Expansion:
        text = fold(found[1]) if found.re is _QUOTED else found[0]
        if self.mode == "dtmf":
            keys = _keys(text)
            if keys is None:
                raise self.fail(f"{text!r} is not a key")
            self.at = found.end()
            return keys
        self.at = found.end()
        return Token(text)

    def reference(self, place: Place) -> Expansion:
        if (found := _ANGLE.match(self.text, self.at)) is None:
            self.at -= 1
            name = self.need(_VARIABLE, "a rule name")[1]
            if name in RESERVED_NAMES:
                return Special[name]
            return RuleRef("", name, f"${name}", *place)
        self.at = found.end()
        declared = self.take(_MEDIA_TYPE)
        media_type = declared[1] if declared is not None else ""
        written = found[1].strip()
        document, name = split_reference(written)
        if not document:
            raise self.fail("the reference refers to nothing", place)
        target = self.join(document, place)
        shown = (
            written if re.match(r"[A-Za-z][\w+.-]*:|/", written) else self.base_written + written
        )
        return RuleRef(target, name, f"$<{shown}>", *place, media_type=media_type)

    def join(self, reference: str, place: Place) -> str:
        try:
            return urljoin(self.base, reference)
        except ValueError:
            raise self.fail(f"{reference!r} is not a URI", place) from None
