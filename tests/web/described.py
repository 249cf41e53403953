"""Whether an answer is as /openapi.json describes it."""

from __future__ import annotations

import json
import re
from importlib import resources
from typing import Any

Json = Any  # a JSON document is what it is

DOCUMENT: Json = json.loads(
    (resources.files("vxml_server.web") / "openapi.json").read_text("utf-8")
)
TYPES = {
    "string": str,
    "number": int | float,
    "integer": int,
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def check_answer(path: str, method: str, status: int, value: Json) -> None:
    """Checks the JSON body of an answer, of a path as the description writes it."""
    answer = DOCUMENT["paths"][path][method]["responses"][str(status)]
    check(answer["content"]["application/json"]["schema"], value)


def check(schema: Json, value: Json, at: str = "$") -> None:
    """Fails where the value is not as the schema says; every property has to be described."""
    if "$ref" in schema:
        target = DOCUMENT
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        check(target, value, at)
        return
    if "type" in schema:
        names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        assert isinstance(value, tuple(TYPES[name] for name in names)), (at, value)
        assert names == ["boolean"] or not isinstance(value, bool), (at, value)
    assert value in schema.get("enum", [value]), (at, value)
    if schema.get("format") == "date-time" and isinstance(value, str):
        assert INSTANT.fullmatch(value), (at, value)
    if isinstance(value, list):
        for number, item in enumerate(value):
            check(schema.get("items", {}), item, f"{at}[{number}]")
    if isinstance(value, dict):
        assert set(schema.get("required", ())) <= value.keys(), at
        for name, item in value.items():
            known = schema.get("properties", {})
            assert name in known or schema.get("additionalProperties"), f"{at}.{name}"
            below = known.get(name, schema.get("additionalProperties"))
            check(below if isinstance(below, dict) else {}, item, f"{at}.{name}")
