"""The Java Speech Grammar Format 1.0, read into a rule tree.

SRGS ABNF was made from it, so only the signs differ: `<name>` refers to a rule, `*` and `+` repeat,
and a tag is text in braces. The root is the first public rule. Old VoiceXML also puts a mere
expansion (`yes | no [thanks]`) inline, which becomes the one rule of its grammar. Imports name
Java packages, which have no URI, and are refused.
"""

from __future__ import annotations

import re

from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar.rules import (
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
    finished,
)
from vxml_server.grammar.scanner import Scanner
from vxml_server.grammar.source import Place, Text, decode
from vxml_server.grammar.srgs_xml import MAX_DEPTH, Defaults, is_lang
from vxml_server.grammar.tokens import are_keys, fold, words

_DECLARED = re.compile(rb"(?:\xef\xbb\xbf)?#JSGF[ \t]+V[\d.]+[ \t]+([\w.:-]+)")
_IDENTIFIER = re.compile(
    r"#JSGF[ \t]+V(?P<version>[\d.]+)(?:[ \t]+(?P<encoding>[\w.:-]+)(?:[ \t]+(?P<lang>[\w-]+))?)?"
    r"[ \t]*;"
)
_BLANK = re.compile(r"(?:\s+|//[^\r\n]*|/\*.*?\*/)*", re.DOTALL)
_STATEMENT = re.compile(r"(grammar|import)(?![\w-])")
_PACKAGE = re.compile(r"[\w.$]+")
_PUBLIC = re.compile(r"public(?=\s*<)")
_NAME = re.compile(r"<\s*([^\s<>=|*;{}()\[\]\"]+)\s*>")
_TAG = re.compile(r"\{((?:[^{}\\]|\\.)*)\}", re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_WORD = re.compile(r"(?:[^\s;=|*+<>()\[\]{}/\"\\]|\\.)+")
_SPECIAL = {"NULL": Special.NULL, "VOID": Special.VOID}


def is_jsgf(text: str) -> bool:
    """Whether a text begins as JSGF does."""
    return text.startswith("#JSGF")


def parse_jsgf(source: bytes, uri: str, defaults: Defaults) -> Document:
    """The rule tree of a JSGF grammar. Raises `error.badfetch`, `error.unsupported.format`."""
    text = decode(source, _DECLARED, uri, defaults.line_offset)
    return parse_jsgf_text(Text(text, Place(1 + defaults.line_offset, 1)), uri, defaults)


def parse_jsgf_text(text: Text, uri: str, defaults: Defaults) -> Document:
    """The same for a text that stands somewhere in another document."""
    return _Reader(text, uri, defaults).document()


class _Reader(Scanner):
    def __init__(self, source: Text, uri: str, defaults: Defaults) -> None:
        super().__init__(source, uri, _BLANK)
        self.mode: Mode = defaults.mode or "voice"
        self.lang = defaults.lang
        self.rules: dict[str, Rule] = {}

    def document(self) -> Document:
        if is_jsgf(self.text):
            self.header()
        while not self.at_end:
            if self.rules or self.text.startswith("#JSGF") or self.is_rule():
                self.statement()
            else:
                self.bare()
        public = [name for name, rule in self.rules.items() if rule.public]
        return finished(
            Document(
                uri=self.uri,
                mode=self.mode,
                lang=self.lang,
                root=(public or [*self.rules, ""])[0],
                rules=self.rules,
                line=self.source.start.line,
                column=self.source.start.column,
            ),
            any_name=True,
        )

    def header(self) -> None:
        found = _IDENTIFIER.match(self.text)
        if found is None or found["version"] not in {"1.0", "1"}:
            raise self.fail("the grammar does not begin with '#JSGF V1.0;'")
        if found["lang"] and not is_lang(found["lang"].replace("_", "-")):
            raise self.fail(f"{found['lang']!r} is not a language")
        self.lang = (found["lang"] or self.lang).replace("_", "-")
        self.at = found.end()

    def is_rule(self) -> bool:
        """Whether the text, which has no header, begins with the definition of a rule."""
        at = self.at
        self.take(_PUBLIC)
        found = self.take(_NAME) is not None and self.sign("=")
        self.at = at
        return found

    def bare(self) -> None:
        place = self.place
        body = self.alternatives(0)
        self.sign(";")
        if not self.at_end:
            raise self.fail(f"the expansion does not end {self.here}")
        self.rules["grammar"] = Rule("grammar", body, True, *place)

    def statement(self) -> None:
        place = self.place
        found = self.take(_STATEMENT)
        if found is None:
            self.rule()
        elif found[1] == "grammar":
            self.need(_PACKAGE, "a name")
            self.need_sign(";")
        else:
            line, column = place
            raise VoiceXmlEvent(
                "error.unsupported.format",
                "an import names no URI, and is not supported",
                uri=self.uri,
                line=line,
                column=column,
            )

    def rule(self) -> None:
        public = self.take(_PUBLIC) is not None
        self.skip()
        place = self.place
        name = self.need(_NAME, "a rule name")[1]
        if name in _SPECIAL:
            raise self.fail(f"a rule may not be named {name}", place)
        if name in self.rules:
            raise self.fail(f"the rule {name!r} is defined twice", place)
        self.need_sign("=")
        body = self.alternatives(0)
        self.need_sign(";")
        self.rules[name] = Rule(name, body, public, *place)

    def alternatives(self, depth: int) -> Expansion:
        if depth > MAX_DEPTH:
            raise self.fail("the grammar is nested too deeply")
        return self.between_bars(lambda: self.sequence(depth))

    def sequence(self, depth: int) -> Expansion:
        parts: list[Expansion] = []
        while (part := self.part(depth)) is not None:
            while self.text.startswith(("*", "+"), self.at):
                part = Repeat(part, int(self.text[self.at] == "+"), None)
                self.at += 1
                self.skip()
            parts.append(part)
        if not parts:
            raise self.fail("an alternative is empty")
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def part(self, depth: int) -> Expansion | None:
        part = self.plain_part(depth)
        self.skip()
        return part

    def plain_part(self, depth: int) -> Expansion | None:
        self.skip()
        place = self.place
        if (found := self.take(_WORD)) is not None:
            return self.token(re.sub(r"\\(.)", r"\1", found[0]), place)
        if (found := self.take(_QUOTED)) is not None:
            return self.token(fold(re.sub(r"\\(.)", r"\1", found[1])), place)
        if (found := self.take(_NAME)) is not None:
            name = found[1]
            special = _SPECIAL.get(name)
            return special or RuleRef("", name, f"${name}", *place)
        if (found := self.take(_TAG)) is not None:
            return Tag(re.sub(r"\\(.)", r"\1", found[1], flags=re.DOTALL), *place)
        if self.sign("("):
            return self.group(")", depth)
        if self.sign("["):
            return Repeat(self.group("]", depth), 0, 1)
        return None

    def group(self, close: str, depth: int) -> Expansion:
        inner = self.alternatives(depth + 1)
        self.need_sign(close)
        return inner

    def token(self, text: str, place: Place) -> Expansion:
        if self.mode == "voice":
            return Token(text)
        if not are_keys(text):
            raise self.fail(f"{text!r} is not a key", place)
        return Sequence(tuple(Token(key) for key, _ in words(text, "dtmf")))
