"""`vxml-server call`: a call without telephony, by a script or from the keyboard.

It keeps the contract of docs/dialogues.md: its records go to standard output, what is wrong with
its arguments to standard error, and its exit status says how the call went.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from vxml_server.cli.fetching import open_fetcher
from vxml_server.cli.terminal import Record, StandardInput

if TYPE_CHECKING:
    from vxml_server.fetch import Fetcher
    from vxml_server.interpreter import Json
    from vxml_server.interpreter.script import Script


def variable(text: str) -> tuple[str, Json]:
    name, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[A-Za-z_$][\w$]*", name):
        raise typer.BadParameter(f"expected --var NAME=JSON, not {text!r}")
    try:
        parsed: Json = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"--var {name}: expected JSON, not {value!r} ({error})") from None
    return name, parsed


async def call(
    uri: str,
    script: Script | None,
    lang: str,
    variables: dict[str, Json],
    write: Callable[[Record], None],
    *,
    trace: bool,
) -> int:
    from vxml_server.interpreter.dialogue import (  # noqa: PLC0415 (slow)
        run_dialogue,
    )

    fetcher = open_fetcher()
    try:
        if script is None:
            return await _call_from_keyboard(uri, lang, variables, fetcher, write, trace=trace)
        result = await run_dialogue(
            uri,
            script,
            fetcher.session(),
            on_record=write,
            variables=variables,
            default_lang=lang,
            trace=trace,
        )
    finally:
        await fetcher.close()
    for step in result.unused:
        typer.echo(f"note: the step on line {step.line} was never used", err=True)
    return result.exit_status


async def _call_from_keyboard(
    uri: str,
    lang: str,
    variables: dict[str, Json],
    fetcher: Fetcher,
    write: Callable[[Record], None],
    *,
    trace: bool,
) -> int:
    from vxml_server.clock import SystemClock  # noqa: PLC0415 (slow)
    from vxml_server.interpreter import Session  # noqa: PLC0415 (slow)
    from vxml_server.interpreter.dialogue import exit_status, stamped  # noqa: PLC0415 (slow)
    from vxml_server.interpreter.keyboard import KeyboardPlatform  # noqa: PLC0415 (slow)

    def observe(kind: str, keys: Record) -> None:
        write(stamped(platform.now(), kind, keys))

    fetch = fetcher.session()
    platform = KeyboardPlatform(StandardInput().read_line, SystemClock(), fetch, observe)
    try:
        session = Session(
            platform,
            fetch,
            observer=observe,
            variables=variables,
            default_lang=lang,
            trace=trace,
        )
        return exit_status(await session.run(uri))
    finally:
        await platform.close()
