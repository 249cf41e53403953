"""What a parse means: Semantic Interpretation for Speech Recognition 1.0.

The tags of the winning parse are evaluated in the order in which they were matched. Each match of a
rule has its own `out`, `rules` and `meta`, and variables of its own; the global tags of a grammar
document run before its first tag, and their variables belong to that document. A rule match in
which no tag was met has the value of its last rule reference, or without one its text.

An ECMAScript engine is made only for a parse with a script in it that does more than assign, and
thrown away with its results, so nothing leaks from one match to the next.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from vxml_server.ecmascript import Engine, Object
from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar.chart import RuleMatch
from vxml_server.grammar.direct import NotDirectError, interpret_directly
from vxml_server.grammar.network import Network
from vxml_server.grammar.rules import Document, JsonValue, Said, Tag
from vxml_server.grammar.tags import LITERAL_FORMAT, read_tag
from vxml_server.grammar.tree import Leave, events, tokens_of

TIME_LIMIT = 0.25
MEMORY_LIMIT = 8 * 1024 * 1024

# The names are those of SISR 1.0 section 3.3; `$`, `$$` and `$name` are those of its first drafts.
_LIBRARY = """
var begin = function (text) {
  var scope = {out: {}, rules: {}, meta: {}}, last, said = {text: text, score: 1};
  var hidden = function (object, name, value) {
    Object.defineProperty(object, name, {value: value, writable: true, configurable: true});
  };
  hidden(scope.rules, 'latest', function () { return last; });
  hidden(scope.meta, 'latest', function () { return scope.meta.last; });
  hidden(scope.meta, 'current', function () { return said; });
  hidden(scope.meta, 'last', undefined);
  Object.defineProperty(scope, '$', {
    get: function () { return scope.out; }, set: function (value) { scope.out = value; }
  });
  hidden(scope, '$$', undefined);
  hidden(scope, '__leave', function (name, value, text) {
    last = value;
    scope.rules[name] = value;
    scope.meta[name] = scope.meta.last = {text: text, score: 1};
    scope['$' + name] = scope['$$'] = value;
  });
  return scope;
};
"""


@dataclass(slots=True)
class _Frame:
    """A match of a rule that has begun. `scope` is made when its first script is met."""

    match: RuleMatch
    document: Document
    results: list[_Result] = field(default_factory=list)
    value: JsonValue = None
    tagged: bool = False
    scope: Object | None = None


@dataclass(frozen=True, slots=True)
class _Result:
    """What a rule match came to; `value` is JSON, or an object of the engine."""

    match: RuleMatch
    value: Any


def interpret(network: Network, parse: RuleMatch) -> JsonValue:
    """The value of the root rule of `parse`, as JSON. Raises `error.semantic`."""
    interpreter = _Interpreter(network)
    try:
        return interpret_directly(network, parse, interpreter.text)
    except NotDirectError:
        return interpreter.run(parse)


@contextmanager
def _placed(document: Document, line: int, column: int) -> Iterator[None]:
    """Gives a failure between tags, where the engine's own line means nothing, its place."""
    try:
        yield
    except VoiceXmlEvent as failure:
        name, message = failure.name, failure.message
        raise VoiceXmlEvent(name, message, uri=document.uri, line=line, column=column) from None


class _Interpreter:
    def __init__(self, network: Network) -> None:
        self.network = network
        self.spent = 0.0
        self.globals: dict[int, Object] = {}

    @cached_property
    def engine(self) -> Engine:
        return Engine(memory_limit=MEMORY_LIMIT, time_limit=TIME_LIMIT)

    @cached_property
    def library(self) -> Object:
        scope = self.engine.new_scope()
        self.engine.run(_LIBRARY, [scope])
        return scope

    def run(self, parse: RuleMatch) -> JsonValue:
        frames: list[_Frame] = []
        value: Any = None
        for event in events(parse):
            match event:
                case RuleMatch():
                    document = self.network.documents[self.network.rules[event.rule].document]
                    frames.append(_Frame(event, document))
                case Tag():
                    self.tag(frames[-1], event)
                case Leave():
                    frame = frames.pop()
                    value = self.value(frame)
                    if frames:
                        self.receive(frames[-1], _Result(frame.match, value))
                case _:
                    pass
        document = self.network.documents[0]
        with _placed(document, document.line, document.column):
            return self.plain(value)

    def tag(self, frame: _Frame, tag: Tag) -> None:
        frame.tagged = True
        kind, value = read_tag(tag.text, frame.document.tag_format)
        if kind == "script":
            self.script(frame, tag)
        elif frame.scope is not None:
            self.engine.set_json(frame.scope, "out", value)
        else:
            frame.value = value

    def script(self, frame: _Frame, tag: Tag) -> None:
        """Runs a tag in the scopes of its document and of its rule match."""
        with _placed(frame.document, tag.line, tag.column):
            if frame.scope is None:
                frame.scope = self.begin(frame)
        document = frame.document
        if id(document) not in self.globals:
            self.globals[id(document)] = self.engine.new_scope()
            for first in document.tags:
                if document.tag_format != LITERAL_FORMAT:
                    self.run_script(first, document, [self.globals[id(document)]])
        self.run_script(tag, document, [self.globals[id(document)], frame.scope])

    def begin(self, frame: _Frame) -> Object:
        """The scope of a rule match, with what came before its first script."""
        self.engine.set(self.library, "text", self.text(frame.match))
        scope: Object = self.engine.evaluate("begin(text)", [self.library])
        if frame.value is not None:
            self.engine.set_json(scope, "out", frame.value)
        for result in frame.results:
            self.pass_on(scope, result)
        return scope

    def run_script(self, tag: Tag, document: Document, scopes: list[Object]) -> None:
        # CPU time, not time of day: what is limited is what a grammar may make the server compute.
        begun = time.thread_time()
        try:
            self.engine.run(tag.text, scopes)
        except VoiceXmlEvent as failure:
            # The engine tells the line within the script, and no column.
            line = tag.line + max(0, failure.line - 1)
            column = tag.column if line == tag.line else 1
            raise VoiceXmlEvent(
                failure.name,
                f"in a tag: {failure.message}",
                uri=document.uri,
                line=line,
                column=column,
            ) from None
        self.spent += time.thread_time() - begun
        if self.spent > TIME_LIMIT:
            message = "the tags of one match ran too long"
            raise VoiceXmlEvent(
                "error.semantic", message, uri=document.uri, line=tag.line, column=tag.column
            )

    def receive(self, frame: _Frame, result: _Result) -> None:
        """Makes the value of a rule reference known to the rule that has it."""
        frame.results.append(result)
        if frame.scope is not None:
            with _placed(frame.document, frame.document.line, frame.document.column):
                self.pass_on(frame.scope, result)

    def pass_on(self, scope: Object, result: _Result) -> None:
        engine, library = self.engine, self.library
        value = result.value
        engine.set(library, "scope", scope)
        engine.set(
            library, "value", value if isinstance(value, Object) else engine.from_json(value)
        )
        engine.set(library, "name", self.network.rules[result.match.rule].name)
        engine.set(library, "text", self.text(result.match))
        engine.evaluate("scope.__leave(name, value, text)", [library])

    def value(self, frame: _Frame) -> Any:
        """The value of a rule that has been matched."""
        out = frame.value if frame.scope is None else self.engine.get(frame.scope, "out")
        if (make := self.network.rules[frame.match.rule].value) is not None:
            with _placed(frame.document, frame.document.line, frame.document.column):
                parts = tuple(self.plain(result.value) for result in frame.results)
                return make(Said(self.text(frame.match), self.plain(out), parts))
        if frame.tagged:
            return out
        return frame.results[-1].value if frame.results else self.text(frame.match)

    def plain(self, value: Any) -> JsonValue:
        made: JsonValue = self.engine.to_json(value)
        return made

    def text(self, match: RuleMatch) -> str:
        mode = self.network.documents[0].mode
        return ("" if mode == "dtmf" else " ").join(tokens_of(match))
