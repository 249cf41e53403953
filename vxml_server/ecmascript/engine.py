"""One ECMAScript engine, and the scope chain that VoiceXML lays over it (section 5.1.2).

A scope is an ECMAScript object without prototype; a chain of scopes is a nest of `with` statements,
so that `x` finds the nearest scope that has it, and `document.x` is an ordinary property access.
What follows from that, and must hold here:

- An expression or a script sees exactly the scopes it is given, and what ECMAScript itself defines.
- A `var` or `function` at the top level of a script becomes a property of the innermost scope.
  `with` alone would leave it behind as a local, so the names that a script declares are found
  first (`declared_names`) and made properties before it runs.
- Nothing runs without a memory and a time limit, and whatever goes wrong is `error.semantic`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from functools import lru_cache
from time import thread_time
from typing import Any

import quickjs

from vxml_server.ecmascript import bounds
from vxml_server.events import VoiceXmlEvent

MEMORY_LIMIT = 16 * 1024 * 1024
TIME_LIMIT = 0.5
CALLS_TIME = 10
STACK_LIMIT = 512 * 1024
MAX_DEPTH = 200

Object = quickjs.Object

# Each helper is taken once, before any document runs, and keeps its own references to the built-in
# functions it uses: a script that overwrites JSON or Object cannot reach them.
_HELPERS = {
    "to_json": """(() => { const { stringify } = JSON, number = Number; return v => {
        const s = stringify(v, (k, x) => typeof x === 'bigint' ? number(x) : x);
        return s === undefined ? 'null' : s; } })()""",
    "from_json": "(() => { const { parse } = JSON; return s => parse(s) })()",
    "scope": "(() => { const { create } = Object; return () => create(null) })()",
    "get": "(o, k) => o[k]",
    "set": "(o, k, v) => { o[k] = v }",
    "set_json": "(() => { const { parse } = JSON; return (o, k, s) => { o[k] = parse(s) } })()",
    "clear": "(o, k) => { o[k] = undefined }",
    "remove": "(o, k) => delete o[k]",
    "has": "(() => { const { hasOwn } = Object; return (o, k) => hasOwn(o, k) })()",
    "define": """(() => { const { apply } = Reflect;
        return (f, o, k, ...scopes) => { o[k] = apply(f, undefined, scopes) } })()""",
    "assign": """(() => { const { hasOwn } = Object, { apply } = Reflect;
        return (value, k, owner, at, ...scopes) => {
            const nearest = name => { let i = scopes.length - 1;
                while (i > 0 && !hasOwn(scopes[i], name)) i--; return i };
            if (at > 0 && nearest(owner) > 0) return -1;
            const found = at > 0 ? (hasOwn(scopes[at], k) ? at : 0) : nearest(k);
            if (found > 1)
                scopes[found][k] = typeof value === 'function' ?
                    apply(value, undefined, scopes) : value;
            return found } })()""",
    "with_parts": """(() => { const { assign } = Object, { parse } = JSON;
        return (o, k, s) => { const list = parse(s); o[k] = assign(list, list[0]) } })()""",
    # These count their arguments, of which there are any number, from the first of the last kind.
    "enter": """(() => { const { create } = Object; return function (o, k, v) {
        for (let i = 3; i < arguments.length; i++) delete o[arguments[i]];
        return o[k] = v === null ? create(null) : v } })()""",
    "declare": """(() => { const { hasOwn } = Object; return function (o) {
        for (let i = 1; i < arguments.length; i++)
            if (!hasOwn(o, arguments[i])) o[arguments[i]] = undefined } })()""",
    "last_with": """(() => { const { hasOwn } = Object; return function (k) {
        for (let i = arguments.length - 1; i > 0; i--) if (hasOwn(arguments[i], k)) return i;
        return 0 } })()""",
    "text_of_name": """(() => { const { hasOwn } = Object; return function (k) {
        for (let i = arguments.length - 1; i > 0; i--)
            if (hasOwn(arguments[i], k)) return `${arguments[i][k]}`;
        return null } })()""",
    "first_undefined": """(function (o) {
        for (let i = 1; i < arguments.length; i++) if (o[arguments[i]] === undefined) return i;
        return 0 })""",
    "keys": """(() => { const { keys } = Object, { stringify } = JSON;
        return o => stringify(keys(o)) })()""",
    "freeze": """(() => { const { freeze, isFrozen, values } = Object; return function deep(o) {
        for (const v of values(o)) if (v && typeof v === 'object' && !isFrozen(v)) deep(v);
        freeze(o) } })()""",
    "copy": "(o, k, p, q) => { p[q] = o[k] }",
    "label": """(() => { const labels = new WeakMap(), get = labels.get.bind(labels),
        set = labels.set.bind(labels), { defineProperty, freeze } = Object;
        return (o, label) => { if (label === null) return get(o) ?? '';
            set(o, label); defineProperty(o, 'toString', { value: () => label });
            freeze(o); return '' } })()""",
    "slice": "(() => { const { slice } = Array.prototype; return a => slice.call(a) })()",
    "text": "v => `${v}`",
    "type_of": "v => Array.isArray(v) ? 'array' : typeof v",
}
_TEMPLATES = {
    "value": "return ({}\n)",
    "text": "return `${{({}\n)}}`",
    "truth": "return !!({}\n)",
    "script": "{}\n",
}
_NAME = re.compile(r"[A-Za-z_$][\w$]*", re.ASCII)
# An expression that says its value itself, and one that crosses as it is: of whole numbers those
# of 32 bits do.
_LITERAL = re.compile(
    r"\s*(?:'(?P<single>[ -&(-\[\]-~]*)'|\"(?P<double>[ !#-\[\]-~]*)\""
    r"|(?P<number>0|[1-9]\d{0,8})|(?P<flag>true|false))\s*",
    re.ASCII,
)
# Numbers hold every integer up to here.
_SAFE = 2**53
_PLACE = re.compile(r"<input>:(\d+)")
_FRAME = re.compile(r"at (\S+) \(<input>:(\d+)")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_BRACKETS = re.compile(r"[\[\]{}]")
_LONE_SURROGATE = re.compile(r"(?<!\\)((?:\\\\)*)\\ud[89a-f][0-9a-f]{2}")
# What the binding raises for a value that has no Python counterpart (BigInt, Symbol, a lone
# surrogate) beside its own exceptions.
_FAILURES = (quickjs.JSException, TypeError, ValueError, MemoryError)


def _as_number(value: int) -> int | float:
    """A BigInt as the number it is nearest to.

    The binding makes an int of it, of any size, and crashes when it is to take back one that is
    larger than any number.
    """
    if -_SAFE <= value <= _SAFE:
        return value
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _semantic_error(failure: BaseException, *, of_script: bool = False) -> VoiceXmlEvent:
    """`error.semantic` with ECMAScript's own words and, for a script, the line inside it."""
    text = str(failure).strip()
    summary = text.splitlines()[0] if text else type(failure).__name__
    return VoiceXmlEvent("error.semantic", summary, line=_script_line(text) if of_script else 0)


def _script_line(text: str) -> int:
    """The line of the innermost frame that is the script's own; 0 when none is known."""
    frames = _FRAME.findall(text)
    for depth, (name, line) in enumerate(frames[:3]):
        if name in bounds.NAMES and int(line) == bounds.LINE:
            frames = frames[depth + 1 :]
            break
    if frames:
        return int(frames[0][1])
    place = _PLACE.search(text)
    return int(place[1]) if place else 0


def _literal(expression: str) -> str | int | bool | None:
    """The value of an expression that nothing has to be compiled for; None for any other."""
    found = _LITERAL.fullmatch(expression)
    if found is None:
        return None
    kind, text = found.lastgroup, found[found.lastindex or 0]
    return int(text) if kind == "number" else text == "true" if kind == "flag" else text


def _is_plain_text(value: object) -> bool:
    """Whether a string arrives in ECMAScript as it is: none with NUL or a lone surrogate does."""
    return isinstance(value, str) and value.isascii() and "\0" not in value


def _as_json(value: object) -> str:
    try:
        return json.dumps(value)
    except RecursionError:
        raise VoiceXmlEvent("error.semantic", "the value is nested too deeply") from None


def _parsed(text: str) -> Any:
    """The value of what JSON.stringify wrote, which escapes only the surrogates that are alone."""
    depth = deepest = 0
    for bracket in _BRACKETS.findall(_STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH:
        raise VoiceXmlEvent("error.semantic", "the value is nested too deeply")
    return json.loads(_LONE_SURROGATE.sub(r"\1\\ufffd", text))


@lru_cache(maxsize=1024)
def declared_names(source: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names that `source` declares at its top level: variables, and functions.

    ECMAScript creates a script's declarations before it runs the first statement; so a script whose
    first statement throws declares everything and does nothing. That is exact where a search for
    the word `var` is not. A syntax error raises `error.semantic`.
    """
    scratch = quickjs.Context()
    scratch.set_memory_limit(MEMORY_LIMIT)
    scratch.set_time_limit(TIME_LIMIT)
    scratch.eval(
        "globalThis.before = new Set(Object.getOwnPropertyNames(globalThis).concat('before'))"
    )
    try:
        scratch.eval("throw null;" + source)
    except quickjs.JSException as thrown:
        if str(thrown).strip() != "null":
            raise _semantic_error(thrown, of_script=True) from None
    names = "Object.getOwnPropertyNames(globalThis).filter(n => !before.has(n))"
    declared = json.loads(
        scratch.eval(f"JSON.stringify({names}.map(n => [n, typeof globalThis[n] === 'function']))")
    )
    variables = tuple(name for name, is_function in declared if not is_function)
    functions = tuple(name for name, is_function in declared if is_function)
    return variables, functions


class Engine:
    """An ECMAScript engine with a heap of its own: about 0.3 ms to make, and 80 KB.

    It belongs to the thread that made it. `time_limit` is in seconds of CPU for each call into it,
    `memory_limit` in bytes for the whole engine. All calls between two `rest()`s may take
    `CALLS_TIME` times `time_limit`; then every further one is refused. Every method raises
    `VoiceXmlEvent` `error.semantic` and nothing else.

    Values cross as Python's None (null and undefined), bool, int, float and str; anything else is
    an `Object`, a handle that only this engine understands. Because undefined does not cross, what
    depends on it (`is_defined`, `define`, `copy`) happens inside. A string ends at its first NUL.
    """

    def __init__(self, *, memory_limit: int = MEMORY_LIMIT, time_limit: float = TIME_LIMIT) -> None:
        self._context = quickjs.Context()
        self._context.set_memory_limit(memory_limit)
        self._context.set_max_stack_size(STACK_LIMIT)
        self._context.set_time_limit(time_limit)
        # Before the helpers, so that they are bounded too.
        self._context.eval(bounds.SOURCE)
        self._helpers = {name: self._context.eval(code) for name, code in _HELPERS.items()}
        self._functions: dict[tuple[str, str, int], Object] = {}
        self._own: dict[str, Object] = {}
        self._allowed = time_limit * CALLS_TIME
        self._spent = 0.0

    def rest(self) -> None:
        """The session waits for somebody: its scripts may take their time again."""
        self._spent = 0.0

    # Objects -----------------------------------------------------------------------------------

    def new_scope(self) -> Object:
        """An empty scope."""
        made: Object = self._help("scope")
        return made

    def from_json(self, value: object) -> Any:
        """The ECMAScript value of a JSON value."""
        return self._help("from_json", _as_json(value))

    def to_json(self, value: Any) -> Any:
        """The JSON value of an ECMAScript value; undefined, functions and NaN become None.

        A lone surrogate becomes U+FFFD. More than `MAX_DEPTH` arrays and objects in each other are
        refused: what is done with the value may be recursive.
        """
        if value is None or isinstance(value, bool | int | str):
            return value
        return _parsed(self._help("to_json", value))

    def get(self, target: Object, name: str) -> Any:
        return self._help("get", target, name)

    def set(self, target: Object, name: str, value: Any) -> None:
        """Sets a property to None (null), a bool, number, string or `Object`."""
        # The binding makes of an int that has more than 32 bits another number.
        if type(value) is int and value.bit_length() > 31:
            value = float(_as_number(value))
        self._help("set", target, name, value)

    def set_json(self, target: Object, name: str, value: object) -> None:
        """Sets a property to the ECMAScript value of a JSON value."""
        # Most values are words and flags, which cross as they are.
        if value is None or value is True or value is False or _is_plain_text(value):
            self._help("set", target, name, value)
        else:
            self._help("set_json", target, name, _as_json(value))

    def set_undefined(self, target: Object, name: str) -> None:
        self._help("clear", target, name)

    def copy(self, source: Object, name: str, target: Object, new_name: str) -> None:
        """`target[new_name] = source[name]`, undefined included."""
        self._help("copy", source, name, target, new_name)

    def remove(self, target: Object, name: str) -> None:
        self._help("remove", target, name)

    def has(self, target: Object, name: str) -> bool:
        """Whether the object itself has the property, be it undefined."""
        return bool(self._help("has", target, name))

    def enter_scope(
        self, target: Object, name: str, scope: Object | None, forgotten: Sequence[str]
    ) -> Object:
        """`target[name] = scope` (None: a new one), without the properties that are `forgotten`;
        gives the scope."""
        entered: Object = self._help("enter", target, name, scope, *forgotten)
        return entered

    def set_with_parts(self, target: Object, name: str, values: list[Any]) -> None:
        """Sets a property to an array of JSON objects that also has the properties of its first."""
        self._help("with_parts", target, name, _as_json(values))

    def declare(self, target: Object, *names: str) -> None:
        """Gives the object itself the properties, undefined, unless it has them."""
        self._help("declare", target, *names)

    def last_with(self, name: str, targets: Sequence[Object]) -> int | None:
        """The index of the last of the objects that itself has the property."""
        found: int = self._help("last_with", name, *targets)
        return found - 1 if found else None

    def first_undefined(self, target: Object, names: Sequence[str]) -> int | None:
        """The index of the first of the properties that is not there or is undefined."""
        found: int = self._help("first_undefined", target, *names)
        return found - 1 if found else None

    def is_defined(self, target: Object, name: str) -> bool:
        """Whether the property is there and not undefined."""
        return self.first_undefined(target, [name]) is None

    def keys(self, target: Object) -> list[str]:
        names: list[str] = json.loads(self._help("keys", target))
        return names

    def copy_array(self, array: Object) -> Object:
        """A shallow copy of an array."""
        made: Object = self._help("slice", array)
        return made

    def type_of(self, value: Any) -> str:
        """ECMAScript's `typeof`, or `array`."""
        return str(self._help("type_of", value))

    def freeze(self, target: Object) -> None:
        """Makes the object and all that it holds read-only."""
        self._help("freeze", target)

    def label(self, target: Object, label: str) -> None:
        """Labels an object, not its copies, and makes it read-only; the label is its ToString."""
        self._help("label", target, label)

    def label_of(self, value: Any) -> str:
        """The label of a value, "" for one that has none."""
        return str(self._help("label", value, None)) if isinstance(value, Object) else ""

    def text_of(self, value: Any) -> str:
        """The text of a value as ECMAScript's ToString gives it."""
        return str(self._help("text", value))

    # Evaluation --------------------------------------------------------------------------------

    def evaluate(self, expression: str, scopes: Sequence[Object] = ()) -> Any:
        """The value of an expression seen from `scopes`, outermost first."""
        if (literal := _literal(expression)) is not None:
            return literal
        return self._call(self._function("value", expression, len(scopes)), *scopes)

    def evaluate_text(self, expression: str, scopes: Sequence[Object] = ()) -> str:
        """The value as ECMAScript's ToString gives it (`<value>`, URIs, fields of a submit)."""
        if (literal := _literal(expression)) is not None:
            return str(literal).lower() if isinstance(literal, bool) else str(literal)
        # Most of what is read out is a variable: to look it up takes less than to compile a
        # function that does, which would run once.
        if _NAME.fullmatch(name := expression.strip()):
            text: str | None = self._help("text_of_name", name, *scopes)
            if text is not None:
                return text
        return str(self._call(self._function("text", expression, len(scopes)), *scopes))

    def evaluate_truth(self, expression: str, scopes: Sequence[Object] = ()) -> bool:
        """The value as ECMAScript's ToBoolean gives it (`cond`)."""
        if (literal := _literal(expression)) is not None:
            return bool(literal)
        return bool(self._call(self._function("truth", expression, len(scopes)), *scopes))

    def evaluate_json(self, expression: str, scopes: Sequence[Object] = ()) -> Any:
        """The value as JSON."""
        return self.to_json(self.evaluate(expression, scopes))

    def define(self, target: Object, name: str, expression: str, scopes: Sequence[Object]) -> None:
        """`target[name] = expression`; the expression may be undefined."""
        if (literal := _literal(expression)) is not None:
            self._help("set", target, name, literal)
        else:
            function = self._function("value", expression, len(scopes))
            self._call(self._helpers["define"], function, target, name, *scopes)

    def assign(
        self, name: str, expression: str, scopes: Sequence[Object], *, owner: str = "", at: int = 0
    ) -> int | None:
        """`name = expression`, or `owner.name = expression` where `owner` is the scope `at`.

        `name` is looked for in the scopes but the first, from the innermost out, and only assigned
        to where it is beyond the second, which is read-only. Gives the index of its scope, 0 where
        it is in none; None, having done nothing, where `owner` is itself a variable.
        """
        value: Any = _literal(expression)
        if value is None:
            value = self._function("value", expression, len(scopes))
        found = self._call(self._helpers["assign"], value, name, owner, at, *scopes)
        return None if found < 0 else int(found)

    def run(self, source: str, scopes: Sequence[Object]) -> None:
        """Runs a script whose declarations belong to the innermost of `scopes`.

        The `line` of the event raised on failure counts from the script's first line.
        """
        variables, functions = declared_names(source)
        innermost = scopes[-1]
        if variables:
            self.declare(innermost, *variables)
        # Inside a block, functions exist from its start: they are put into the scope before the
        # first statement, and replace what an earlier script left there.
        hoist = "".join(f"__{len(scopes) - 1}[{json.dumps(name)}]={name};" for name in functions)
        function = self._function("script", hoist + source, len(scopes))
        try:
            function(*scopes)
        except _FAILURES as failure:
            raise _semantic_error(failure, of_script=True) from None

    # Code of ours ------------------------------------------------------------------------------

    def function(self, source: str) -> Object:
        """The function that `source`, an expression of our own and no document's, is; made once."""
        if source not in self._own:
            try:
                self._own[source] = self._context.eval(source)
            except _FAILURES as failure:
                raise _semantic_error(failure) from None
        return self._own[source]

    def call(self, function: Object, *arguments: Any) -> Any:
        return self._call(function, *arguments)

    # The engine room ---------------------------------------------------------------------------

    def _function(self, template: str, code: str, depth: int) -> Object:
        key = (template, code, depth)
        if (found := self._functions.get(key)) is not None:
            return found
        names = [f"__{i}" for i in range(depth)]
        chain = "".join(f"with({name})" for name in names)
        body = _TEMPLATES[template].format(code)
        scopes = ",".join(names)
        source = f"(function({scopes}){{{chain}{{{body}}}}})"
        try:
            made: Object = self._context.eval(source)
        except _FAILURES as failure:
            raise _semantic_error(failure, of_script=template == "script") from None
        self._functions[key] = made
        return made

    def _call(self, function: Object, *arguments: Any) -> Any:
        if self._spent > self._allowed:
            raise VoiceXmlEvent("error.semantic", "the scripts have used up their time")
        began = thread_time()
        try:
            value = function(*arguments)
        except _FAILURES as failure:
            raise _semantic_error(failure) from None
        finally:
            self._spent += thread_time() - began
        return _as_number(value) if type(value) is int else value

    def _help(self, name: str, *arguments: Any) -> Any:
        try:
            value = self._helpers[name](*arguments)
        except _FAILURES as failure:
            raise _semantic_error(failure) from None
        return _as_number(value) if type(value) is int else value
