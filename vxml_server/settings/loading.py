"""Reading the settings: a TOML file, over it the environment; or an error an operator can act on.

The environment: `VXML_SERVER_<SECTION>__<KEY>`, deeper keys after further `__`; top-level keys as
`VXML_SERVER_DRAIN_SECONDS`. Lists are written with commas or as JSON, tables as JSON. A variable
with a `__` that names no setting is refused like a misspelt key. Other variables that begin with
`VXML_SERVER_` are left alone: container platforms make such names for a service of that name.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from vxml_server.settings.model import Settings
from vxml_server.settings.toml_lines import KeyPath, find_lines

PREFIX = "VXML_SERVER_"

# pydantic's kinds of faults in an operator's words; our own validators say theirs themselves.
_EXPECTED = {
    "model_type": "a table",
    "model_attributes_type": "a table",
    "dict_type": "a table",
    "mapping_type": "a table",
    "tuple_type": "a list",
    "string_type": "text in quotes",
    "path_type": "a path in quotes",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "greater_than": "a number greater than {gt:g}",
    "greater_than_equal": "a number of at least {ge:g}",
    "too_short": "at least {min_length} of them",
    "string_too_short": "at least {min_length} characters",
}


class SettingsError(Exception):
    """Settings that the server refuses. One line of text a fault: `file:line: key: expected …`."""


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """The settings of the file at `path` (None: the embedded defaults) under those of `environ`.

    Raises `SettingsError` naming every fault.
    """
    if path is None:
        file = resources.files("vxml_server") / "defaults.toml"
        name, text = "defaults.toml", file.read_text("utf-8")
    else:
        name = str(path)
        try:
            text = path.read_text("utf-8")
        except OSError as error:
            raise SettingsError(f"{name}: {error.strerror or error}") from None
        except UnicodeDecodeError:
            raise SettingsError(f"{name}: expected text in UTF-8") from None
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(_syntax(name, text, str(error))) from None
    except RecursionError:
        raise SettingsError(f"{name}: expected TOML nested less deeply") from None
    sources = _overlay(tree, environ)
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        lines = find_lines(text)
        faults = [
            _fault(name, lines, sources, detail) for detail in error.errors(include_url=False)
        ]
        raise SettingsError("\n".join(dict.fromkeys(faults))) from None


def _syntax(name: str, text: str, message: str) -> str:
    if message.endswith(" (at end of document)"):
        lines = text.splitlines() or [""]
        at_end = message.removesuffix(" (at end of document)")
        return f"{name}:{len(lines)}:{len(lines[-1]) + 1}: {at_end} before the end of the file"
    match = re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", message, re.DOTALL)
    return f"{name}:{match[2]}:{match[3]}: {match[1]}" if match else f"{name}: {message}"


def _overlay(tree: dict[str, object], environ: Mapping[str, str]) -> dict[KeyPath, str]:
    """Puts the environment's settings into `tree`; returns which path came from which variable."""
    sources: dict[KeyPath, str] = {}
    for variable in sorted(environ):
        if not variable.upper().startswith(PREFIX):
            continue
        parts = variable[len(PREFIX) :].split("__")
        # Section and key are written in capitals; names below them, such as users, as they are.
        keys = [part.lower() if depth < 2 else part for depth, part in enumerate(parts)]
        if len(keys) == 1 and keys[0] not in Settings.model_fields:
            continue
        table = tree
        for key in keys[:-1]:
            below = table.setdefault(key, {})
            if not isinstance(below, dict):
                below = table[key] = {}
            table = below
        table[keys[-1]] = environ[variable]
        sources[tuple(keys)] = variable
    return sources


def _fault(
    name: str, lines: Mapping[KeyPath, int], sources: Mapping[KeyPath, str], detail: ErrorDetails
) -> str:
    path = detail["loc"]
    key = ".".join(str(part) for part in path)
    prefixes = [path[:length] for length in range(len(path), 0, -1)]
    for prefix in prefixes:
        if prefix in sources:
            return f"environment: {sources[prefix]}: {_expected(path, detail)}"
    for source, variable in sources.items():
        if path and source[: len(path)] == path:  # a variable below what should not be there
            return f"environment: {variable}: {_expected(path, detail)}"
    for prefix in prefixes:
        if prefix in lines:
            return f"{name}:{lines[prefix]}: {key}: {_expected(path, detail)}"
    return f"{name}: {key or 'settings'}: {_expected(path, detail)}"


def _expected(path: KeyPath, detail: ErrorDetails) -> str:
    if detail["type"] == "extra_forbidden":
        known = _known_keys(path[:-1])
        return "unknown key; expected " + (f"one of {', '.join(known)}" if known else "no more")
    if detail["type"] == "missing":
        return "missing; expected a value"
    if detail["type"] in _EXPECTED:
        return "expected " + _EXPECTED[detail["type"]].format_map(detail.get("ctx", {}))
    return detail["msg"].removeprefix("Value error, ").replace("Input should be", "expected", 1)


def _known_keys(path: KeyPath) -> list[str]:
    model: type[BaseModel] | None = Settings
    for part in path:
        if isinstance(part, int):
            continue
        field = _field(model, str(part)) if model is not None else None
        model = _model_in(field) if field is not None else model
    if model is None:
        return []
    return sorted(field.alias or name for name, field in model.model_fields.items())


def _field(model: type[BaseModel], key: str) -> object:
    for name, field in model.model_fields.items():
        if key in {name, field.alias}:
            return field.annotation
    return None


def _model_in(annotation: object) -> type[BaseModel] | None:
    """The model that `annotation` is or holds: `NumberRule` of `tuple[NumberRule, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((m for a in get_args(annotation) if (m := _model_in(a)) is not None), None)
