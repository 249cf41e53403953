"""The meaning of a parse whose tags give values or only assign, without an ECMAScript engine.

It must come to what the engine would come to, or give up: `NotDirectError` means that some tag is
more than an assignment, or that ECMAScript has a rule for it that is not worth having twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from vxml_server.grammar.chart import RuleMatch
from vxml_server.grammar.network import Network
from vxml_server.grammar.rules import Document, JsonValue, Said, Tag
from vxml_server.grammar.tags import Assignment, Operand, assignments, read_tag
from vxml_server.grammar.tree import Leave, events


class NotDirectError(Exception):
    """The engine has to say what this parse means."""


@dataclass(slots=True)
class _Frame:
    match: RuleMatch
    document: Document
    out: JsonValue = field(default_factory=dict)
    tagged: bool = False
    rules: dict[str, JsonValue] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    results: list[JsonValue] = field(default_factory=list)


def interpret_directly(
    network: Network, parse: RuleMatch, text: Callable[[RuleMatch], str]
) -> JsonValue:
    """The value of the root rule; `text` gives the words of a rule match."""
    frames: list[_Frame] = []
    value: JsonValue = None
    for event in events(parse):
        match event:
            case RuleMatch():
                document = network.documents[network.rules[event.rule].document]
                frames.append(_Frame(event, document))
            case Tag():
                _tag(frames[-1], event, text)
            case Leave():
                frame = frames.pop()
                value = _value(frame, network, text)
                if frames:
                    name = network.rules[frame.match.rule].name
                    outer = frames[-1]
                    outer.rules[name] = value
                    outer.texts[name] = text(frame.match)
                    outer.results.append(value)
            case _:
                pass
    return _copied(value)


def _tag(frame: _Frame, tag: Tag, text: Callable[[RuleMatch], str]) -> None:
    frame.tagged = True
    kind, value = read_tag(tag.text, frame.document.tag_format)
    if kind == "value":
        if value is None:
            raise NotDirectError
        frame.out = value
        return
    steps = assignments(tag.text)
    if steps is None or frame.document.tags:
        raise NotDirectError
    for step in steps:
        _assign(frame, step, text)


def _assign(frame: _Frame, step: Assignment, text: Callable[[RuleMatch], str]) -> None:
    values = [_operand(frame, operand, text) for operand in step.operands]
    value = values[0]
    if len(values) > 1:
        if not all(isinstance(part, str) for part in values):
            raise NotDirectError
        value = "".join(map(str, values))
    if not step.path:
        frame.out = value
        return
    target = _property(frame.out, step.path[:-1])
    if not isinstance(target, dict):
        raise NotDirectError
    target[step.path[-1]] = value


def _operand(frame: _Frame, operand: Operand, text: Callable[[RuleMatch], str]) -> JsonValue:
    if operand.rule is None:
        return operand.value
    if operand.text:
        if operand.rule == "current()":
            return text(frame.match)
        if operand.rule not in frame.texts:
            raise NotDirectError
        return frame.texts[operand.rule]
    if operand.rule:
        return _property(frame.rules, (operand.rule, *operand.path))
    if not frame.results:
        raise NotDirectError
    return _property(frame.results[-1], operand.path)


def _property(value: JsonValue, path: tuple[str, ...]) -> JsonValue:
    for name in path:
        if not isinstance(value, dict) or name not in value:
            raise NotDirectError
        value = value[name]
    return value


def _value(frame: _Frame, network: Network, text: Callable[[RuleMatch], str]) -> JsonValue:
    if (make := network.rules[frame.match.rule].value) is not None:
        out = frame.out if frame.tagged else None
        return make(Said(text(frame.match), out, tuple(frame.results)))
    if frame.tagged:
        return frame.out
    return frame.results[-1] if frame.results else text(frame.match)


def _copied(value: JsonValue) -> JsonValue:
    """A value that shares nothing; bounded, since one object may have been put in many places."""
    todo = [value]
    for count, part in enumerate(todo):
        if count > 1000:
            raise NotDirectError
        if isinstance(part, dict):
            todo.extend(part.values())
        elif isinstance(part, list):
            todo.extend(part)
    return _copy(value)


def _copy(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {name: _copy(part) for name, part in value.items()}
    return [_copy(part) for part in value] if isinstance(value, list) else value
