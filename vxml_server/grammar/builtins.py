"""The built-in grammar types of VoiceXML 2.0 appendix P.

Keys have every type, and no language; words have every type in the languages of `spoken`. A type
is a rule tree like any other, whose root rule has a function that makes the interpretation of what
was said: a boolean, or a string in the form that the appendix gives.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar.abnf import parse_abnf
from vxml_server.grammar.grammar import Grammar, compile_grammar
from vxml_server.grammar.rules import (
    Document,
    Expansion,
    JsonValue,
    Mode,
    OneOf,
    Repeat,
    Rule,
    RuleRef,
    Sequence,
    Token,
    bad_grammar,
)
from vxml_server.grammar.spoken import GRAMMARS, values
from vxml_server.grammar.srgs_xml import Defaults
from vxml_server.grammar.tokens import KEYS

MAX_LENGTH = 1000
"""The most digits that a `digits` grammar may be asked for."""

_URI = re.compile(
    r"(?:builtin:(?:(?P<kind>\w+)/)?)?(?P<type>[\w-]+)(?:\?(?P<query>.*))?", re.DOTALL
)
_KINDS: Mapping[str, Mode] = {
    "grammar": "voice",
    "voice": "voice",
    "speech": "voice",
    "dtmf": "dtmf",
}


@dataclass(frozen=True, slots=True)
class _Type:
    """What is asked for: a type, and its parameters as they were written."""

    name: str
    parameters: Mapping[str, str]
    uri: str

    def fail(self, message: str) -> VoiceXmlEvent:
        return bad_grammar(f"the built-in type {self.name}: {message}", self.uri)

    def unsupported(self, message: str) -> VoiceXmlEvent:
        return VoiceXmlEvent("error.unsupported.builtin", message, uri=self.uri)

    def only(self, *names: str) -> None:
        """Refuses parameters other than these."""
        for name in self.parameters:
            if name not in names:
                raise self.fail(f"there is no parameter {name!r}")

    def count(self, name: str) -> int | None:
        written = self.parameters.get(name)
        if written is None:
            return None
        if not re.fullmatch("[0-9]{1,6}", written) or not 1 <= int(written) <= MAX_LENGTH:
            raise self.fail(f"{name} is {written!r}, not a number from 1 to {MAX_LENGTH}")
        return int(written)

    def lengths(self) -> tuple[int, int | None]:
        """The least and the most digits of a `digits` grammar."""
        self.only("length", "minlength", "maxlength")
        length = self.count("length")
        least, most = self.count("minlength"), self.count("maxlength")
        if length is not None:
            if (least or length) > length or (most or length) < length:
                raise self.fail("length contradicts minlength or maxlength")
            return length, length
        if most is not None and (least or 1) > most:
            raise self.fail("minlength is more than maxlength")
        return least or 1, most

    def key(self, name: str, default: str) -> str:
        key = self.parameters.get(name, default).upper()
        if len(key) != 1 or key not in KEYS:
            raise self.fail(f"{name} is {key!r}, not a key")
        return key


@lru_cache(maxsize=512)
def builtin(uri: str, lang: str = "", mode: Mode | None = None) -> Grammar:
    """The built-in grammar of `uri`: `builtin:dtmf/digits?minlength=4;maxlength=6`,
    `builtin:grammar/boolean?y=7;n=9`; or of a `<field type>` (`"digits?length=4"`) with `mode`.

    Raises `error.unsupported.builtin` for an unknown type (or a type not spoken in `lang`) and
    `error.badfetch` for bad parameters.
    """
    document = builtin_document(uri, lang, mode)
    return compile_grammar(document, {}, document.root)


def is_builtin(uri: str) -> bool:
    return uri.startswith("builtin:")


def builtin_document(uri: str, lang: str, mode: Mode | None) -> Document:
    """The rule tree behind `builtin`."""
    found = _URI.fullmatch(uri.strip())
    kind = found["kind"] if found is not None else None
    if found is None or (kind is not None and kind not in _KINDS):
        message = f"{uri!r} names no built-in grammar"
        raise VoiceXmlEvent("error.unsupported.builtin", message, uri=uri)
    mode = _KINDS[kind] if kind is not None else mode or "voice"
    wanted = _Type(found["type"], _parameters(found["query"] or "", uri), uri)
    return _keys(wanted, lang) if mode == "dtmf" else _words(wanted, lang)


def _parameters(query: str, uri: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for part in re.split("[;&]", query):
        name, equals, value = part.partition("=")
        if part.strip() and (not equals or name.strip() in parameters):
            raise bad_grammar(f"{query!r} is not a list of parameters", uri)
        if part.strip():
            parameters[name.strip()] = value.strip()
    return parameters


# Keys --------------------------------------------------------------------------------------------


def _one_of(texts: str) -> Expansion:
    """One of the keys, or of the key sequences that `texts` separates by spaces."""
    choices = texts.split() if " " in texts else list(texts)
    return OneOf(tuple(Sequence(tuple(Token(key) for key in text)) for text in choices))


def _numbers(first: int, last: int) -> str:
    return " ".join(f"{number:02}" for number in range(first, last + 1))


_DIGIT = _one_of("0123456789")
_DIGITS = Repeat(_DIGIT, 1, None)
_STAR = Token("*")


def _optional(*parts: Expansion) -> Expansion:
    return Repeat(Sequence(parts), 0, 1)


def _number_keys(text: str) -> str:
    return text.replace("*", ".") if text[0] != "*" else f"0.{text[1:]}"


def _currency_keys(text: str) -> str:
    units, _, cents = text.partition("*")
    return f"{units or '0'}.{cents:0<2}"


def _time_keys(text: str) -> str:
    # 01:00 to 12:59 may be of either half of the day.
    return f"{text}{'?' if 1 <= int(text[:2]) <= 12 else 'h'}"


_DAYS = OneOf(
    tuple(
        Sequence((_one_of(months), _one_of(_numbers(1, last))))
        for last, months in ((31, "01 03 05 07 08 10 12"), (30, "04 06 09 11"), (29, "02 "))
    )
)


_Reading = tuple[Expansion, Callable[[str], JsonValue]]

# A decimal point is a star (appendix P); a phone number's extension follows one too.
_KEY_TYPES: Mapping[str, _Reading] = {
    "number": (
        OneOf((Sequence((_DIGITS, _optional(_STAR, _DIGITS))), Sequence((_STAR, _DIGITS)))),
        _number_keys,
    ),
    "currency": (
        OneOf(
            (
                Sequence((_DIGITS, _optional(_STAR, Repeat(_DIGIT, 1, 2)))),
                Sequence((_STAR, Repeat(_DIGIT, 1, 2))),
            )
        ),
        _currency_keys,
    ),
    "date": (
        Sequence((Repeat(_DIGIT, 4, 4), _DAYS)),
        str,
    ),
    "time": (Sequence((_one_of(_numbers(0, 23)), _one_of(_numbers(0, 59)))), _time_keys),
    "phone": (
        Sequence((_DIGITS, _optional(_STAR, _DIGITS))),
        lambda text: text.replace("*", "x"),
    ),
}


def _keys(wanted: _Type, lang: str) -> Document:
    body, value = _key_type(wanted)
    rule = Rule(wanted.name, body, public=True, value=lambda said: value(said.text))
    return Document(wanted.uri, "dtmf", lang, wanted.name, {wanted.name: rule})


def _key_type(wanted: _Type) -> _Reading:
    match wanted.name:
        case "digits":
            return _digits(_DIGIT, wanted), str
        case "boolean":
            return _boolean_keys(wanted)
        case name if name in _KEY_TYPES:
            wanted.only()
            return _KEY_TYPES[name]
        case name:
            raise wanted.unsupported(f"there is no built-in type {name!r}")


def _digits(digit: Expansion, wanted: _Type) -> Expansion:
    return Repeat(digit, *wanted.lengths())


def _boolean_keys(wanted: _Type) -> _Reading:
    wanted.only("y", "n")
    yes, no = wanted.key("y", "1"), wanted.key("n", "2")
    if yes == no:
        raise wanted.fail("y and n are the same key")
    return OneOf((Token(yes), Token(no))), lambda text: text == yes


# Words -------------------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def _language(language: str) -> Document:
    document = parse_abnf(GRAMMARS[language].encode(), "", Defaults())
    made = values(language)
    rules = {
        name: replace(rule, value=made[name]) if name in made else rule
        for name, rule in document.rules.items()
    }
    return replace(document, rules=rules)


def _words(wanted: _Type, lang: str) -> Document:
    name = wanted.name
    if name not in {"digits", "boolean", *_KEY_TYPES}:
        raise wanted.unsupported(f"there is no built-in type {name!r}")
    language = lang.partition("-")[0].lower()
    if language not in GRAMMARS:
        message = f"the built-in type {name!r} is not spoken in {lang or 'no language'}"
        raise wanted.unsupported(message)
    rules = dict(_language(language).rules)
    match name:
        case "digits":
            body = _digits(RuleRef("", "digit", "$digit"), wanted)
            rules[name] = Rule(name, body, public=True, value=values(language)[name])
        case "boolean":
            _boolean_keys(wanted)  # y and n name keys; they are checked, and mean nothing to words
        case _:
            wanted.only()
    return replace(_language(language), uri=wanted.uri, lang=lang, root=name, rules=rules)
