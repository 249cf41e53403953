"""Variables and their scopes: section 5.1 of VoiceXML 2.0.

An execution context has the scopes session, application, document and dialog, each also a variable
of that name, and anonymous scopes for blocks, filled and catch. The rule that must hold: a variable
is declared in exactly one scope, and an assignment changes the nearest one that has it or fails
with `error.semantic`; nothing comes into being by assignment.
"""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from vxml_server.ecmascript import Engine, Object
from vxml_server.events import VoiceXmlEvent
from vxml_server.interpreter.platform import Json

NAMED = ("session", "application", "document", "dialog")
# Where they stand in a chain, whose first scope has their names.
_PLACES = {name: place for place, name in enumerate(NAMED, 1)}
_IDENTIFIER = re.compile(r"[^\W\d][\w$]*|[$_][\w$]*")
# ECMA-262 section 7.6.1: the words that cannot be the name of anything.
_RESERVED = frozenset(
    [
        "break",
        "case",
        "catch",
        "class",
        "const",
        "continue",
        "debugger",
        "default",
        "delete",
        "do",
        "else",
        "enum",
        "export",
        "extends",
        "false",
        "finally",
        "for",
        "function",
        "if",
        "import",
        "in",
        "instanceof",
        "new",
        "null",
        "return",
        "super",
        "switch",
        "this",
        "throw",
        "true",
        "try",
        "typeof",
        "var",
        "void",
        "while",
        "with",
    ]
)
_VARIABLE = re.compile(r"(?:(?P<scope>[\w$]+)\.)?(?P<name>[\w$]+)")
_PATH = re.compile(
    r"(?P<head>[\w$]+)(?P<rest>(\.[\w$]+|\[[^\[\]]+\])*)",
)


def semantic(message: str) -> VoiceXmlEvent:
    return VoiceXmlEvent("error.semantic", message)


def is_variable_name(name: str) -> bool:
    return name not in _RESERVED and _IDENTIFIER.fullmatch(name) is not None


def _not_declared(path: str) -> VoiceXmlEvent:
    return semantic(f"the variable {path} is not declared")


def _read_only(path: str) -> VoiceXmlEvent:
    return semantic(f"{path} is read-only")


class Scopes:
    """The scopes of one execution context (a call, or a subdialog within it)."""

    def __init__(self, engine: Engine, session: Object) -> None:
        self.engine = engine
        self._names = engine.new_scope()
        self._scopes: dict[str, Object] = {}
        # One for each block that is open; None until something is declared in it.
        self._anonymous: list[Object | None] = []
        self._block = _Block(self)
        self._chain: list[Object] | None = None
        self._enter("session", session)

    def _enter(self, name: str, scope: Object | None = None) -> None:
        """Puts a scope, or a new one, in its place; what was below it is gone."""
        self._chain = None
        below = NAMED[NAMED.index(name) + 1 :]
        for gone in below:
            self._scopes.pop(gone, None)
        self._scopes[name] = self.engine.enter_scope(self._names, name, scope, below)

    def scope(self, name: str) -> Object:
        return self._scopes[name]

    def enter_application(self) -> None:
        """Starts an application: its variables are gone, a root document may declare new ones."""
        self._enter("application")

    def enter_document(self, *, is_root: bool = False) -> None:
        """Starts a document; a root document's own variables are those of the application."""
        self._enter("document", self._scopes["application"] if is_root else None)

    def enter_dialog(self) -> None:
        self._enter("dialog")

    def anonymous(self) -> AbstractContextManager[None]:
        """The scope of a block, a filled or a handler, gone when it ends.

        Most declare nothing, and have none: it is made with its first variable.
        """
        return self._block

    @property
    def chain(self) -> list[Object]:
        """The scopes as an expression sees them, outermost first."""
        if self._chain is None:
            opened = [scope for scope in self._anonymous if scope is not None]
            self._chain = [self._names, *self._scopes.values(), *opened]
        return self._chain

    @property
    def innermost(self) -> Object:
        """The scope in which something is to be declared."""
        self._open_innermost()
        return self.chain[-1]

    def enter_block(self) -> None:
        self._anonymous.append(None)

    def leave_block(self) -> None:
        if self._anonymous.pop() is not None:
            self._chain = None

    def _open_innermost(self) -> None:
        if self._anonymous and self._anonymous[-1] is None:
            self._anonymous[-1] = self.engine.new_scope()
            self._chain = None

    # Expressions -------------------------------------------------------------------------------

    def value(self, expression: str) -> Any:
        return self.engine.evaluate(expression, self.chain)

    def json(self, expression: str) -> Json:
        value: Json = self.engine.evaluate_json(expression, self.chain)
        return value

    def text(self, expression: str) -> str:
        return self.engine.evaluate_text(expression, self.chain)

    def truth(self, expression: str) -> bool:
        return self.engine.evaluate_truth(expression, self.chain)

    def run(self, script: str) -> None:
        """Runs a script, whose variables are declared in the innermost scope."""
        self._open_innermost()
        self.engine.run(script, self.chain)

    # Variables ---------------------------------------------------------------------------------

    def declare(self, name: str, expression: str | None) -> None:
        """`<var>`: declares in the innermost scope; again with an expression, assigns."""
        if not is_variable_name(name):
            raise semantic(f"{name!r} is not the name of a variable")
        target = self.innermost
        if expression is not None:
            self.engine.define(target, name, expression, self.chain)
        else:
            self.engine.declare(target, name)

    def assign(self, path: str, expression: str) -> None:
        """`<assign>`: to a declared variable, or to a part of its value."""
        if self._assign_plainly(path, expression):
            return
        target, name, rest = self._find(path)
        if rest:
            self.engine.evaluate(f"{path.strip()} = ({expression}\n)", self.chain)
        else:
            self.engine.define(target, name, expression, self.chain)

    def _assign_plainly(self, path: str, expression: str) -> bool:
        """Assigns where the path is a name, with that of a scope or without; or does nothing."""
        plain = _VARIABLE.fullmatch(path.strip())
        if plain is None or (plain["scope"] is not None and plain["scope"] not in self._scopes):
            return False
        scope = plain["scope"] or ""
        at = _PLACES.get(scope, 0)
        found = self.engine.assign(plain["name"], expression, self.chain, owner=scope, at=at)
        if found == 0:
            raise _not_declared(path)
        if found == _PLACES["session"]:
            raise _read_only(path)
        return found is not None

    def clear(self, name: str) -> None:
        """Makes a declared variable undefined."""
        target, plain, rest = self._find(name)
        if rest:
            self.engine.evaluate(f"{name.strip()} = undefined", self.chain)
        else:
            self.engine.set_undefined(target, plain)

    def _find(self, path: str) -> tuple[Object, str, str]:
        """The scope that has the variable, its name there, and what follows it in the path."""
        parsed = _PATH.fullmatch(path.strip())
        if parsed is None:
            raise semantic(f"{path!r} is not the name of a variable")
        head, rest = parsed["head"], parsed["rest"]
        if head in self._scopes and rest.startswith(".") and not self._declared(head):
            scope = self._scopes[head]
            head, rest = re.split(r"(?=[.\[])|$", rest[1:], maxsplit=1)
            found = scope if self.engine.has(scope, head) else None
        else:
            found = self._declared(head)
        if found is None:
            raise _not_declared(path)
        if found is self._scopes["session"]:
            raise _read_only(path)
        return found, head, rest

    def _declared(self, name: str) -> Object | None:
        """The nearest scope that has the variable."""
        chain = self.chain[1:]
        found = self.engine.last_with(name, chain)
        return None if found is None else chain[found]


class _Block(AbstractContextManager[None]):
    """Enters and leaves blocks, as many in each other as there are."""

    def __init__(self, scopes: Scopes) -> None:
        self._scopes = scopes

    def __enter__(self) -> None:
        self._scopes.enter_block()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._scopes.leave_block()
