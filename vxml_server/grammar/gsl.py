"""The common part of Nuance's Grammar Specification Language, read into a rule tree.

`[a b]` is one of, `(a b)` one after the other, `?` may be left out, `*` and `+` repeat, a name with
a capital is a rule, `~` gives a likelihood. `{<city paris>}` fills a slot, `{return(x)}` makes a
rule's value, which `Rule:name` keeps as `$name`. Slots are properties of the interpretation, and a
rule that is referred to hands its slots on. Whatever else there is in braces is
`error.unsupported.format`.

The commands become SISR scripts, so nothing behind this module knows of them.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace

from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar.rules import (
    Document,
    Expansion,
    Mode,
    OneOf,
    Repeat,
    Rule,
    RuleRef,
    Sequence,
    Tag,
    Token,
    finished,
    rule_refs,
)
from vxml_server.grammar.scanner import Scanner
from vxml_server.grammar.source import Place, Text, decode
from vxml_server.grammar.srgs_xml import MAX_DEPTH, Defaults
from vxml_server.grammar.tags import SCRIPT_FORMAT
from vxml_server.grammar.tokens import are_keys, fold, words

_DECLARED = re.compile(rb"(?!)")
_BLANK = re.compile(r"(?:\s+|;[^\r\n]*)*")
_RULE = re.compile(r"(\.?[A-Z][\w.-]*)(:public)?(?=[\s\[(?*+])")
_NAME = re.compile(r"\.?[A-Z][\w.-]*")
_WORD = re.compile(r"[^\s\[\](){}<>?*+~:;\"$]+")
_QUOTED = re.compile(r'"([^"]*)"')
_VARIABLE = re.compile(r":([A-Za-z_]\w*)")
_WEIGHT = re.compile(r"~(\d+(?:\.\d*)?|\.\d+)")
_KEY = re.compile(r"dtmf-(star|pound|[0-9a-d])", re.IGNORECASE)
_SLOT = re.compile(r"<\s*([A-Za-z_][\w-]*)\s+")
_RETURN = re.compile(r"return\s*\(")
_STRCAT = re.compile(r"strcat\s*\(")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,14})(?=[\s>)])")
_DOLLAR = re.compile(r"\$([A-Za-z_]\w*)")
_BARE = re.compile(r"[^\s<>(){}$\"]+")
_BEGINS = re.compile(r"[\[(?*+]|\.?[A-Z][\w.-]*(?::public)?\s*[\[(?*+]")

_TAKES_SLOTS = "for (var slot in rules.latest()) out[slot] = rules.latest()[slot];"


def is_gsl(text: str) -> bool:
    """Whether a text is GSL: it says so, or it is of brackets and has no sign of another form."""
    if text.startswith(";GSL"):
        return True
    return _BEGINS.match(text) is not None and not re.search(r"[|=]|;\s*$", text)


def parse_gsl(source: bytes, uri: str, defaults: Defaults) -> Document:
    """The rule tree of a GSL grammar. Raises `error.badfetch`, `error.unsupported.format`."""
    text = decode(source, _DECLARED, uri, defaults.line_offset)
    return parse_gsl_text(Text(text, Place(1 + defaults.line_offset, 1)), uri, defaults)


def parse_gsl_text(text: Text, uri: str, defaults: Defaults) -> Document:
    """The same for a text that stands somewhere in another document."""
    return _Reader(text, uri, defaults).document()


class _Reader(Scanner):
    def __init__(self, source: Text, uri: str, defaults: Defaults) -> None:
        super().__init__(source, uri, _BLANK)
        self.defaults = defaults
        keys = _KEY.search(self.text) is not None
        self.mode: Mode = defaults.mode or ("dtmf" if keys else "voice")
        self.rules: dict[str, Rule] = {}
        # Where references stand whose value has a name: their slots are not handed on.
        self.named: set[Place] = set()
        self.filling: set[str] = set()

    def document(self) -> Document:
        while not self.at_end:
            self.statement()
        if not self.rules:
            raise self.fail("the grammar has no rule")
        self.hand_slots_on()
        public = [name for name, rule in self.rules.items() if rule.public]
        return finished(
            Document(
                uri=self.uri,
                mode=self.mode,
                lang=self.defaults.lang,
                root=(public or list(self.rules))[0],
                rules=self.rules,
                tag_format=SCRIPT_FORMAT,
                line=self.source.start.line,
                column=self.source.start.column,
            ),
            any_name=True,
        )

    def statement(self) -> None:
        """A rule; or, alone in its grammar, the content of one."""
        place = self.place
        found = self.take(_RULE)
        name = "grammar" if found is None else found[1]
        if found is None and self.rules:
            raise self.fail(f"a rule is missing {self.here}", place)
        if name in self.rules:
            raise self.fail(f"the rule {name!r} is defined twice", place)
        self.current = name
        public = found is None or found[2] is not None or name.startswith(".")
        _, body = self.need_part(0)
        if found is None and not self.at_end:
            raise self.fail(f"the grammar does not end {self.here}")
        self.rules[name] = Rule(name, body, public, *place)

    # Constructs --------------------------------------------------------------------------------

    def need_part(self, depth: int) -> tuple[float, Expansion]:
        part = self.part(depth)
        if part is None:
            raise self.fail(f"a word or a bracket is missing {self.here}")
        return part

    def part(self, depth: int) -> tuple[float, Expansion] | None:
        """A construct with what is attached to it, and its weight."""
        if depth > MAX_DEPTH:
            raise self.fail("the grammar is nested too deeply")
        part = self.plain_part(depth)
        if part is None:
            return None
        weight = 1.0
        parts = [part]
        while True:
            if (found := _WEIGHT.match(self.text, self.at)) is not None:
                self.at = found.end()
                weight = float(found[1])
            elif self.sign("{"):
                parts.append(self.commands())
            else:
                return weight, parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def plain_part(self, depth: int) -> Expansion | None:
        self.skip()
        place = self.place
        for sign, least, most in (("?", 0, 1), ("*", 0, None), ("+", 1, None)):
            if self.sign(sign):
                return Repeat(self.need_part(depth + 1)[1], least, most)
        if self.sign("["):
            weights, parts = self.group("]", depth)
            return OneOf.weighted(parts, weights)
        if self.sign("("):
            return Sequence(self.group(")", depth)[1])
        if (found := self.take(_NAME)) is not None:
            return self.reference(found[0], place)
        if (found := self.take(_QUOTED)) is not None:
            return self.token(fold(found[1]), place)
        if (found := self.take(_WORD)) is not None:
            return self.token(found[0], place)
        return None

    def group(self, close: str, depth: int) -> tuple[tuple[float, ...], tuple[Expansion, ...]]:
        place = self.place
        found = []
        while not self.sign(close):
            found.append(self.need_part(depth + 1))
        if not found:
            raise self.fail("a bracket holds nothing", place)
        return tuple(weight for weight, _ in found), tuple(part for _, part in found)

    def reference(self, name: str, place: Place) -> Expansion:
        reference = RuleRef("", name, f"${name}", *place)
        found = _VARIABLE.match(self.text, self.at)
        if found is None:
            return reference
        self.at = found.end()
        self.named.add(place)
        return Sequence((reference, Tag(f"var _{found[1]} = rules.latest();", *place)))

    def token(self, text: str, place: Place) -> Expansion:
        if self.mode == "voice":
            return Token(text)
        found = _KEY.fullmatch(text)
        keys = found[1].lower() if found is not None else text
        if not are_keys(keys):
            raise self.fail(f"{text!r} is not a key", place)
        return Sequence(tuple(Token(key) for key, _ in words(keys, "dtmf")))

    # Commands ----------------------------------------------------------------------------------

    def commands(self) -> Tag:
        place = self.place
        script = []
        while not self.sign("}"):
            if (found := self.take(_SLOT)) is not None:
                script.append(f"out[{json.dumps(found[1])}] = {self.value()};")
                self.need_sign(">")
                self.filling.add(self.current)
            elif self.take(_RETURN) is not None:
                script.append(f"out = {self.value()};")
                self.need_sign(")")
            else:
                raise self.unsupported("this command")
        return Tag(" ".join(script), *place)

    def value(self) -> str:
        """A value as ECMAScript writes it."""
        if (found := self.take(_DOLLAR)) is not None:
            known = {"return": "rules.latest()", "string": "meta.current().text"}
            return known.get(found[1], f"_{found[1]}")
        if (found := self.take(_NUMBER)) is not None:
            return found[0]
        if self.take(_STRCAT) is not None:
            first, second = self.value(), self.value()
            self.need_sign(")")
            return f"('' + {first} + {second})"
        if (found := self.take(_QUOTED)) is not None:
            return json.dumps(found[1])
        if (found := self.take(_BARE)) is not None:
            return json.dumps(found[0])
        raise self.unsupported("this value")

    def unsupported(self, what: str) -> VoiceXmlEvent:
        line, column = self.place
        message = f"{what} of GSL is not supported {self.here}"
        return VoiceXmlEvent(
            "error.unsupported.format", message, uri=self.uri, line=line, column=column
        )

    # Slots -------------------------------------------------------------------------------------

    def hand_slots_on(self) -> None:
        """Makes every rule that fills slots, itself or through others, give all of them."""
        filling = set(self.filling)
        todo = list(filling)
        users: dict[str, list[str]] = {}
        for name, rule in self.rules.items():
            for reference in rule_refs(rule.expansion):
                if (reference.line, reference.column) not in self.named:
                    users.setdefault(reference.rule, []).append(name)
        for name in todo:
            for user in users.get(name, ()):
                if user not in filling:
                    filling.add(user)
                    todo.append(user)
        for name in filling:
            rule = self.rules[name]
            body = self.with_slots(rule.expansion, filling)
            # The first tag, though empty, makes the value an object, whatever is said.
            self.rules[name] = replace(rule, expansion=Sequence((Tag(""), body)))

    def with_slots(self, expansion: Expansion, filling: set[str]) -> Expansion:
        match expansion:
            case RuleRef(rule=rule, line=line, column=column):
                if rule not in filling or (line, column) in self.named:
                    return expansion
                return Sequence((expansion, Tag(_TAKES_SLOTS, line, column)))
            case Sequence(parts):
                return Sequence(tuple(self.with_slots(part, filling) for part in parts))
            case OneOf(parts, weights):
                return OneOf(tuple(self.with_slots(part, filling) for part in parts), weights)
            case Repeat():
                return replace(expansion, expansion=self.with_slots(expansion.expansion, filling))
            case _:
                return expansion
