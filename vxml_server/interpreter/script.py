"""The script of a dialogue: what the caller does, and what is expected (the dialogue format).

A script is YAML. It is read into the frozen steps below, each with the line it stands on; whatever
is wrong with it is a `ScriptError` that names the line and what was expected there. Nothing but
what the format names is accepted: a misspelt key must not make a test pass.

Scalars are taken as they are written: `dtmf: 0123` is four keys and `say: yes` is a word, whatever
YAML makes of them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import yaml

from vxml_server.interpreter.platform import Json

MAX_NODES = 100_000
MAX_DEPTH = 100
MAX_DIGITS = 400


class ScriptError(Exception):
    """A script that cannot be used. Its text is `name:line: what was expected there`."""

    def __init__(self, name: str, line: int, message: str) -> None:
        super().__init__(f"{name}:{line}: {message}")
        self.name = name
        self.line = line
        self.message = message


# What the caller does --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Keys:
    """`dtmf`: keys, 100 ms apart; `after` seconds from the start of the first prompt, if given."""

    keys: str
    after: float | None = None
    line: int = 0


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """Words that a recogniser may have heard, and how sure it is (0 to 1)."""

    words: str
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Say:
    """`say`: what the recogniser heard, in the order written, the `alternatives` behind it."""

    hypotheses: tuple[Hypothesis, ...]
    after: float | None = None
    line: int = 0


@dataclass(frozen=True, slots=True)
class Silence:
    """`silence`: so many seconds of it, or (None) until the timeout fires."""

    duration: float | None = None
    line: int = 0


@dataclass(frozen=True, slots=True)
class HangUp:
    """`hangup`: the caller leaves."""

    after: float | None = None
    line: int = 0


@dataclass(frozen=True, slots=True)
class Speak:
    """`record`: speech of `duration` seconds into the next recording, then `keys`, or the end."""

    duration: float
    keys: str = ""
    hangs_up: bool = False
    line: int = 0


@dataclass(frozen=True, slots=True)
class Transfer:
    """`transfer`: the outcome of the next transfer, and its seconds if the script says.

    `keys` or `words` are what the caller ends it with.
    """

    outcome: str
    duration: float | None = None
    keys: str = ""
    words: str = ""
    line: int = 0


# What is expected ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ExpectHeard:
    """`expect`, or `expect_not` (`negated`): a regular expression searched in what was heard."""

    pattern: str
    negated: bool = False
    line: int = 0

    def holds(self, heard: str) -> bool:
        found = re.search(self.pattern, heard, re.IGNORECASE) is not None
        return found != self.negated


@dataclass(frozen=True, slots=True)
class ExpectEvent:
    """`expect_event`: the name of an event that was thrown, or the beginning of its name."""

    name: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class ExpectEnd:
    """`expect_end`: how the session ended, and what it returned if `has_value`."""

    reason: str
    value: Json = None
    has_value: bool = False
    line: int = 0


Deed: TypeAlias = Keys | Say | Silence | HangUp | Speak | Transfer
Expectation: TypeAlias = ExpectHeard | ExpectEvent | ExpectEnd
Step: TypeAlias = Deed | Expectation


@dataclass(frozen=True, slots=True)
class Script:
    """A whole script; `remote`, `local` and `aai` become `session.connection.*`."""

    steps: tuple[Step, ...] = ()
    remote: str = ""
    local: str = ""
    aai: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One test of a `*.test.yaml` file; `document` is a URI, or a path beside the file."""

    name: str
    document: str
    script: Script
    line: int = 0


# Reading ---------------------------------------------------------------------------------------


def parse_script(text: str | bytes, name: str = "script") -> Script:
    """The script in a YAML text; `name` is what errors call it. Raises `ScriptError`."""
    return _Reader(name).script(_compose(text, name))


def parse_cases(text: str | bytes, name: str = "tests") -> tuple[Case, ...]:
    """The tests of a `*.test.yaml` file. Raises `ScriptError`."""
    return _Reader(name).cases(_compose(text, name))


def _compose(text: str | bytes, name: str) -> yaml.Node | None:
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")
        root: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
        return root
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ScriptError(name, line, "expected text in UTF-8") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = ", ".join(part for part in (error.context, error.problem) if part)
        line = mark.line + 1 if mark else 1
        raise ScriptError(name, line, f"expected YAML: {said}") from None
    except yaml.reader.ReaderError as error:
        line = str(text).count("\n", 0, error.position) + 1
        raise ScriptError(name, line, f"expected YAML: {error.reason}") from None
    except RecursionError:
        raise ScriptError(name, 1, "expected YAML nested less deeply") from None


_TIME = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ms|s)")
_KEYS = re.compile(r"[0-9*#A-D]+")
_INTEGER = re.compile(r"[-+]?\d+")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_EVENT_NAME = re.compile(r"[A-Za-z][\w-]*(\.[\w-]+)*")
_TRANSFER_VALUES = (
    "busy",
    "noanswer",
    "network_busy",
    "near_end_disconnect",
    "far_end_disconnect",
    "network_disconnect",
    "maxtime_disconnect",
    "unknown",
)
_TRANSFER_OTHER = re.compile(
    r"(queue|voicemail)_[\w-]+|"
    r"connection\.disconnect\.(transfer|hangup)|error\.(connection|unsupported)\.[\w.-]+"
)
_END_REASONS = ("exit", "disconnect", "hangup", "error")

Fields = Mapping[str, yaml.Node]
Value = TypeVar("Value")


class _Reader:
    """Nodes to steps. Every method raises `ScriptError` for what it does not understand."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.nodes = 0

    def fail(self, node: yaml.Node | None, expected: str) -> ScriptError:
        line = node.start_mark.line + 1 if node is not None else 1
        return ScriptError(self.name, line, f"expected {expected}")

    def cases(self, root: yaml.Node | None) -> tuple[Case, ...]:
        if not isinstance(root, yaml.SequenceNode):
            raise self.fail(root, "a list of tests")
        return tuple(self.case(node) for node in root.value)

    def case(self, node: yaml.Node) -> Case:
        wanted = "a test: a mapping with `name`, `document`, `steps` and, if wanted, `session`"
        fields = self.mapping(node, wanted)
        self.only(fields, "a test", ("name", "document", "session", "steps"))
        for key in ("name", "document"):
            if key not in fields:
                raise self.fail(node, f"`{key}` in a test")
        return Case(
            self.text(fields["name"], "the name of the test"),
            self.text(fields["document"], "the URI of a document"),
            self.steps(fields),
            node.start_mark.line + 1,
        )

    def script(self, root: yaml.Node | None) -> Script:
        fields = self.mapping(root, "a mapping with `steps` and, if wanted, `session`")
        self.only(fields, "a script", ("session", "steps"))
        return self.steps(fields)

    def steps(self, fields: Fields) -> Script:
        session: dict[str, str] = {}
        if (node := fields.get("session")) is not None:
            given = self.mapping(node, "a mapping with `remote`, `local` or `aai`")
            self.only(given, "`session`", ("remote", "local", "aai"))
            session = {key: self.text(value, "a text") for key, value in given.items()}
        steps: tuple[Step, ...] = ()
        if (node := fields.get("steps")) is not None and not self.is_null(node):
            if not isinstance(node, yaml.SequenceNode):
                raise self.fail(node, "a list of steps")
            steps = tuple(self.step(item) for item in node.value)
        for step in steps[:-1]:
            if isinstance(step, ExpectEnd):
                raise ScriptError(
                    self.name, step.line, "`expect_end` is expected to be the last step"
                )
        return Script(steps, **session)

    def step(self, node: yaml.Node) -> Step:
        names = ", ".join(f"`{kind}`" for kind in _STEPS)
        fields = self.mapping(node, f"a step: a mapping with one of {names}")
        kinds = [kind for kind in _STEPS if kind in fields]
        # `dtmf`, `say` and `hangup` are also what ends a `record` or a `transfer`.
        longer = [kind for kind in ("record", "transfer") if kind in kinds]
        kind = longer[0] if longer else kinds[0] if len(kinds) == 1 else ""
        if not kind:
            said = " and ".join(f"`{key}`" for key in fields) or "nothing"
            raise self.fail(node, f"one of {names} in a step, not {said}")
        others, read = _STEPS[kind]
        self.only(fields, f"a `{kind}` step", (kind, *others))
        return read(self, fields, node.start_mark.line + 1)

    # Steps

    def keys_step(self, fields: Fields, line: int) -> Step:
        return Keys(self.keys(fields["dtmf"]), self.optional(fields, "after", self.time), line)

    def say_step(self, fields: Fields, line: int) -> Step:
        hypotheses = [self.hypothesis(fields)]
        if (node := fields.get("alternatives")) is not None:
            if not isinstance(node, yaml.SequenceNode):
                raise self.fail(node, "a list of `{say: …, confidence: …}`")
            for item in node.value:
                given = self.mapping(item, "`{say: …, confidence: …}`")
                self.only(given, "an alternative", ("say", "confidence"))
                if "say" not in given:
                    raise self.fail(item, "`say` in an alternative")
                hypotheses.append(self.hypothesis(given))
        return Say(tuple(hypotheses), self.optional(fields, "after", self.time), line)

    def hypothesis(self, fields: Fields) -> Hypothesis:
        words = " ".join(self.text(fields["say"], "the words that were said").split())
        if not words:
            raise self.fail(fields["say"], "the words that were said")
        confidence = self.optional(fields, "confidence", self.confidence)
        return Hypothesis(words, 1.0 if confidence is None else confidence)

    def silence_step(self, fields: Fields, line: int) -> Step:
        node = fields["silence"]
        return Silence(None if self.is_null(node) else self.time(node), line)

    def hang_up_step(self, fields: Fields, line: int) -> Step:
        self.nothing(fields["hangup"])
        return HangUp(self.optional(fields, "after", self.time), line)

    def record_step(self, fields: Fields, line: int) -> Step:
        if (node := fields.get("hangup")) is not None:
            self.nothing(node)
        return Speak(
            self.time(fields["record"]),
            self.optional(fields, "dtmf", self.keys) or "",
            hangs_up=node is not None,
            line=line,
        )

    def transfer_step(self, fields: Fields, line: int) -> Step:
        outcome = self.text(fields["transfer"], "an outcome")
        if outcome not in _TRANSFER_VALUES and not _TRANSFER_OTHER.fullmatch(outcome):
            raise self.fail(
                fields["transfer"],
                f"one of {', '.join(_TRANSFER_VALUES)}, queue_*, connection.disconnect.transfer, "
                "connection.disconnect.hangup, error.connection.* as the outcome of a transfer",
            )
        said = fields.get("say")
        return Transfer(
            outcome,
            self.optional(fields, "duration", self.time),
            self.optional(fields, "dtmf", self.keys) or "",
            "" if said is None else self.text(said, "the words that were said"),
            line,
        )

    def expect_step(self, fields: Fields, line: int) -> Step:
        return ExpectHeard(self.pattern(fields["expect"]), negated=False, line=line)

    def expect_not_step(self, fields: Fields, line: int) -> Step:
        return ExpectHeard(self.pattern(fields["expect_not"]), negated=True, line=line)

    def expect_event_step(self, fields: Fields, line: int) -> Step:
        name = self.text(fields["expect_event"], "the name of an event")
        if not _EVENT_NAME.fullmatch(name):
            raise self.fail(fields["expect_event"], "the name of an event such as nomatch")
        return ExpectEvent(name, line)

    def expect_end_step(self, fields: Fields, line: int) -> Step:
        reason = self.text(fields["expect_end"], "how the session ends")
        if reason not in _END_REASONS:
            raise self.fail(fields["expect_end"], f"one of {', '.join(_END_REASONS)}")
        node = fields.get("value")
        value = None if node is None else self.json(node)
        return ExpectEnd(reason, value, node is not None, line)

    # Values

    def mapping(self, node: yaml.Node | None, expected: str) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            raise self.fail(node, expected)
        fields: dict[str, yaml.Node] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self.fail(key, "a word as key")
            if key.value in fields:
                raise self.fail(key, f"`{key.value}` only once")
            fields[key.value] = value
        return fields

    def only(self, fields: Fields, where: str, known: tuple[str, ...]) -> None:
        for key, node in fields.items():
            if key not in known:
                names = ", ".join(f"`{name}`" for name in known)
                raise self.fail(node, f"{names} in {where}, not `{key}`")

    def optional(
        self, fields: Fields, key: str, read: Callable[[yaml.Node], Value]
    ) -> Value | None:
        node = fields.get(key)
        return None if node is None else read(node)

    def is_null(self, node: yaml.Node) -> bool:
        return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"

    def nothing(self, node: yaml.Node) -> None:
        if not self.is_null(node):
            raise self.fail(node, "nothing after `hangup:`")

    def text(self, node: yaml.Node, expected: str) -> str:
        if not isinstance(node, yaml.ScalarNode) or self.is_null(node):
            raise self.fail(node, expected)
        return str(node.value)

    def keys(self, node: yaml.Node) -> str:
        keys = self.text(node, 'keys such as "12#"').upper()
        if not _KEYS.fullmatch(keys):
            raise self.fail(node, 'keys such as "12#": 0-9, *, #, A-D')
        return keys

    def time(self, node: yaml.Node) -> float:
        written = self.text(node, "a time such as 4s or 500ms")
        if not (match := _TIME.fullmatch(written.strip())) or len(written) > 20:
            raise self.fail(node, f"a time such as 4s or 500ms, not `{written}`")
        return float(match[1]) / (1000 if match[2] == "ms" else 1)

    def confidence(self, node: yaml.Node) -> float:
        try:
            value = float(self.text(node, "a confidence from 0.0 to 1.0"))
        except ValueError:
            value = math.nan
        if not 0.0 <= value <= 1.0:
            raise self.fail(node, "a confidence from 0.0 to 1.0")
        return value

    def pattern(self, node: yaml.Node) -> str:
        pattern = self.text(node, "a regular expression")
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise self.fail(node, f"a regular expression: {error}") from None
        return pattern

    def json(self, node: yaml.Node, depth: int = 0) -> Json:
        # Aliases make small texts large, or endless.
        self.nodes += 1
        if self.nodes > MAX_NODES or depth > MAX_DEPTH:
            raise self.fail(node, "a smaller value")
        if isinstance(node, yaml.SequenceNode):
            return [self.json(item, depth + 1) for item in node.value]
        if isinstance(node, yaml.MappingNode):
            fields = self.mapping(node, "a JSON value")
            return {key: self.json(value, depth + 1) for key, value in fields.items()}
        return self.scalar(node)

    def scalar(self, node: yaml.Node) -> Json:
        """A scalar as JSON and YAML 1.2 read it: `yes` and `12:30` are texts."""
        text = str(node.value)
        kind = node.tag.removeprefix("tag:yaml.org,2002:")
        if kind == "null":
            return None
        if kind == "bool" and text.lower() in {"true", "false"}:
            return text.lower() == "true"
        if kind in {"int", "float"} and len(text) < MAX_DIGITS:
            if _INTEGER.fullmatch(text):
                return int(text)
            if _NUMBER.fullmatch(text) and math.isfinite(number := float(text)):
                return number
        return text


# Kind of step -> the keys that may stand beside it, and what reads it.
_STEPS: dict[str, tuple[tuple[str, ...], Callable[[_Reader, Fields, int], Step]]] = {
    "dtmf": (("after",), _Reader.keys_step),
    "say": (("confidence", "alternatives", "after"), _Reader.say_step),
    "silence": ((), _Reader.silence_step),
    "hangup": (("after",), _Reader.hang_up_step),
    "record": (("dtmf", "hangup"), _Reader.record_step),
    "transfer": (("duration", "dtmf", "say"), _Reader.transfer_step),
    "expect": ((), _Reader.expect_step),
    "expect_not": ((), _Reader.expect_not_step),
    "expect_event": ((), _Reader.expect_event_step),
    "expect_end": (("value",), _Reader.expect_end_step),
}
