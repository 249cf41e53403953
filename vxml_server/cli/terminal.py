"""The terminal: lines that are typed, records that are printed."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import typer

if TYPE_CHECKING:
    from vxml_server.interpreter import Json

Record: TypeAlias = "dict[str, Json]"


class StandardInput:
    """Lines of standard input for the event loop.

    They are read by a thread that may be left behind: it waits in a system call and holds no lock
    of Python's own buffers, so that the process can end while a person thinks.
    """

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._thread: threading.Thread | None = None

    async def read_line(self) -> str | None:
        """The next line; None at the end of input, and from then on."""
        if self._thread is None:
            loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._read, args=(loop,), daemon=True)
            self._thread.start()
        line = await self._lines.get()
        if line is None:
            self._lines.put_nowait(None)
        return line

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        pending = b""
        while True:
            try:
                data = os.read(self._descriptor, 4096)
            except OSError:
                data = b""
            *lines, pending = (pending + data).split(b"\n")
            found: list[str | None] = [line.decode("utf-8", "replace") for line in lines]
            if not data:
                found += [pending.decode("utf-8", "replace"), None] if pending else [None]
            for line in found:
                try:
                    loop.call_soon_threadsafe(self._lines.put_nowait, line)
                except RuntimeError:  # the call has ended
                    return
            if not data:
                return


def json_writer() -> Callable[[Record], None]:
    print_anything()
    return lambda record: typer.echo(json.dumps(record, ensure_ascii=False))


def print_anything() -> None:
    """A document may say what the terminal's encoding, or none, can show."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")


_STYLES = {
    "prompt": "bold",
    "input": "bold cyan",
    "throw": "yellow",
    "end": "bold magenta",
}


def text_writer() -> Callable[[Record], None]:
    from rich.console import Console  # noqa: PLC0415 (slow)
    from rich.text import Text  # noqa: PLC0415 (slow)

    from vxml_server.interpreter.trace import described  # noqa: PLC0415 (slow)

    print_anything()
    console = Console(soft_wrap=True, highlight=False)

    def write(record: Record) -> None:
        # The time counts in milliseconds: two runs of a script print the same.
        line = Text(f"{record['t']:9.3f}  ", "dim")
        console.print(line.append(described(record), _style(record)))

    return write


def _style(record: Record) -> str:
    """How a record stands out on a terminal."""
    if record["event"] == "expect":
        return "green" if record["ok"] else "bold red"
    return _STYLES.get(str(record["event"]), "dim")
