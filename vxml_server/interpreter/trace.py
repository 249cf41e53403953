"""What an onlooker sees of a session: one record for each thing that happened.

The keys are those of the dialogue format's `--json` output, which tests, logs and the conformance
report are made of. The interpreter emits `fetch`, `enter`, `match`, `throw`, `log` and `end`; the
platform emits `prompt`, `input`, `record`, `transfer`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from vxml_server.interpreter.platform import Json

Observer: TypeAlias = Callable[[str, dict[str, Json]], None]
"""Called with the kind of the record (`prompt`, `throw`, ...) and its keys."""


def ignore(kind: str, record: dict[str, Json]) -> None:
    """The observer of those who do not look."""
