"""What a tag says: a script, a value, or assignments that need no engine.

A document says by its `tag-format` how its tags are to be read. Without one, they are read as
authors write them: one that assigns to `out`, `$` or a `var` is a script, anything else is a value,
written as JSON, in single quotes, or bare.

Most scripts only assign: `out = 'x'`, `out.city = rules.city; out.count = 2`. `assignments` reads
those, and refuses whatever it is not sure of.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from vxml_server.grammar.rules import JsonValue

SCRIPT_FORMAT = "semantics/1.0"
LITERAL_FORMAT = "semantics/1.0-literals"

_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
_ASSIGNS = re.compile(
    r"(?<![\w.$'\"])(?:out|\$)(?:\.\w+|\[[^\]]*\])*\s*(?:[-+*/%|&^]|<<|>>>?)?=(?!=)"
    r"|\bout\.\w+\s*\(|^var\s+\w+\s*="
)


def read_tag(text: str, tag_format: str) -> tuple[Literal["script", "value"], JsonValue]:
    """Whether a tag is a script, or the value that it gives."""
    if tag_format == SCRIPT_FORMAT:
        return "script", None
    if tag_format == LITERAL_FORMAT:
        return "value", text
    bare = text.strip().rstrip(";").rstrip()
    if _QUOTED.fullmatch(bare):
        return "value", re.sub(r"\\(.)", r"\1", bare[1:-1])
    if _ASSIGNS.search(bare):
        return "script", None
    try:
        value: JsonValue = json.loads(bare, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return "value", bare
    # "007" and a number too long for ECMAScript are names, not quantities.
    exact = not isinstance(value, int | float) or (json.dumps(value) == bare and len(bare) < 16)
    return "value", value if exact else bare


def _refuse(constant: str) -> JsonValue:
    raise ValueError(f"{constant} is not JSON")


# Assignments -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Operand:
    """A value, or what a rule came to: `rule` is its name, "" for the latest; with the `path` of
    properties into it. `text` asks for the words of the rule instead."""

    value: JsonValue = None
    rule: str | None = None
    path: tuple[str, ...] = ()
    text: bool = False


@dataclass(frozen=True, slots=True)
class Assignment:
    """`out` and a path of its properties (none: `out` itself), and what is added up to it."""

    path: tuple[str, ...]
    operands: tuple[Operand, ...]


_NAME = r"[A-Za-z_]\w*"
_STATEMENT = re.compile(
    rf"""\s*(?:out|\$)(?P<path>(?:\.{_NAME})*)\s*=(?!=)\s*
    (?P<value>(?:'[^'\\\n\r]*'|"[^"\\\n\r]*"|[^;'"=\n\r])+?)\s*(?:;\s*|$)""",
    re.VERBOSE | re.ASCII,
)
_OPERAND = re.compile(
    rf"""\s*(?:
    (?P<string>'[^'\\\n\r]*'|"[^"\\\n\r]*")
    | (?P<number>-?(?:0|[1-9]\d{{0,14}})(?:\.\d{{1,10}})?)
    | (?P<word>true|false|null)
    | meta\.(?P<meta>{_NAME}|current\(\))\.text
    | (?:rules\.(?P<latest>latest\(\)|{_NAME}) | \$(?P<dollar>\$|{_NAME}))(?P<path>(?:\.{_NAME})*)
    )\s*(?P<more>\+|$)""",
    re.VERBOSE | re.ASCII,
)
_WORDS: dict[str, JsonValue] = {"true": True, "false": False, "null": None}
# What is no ordinary property in ECMAScript.
_NO_NAMES = frozenset({"__proto__", "latest", "current", "last", "constructor"})


@lru_cache(maxsize=4096)
def assignments(script: str) -> tuple[Assignment, ...] | None:
    """The assignments of a script; None when it is, or could be, anything more."""
    found: list[Assignment] = []
    at = 0
    while at < len(script):
        statement = _STATEMENT.match(script, at)
        operands = _operands(statement["value"]) if statement is not None else None
        if statement is None or operands is None:
            return None if script[at:].strip() else tuple(found)
        path = tuple(statement["path"].split(".")[1:])
        if not _NO_NAMES.isdisjoint(path):
            return None
        found.append(Assignment(path, operands))
        at = statement.end()
    return tuple(found)


def _operands(written: str) -> tuple[Operand, ...] | None:
    operands: list[Operand] = []
    at = 0
    while at < len(written) or not operands:
        found = _OPERAND.match(written, at)
        if found is None or (found["more"] and found.end() == len(written)):
            return None
        path = tuple((found["path"] or "").split(".")[1:])
        name = found["latest"] or found["dollar"] or found["meta"] or ""
        if not _NO_NAMES.isdisjoint((name, *path)):
            return None
        operands.append(_operand(found, path))
        at = found.end()
    return tuple(operands)


def _operand(found: re.Match[str], path: tuple[str, ...]) -> Operand:
    if found["string"] is not None:
        return Operand(found["string"][1:-1])
    if found["number"] is not None:
        number = float(found["number"])
        return Operand(int(number) if number.is_integer() else number)
    if found["word"] is not None:
        return Operand(_WORDS[found["word"]])
    if found["meta"] is not None:
        return Operand(rule=found["meta"], text=True)
    name = found["latest"] or found["dollar"]
    return Operand(rule="" if name in {"latest()", "$"} else name, path=path)
