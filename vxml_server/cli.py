"""The commands. Each reads its arguments and calls one function; whatever is slow is imported then.

`call` keeps the contract of docs/dialogues.md: its records go to standard output, what is wrong
with its arguments to standard error, and its exit status says how the call went.
"""

from __future__ import annotations

import asyncio
import io
import json
import mimetypes
import os
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

if TYPE_CHECKING:
    from vxml_server.fetch import Fetcher
    from vxml_server.grammar import Grammar
    from vxml_server.grammar.inspect import Wanted
    from vxml_server.interpreter import Json
    from vxml_server.interpreter.script import Script

USAGE_ERROR = 2

Record: TypeAlias = "dict[str, Json]"

app = typer.Typer(
    name="vxml-server",
    help="An IVR application server: VoiceXML 2.1 over SIP and RTP.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

prompts_app = typer.Typer(help="What callers hear, made beforehand.", no_args_is_help=True)
app.add_typer(prompts_app, name="prompts")


def main() -> None:
    """The `vxml-server` command."""
    app()


@app.command()
def call(
    uri: Annotated[str, typer.Argument(help="A VoiceXML document: a path, file: or http(s): URI.")],
    script: Annotated[
        Path | None, typer.Option(help="What the caller does, and what is expected (YAML).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
    lang: Annotated[str, typer.Option(help="The language where documents say none.")] = "en",
    var: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=JSON", help="A variable of the session scope; repeatable."),
    ] = None,
    trace: Annotated[
        bool, typer.Option("--trace", help="Print what is done, with the lines of the documents.")
    ] = False,
) -> None:
    """Call an application without a telephone: with a script, or at the keyboard.

    At the keyboard a line of digits is keys, another line is speech, an empty line is silence, and
    Ctrl-D hangs up. Exit status: 0 the call ended as a call may, 1 an expectation failed, 2 bad
    usage or script, 3 the session ended in an error that nothing caught.
    """
    from vxml_server.interpreter.script import ScriptError, parse_script  # noqa: PLC0415 (slow)

    if not re.fullmatch(r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*", lang):
        raise typer.BadParameter(f"expected a language such as fr or en-GB, not {lang!r}")
    variables = dict(_variable(text) for text in var or ())
    steps: Script | None = None
    if script is not None:
        try:
            steps = parse_script(script.read_bytes(), str(script))
        except (ScriptError, OSError) as error:
            typer.echo(f"Error: {error}", err=True)
            raise typer.Exit(USAGE_ERROR) from None
    write = _json_writer() if as_json else _text_writer()
    raise typer.Exit(asyncio.run(_call(uri, steps, lang, variables, write, trace=trace)))


@app.command()
def test(
    paths: Annotated[list[Path], typer.Argument(help="Files, or folders of *.test.yaml files.")],
    junit: Annotated[Path | None, typer.Option(help="Write the results as JUnit XML.")] = None,
    word: Annotated[
        str,
        typer.Option("-k", metavar="WORD", help="Only tests whose file or name has WORD in it."),
    ] = "",
) -> None:
    """Run scripted dialogues: one line a test, and for a failure what was heard.

    Exit status: 0 all passed, 1 one failed, 2 bad usage, or a file that cannot be used.
    """
    from vxml_server import testing  # noqa: PLC0415 (slow)
    from vxml_server.interpreter.script import ScriptError  # noqa: PLC0415 (slow)

    try:
        cases = testing.find_cases(paths, word)
        if not cases:
            raise typer.BadParameter("there is no test to run")
        _print_anything()
        results = testing.show(testing.run_cases(cases), typer.echo)
        if junit is not None:
            testing.write_junit(junit, "dialogues", results)
    except (ScriptError, OSError) as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(USAGE_ERROR) from None
    raise typer.Exit(testing.exit_status(results))


@app.command()
def conformance(
    folder: Annotated[Path, typer.Argument(help="The suite.", exists=True, file_okay=False)],
    report: Annotated[Path | None, typer.Option(help="Write the results as a page.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write the results as JUnit XML.")] = None,
    word: Annotated[
        str, typer.Option("-k", metavar="WORD", help="Only assertions whose id has WORD in it.")
    ] = "",
) -> None:
    """Run a conformance suite: W3C implementation reports, or folders of assertions.

    Exit status: 0 none failed, 1 one failed, 2 bad usage, or a suite that cannot be used.
    """
    from datetime import datetime  # noqa: PLC0415 (slow)

    from vxml_server import __version__, testing  # noqa: PLC0415 (slow)
    from vxml_server.interpreter.script import ScriptError  # noqa: PLC0415 (slow)

    try:
        assertions = [each for each in testing.discover(folder) if word in each.id]
        if not assertions:
            raise typer.BadParameter("there is no assertion in this folder")
        _print_anything()
        results = testing.show(testing.run_assertions(folder, assertions), typer.echo)
        name = testing.suite_name(folder)
        if report is not None:
            now = datetime.now().astimezone()
            heading = testing.Heading("vxml-server", __version__, name, now)
            testing.write_report(report, heading, results)
        if junit is not None:
            testing.write_junit(junit, name, results)
    except (ScriptError, OSError) as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(USAGE_ERROR) from None
    raise typer.Exit(testing.exit_status(results))


@app.command()
def check(
    paths: Annotated[list[Path], typer.Argument(help="Documents, grammars, and folders of them.")],
    output: Annotated[
        str, typer.Option("--format", help="How findings are written: text, json or sarif.")
    ] = "text",
    strict: Annotated[
        bool, typer.Option(help="Take what the interpreter only tolerates for an error.")
    ] = False,
) -> None:
    """Check documents and grammars without running them.

    Exit status: 0 no errors (there may be warnings), 1 errors, 2 bad usage.
    """
    from vxml_server.checking import FORMATS, check_paths  # noqa: PLC0415 (slow)

    if output not in FORMATS:
        raise typer.BadParameter(f"expected {', '.join(FORMATS)}, not {output!r}")
    for path in paths:
        if not path.exists():
            raise typer.BadParameter(f"there is no file or folder {path}")
    findings = check_paths(paths, strict=strict)
    _print_anything()
    typer.echo(FORMATS[output](findings), nl=False)
    raise typer.Exit(any(finding.severity == "error" for finding in findings))


@app.command()
def serve(
    config: Annotated[Path | None, typer.Option(help="Settings (TOML); else the defaults.")] = None,
) -> None:
    """Answer calls until told to stop."""
    # Small matrices on one core: threads of their own would only get in the media thread's way.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from vxml_server import app as server  # noqa: PLC0415 (slow)

    raise typer.Exit(server.serve(config))


@prompts_app.command("render")
def render_prompts(
    documents: Annotated[
        list[str],
        typer.Argument(metavar="URI-OR-PATH...", help="Documents, and folders of them."),
    ],
    config: Annotated[Path | None, typer.Option(help="Settings (TOML); else the defaults.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder; else cache_folder of the settings.")
    ] = None,
) -> None:
    """Speak the prompts of an application before the first call asks for them.

    Documents are followed through the links that stand in them. Exit status: 0 all that is the
    same for every caller is in the folder, 1 something could not be read or rendered, 2 bad usage.
    """
    from vxml_server import app as server  # noqa: PLC0415 (slow)
    from vxml_server.clock import SystemClock  # noqa: PLC0415 (slow)

    uris: list[str] = []
    for name in documents:
        folder = Path(name)
        found = sorted(map(str, folder.rglob("*.vxml"))) if folder.is_dir() else [name]
        if not found:
            raise typer.BadParameter(f"there is no document in {name}")
        uris += found
    _print_anything()
    work = server.render_prompts(
        uris,
        typer.echo,
        lambda text: typer.echo(f"Error: {text}", err=True),
        clock=SystemClock(),
        config=config,
        out=out,
    )
    raise typer.Exit(asyncio.run(work))


@app.command()
def grammar(
    uri: Annotated[str, typer.Argument(help="A grammar: a path, file:, http(s): or builtin: URI.")],
    match: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Match these words or keys.")
    ] = None,
    mode: Annotated[
        str | None, typer.Option(help="voice or dtmf, where the grammar does not say.")
    ] = None,
    lang: Annotated[str, typer.Option(help="The language, where the grammar does not say.")] = "",
    generate: Annotated[int, typer.Option(metavar="N", help="Make N random sentences.")] = 0,
    seed: Annotated[int | None, typer.Option(help="The same sentences each time.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Only say what grammar it is.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Match a text against a grammar (SRGS in XML or ABNF, JSGF, GSL), or make sentences of it.

    Exit status: 0 accepted, 1 rejected, 2 bad usage or the grammar is in error.
    """
    if mode not in {None, "voice", "dtmf"}:
        raise typer.BadParameter(f"expected voice or dtmf, not {mode!r}")
    if match is None and not generate and not check:
        raise typer.BadParameter("expected --match, --generate or --check")
    from vxml_server.grammar import inspect  # noqa: PLC0415 (slow)

    _print_anything()
    wanted = inspect.Wanted(match, generate, seed, check)
    status = asyncio.run(_grammar(uri, wanted, mode, lang, as_json=as_json))
    raise typer.Exit(status)


@app.command()
def listen(
    file: Annotated[Path, typer.Argument(help="Speech, in any format that prompts may have.")],
    grammar: Annotated[
        list[str] | None,
        typer.Option(
            "--grammar", metavar="G", help="A path, file:, http(s): or builtin: URI; repeatable."
        ),
    ] = None,
    lang: Annotated[str, typer.Option(help="The language that is spoken.")] = "en",
    engine: Annotated[str, typer.Option(help="This recogniser alone.")] = "",
    config: Annotated[
        Path | None, typer.Option(help="Settings (TOML) with the recognisers and models.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what the recogniser hears in a recording: with no grammar, dictation.

    Exit status: 0 a grammar matches, 1 none does or there is no speech, 2 bad usage, or a file, a
    grammar or an engine that cannot be used.
    """
    from vxml_server.asr import inspect  # noqa: PLC0415 (slow)
    from vxml_server.audio import decode  # noqa: PLC0415 (slow)
    from vxml_server.events import VoiceXmlEvent  # noqa: PLC0415 (slow)
    from vxml_server.settings import SettingsError, load  # noqa: PLC0415 (slow)

    _print_anything()
    try:
        settings = load(config, os.environ).asr
        grammars = asyncio.run(_voice_grammars(grammar or [], lang))
        audio = decode(file.read_bytes(), mimetypes.guess_type(file.name)[0] or "")
        record, status = inspect.listen(audio.pcm, grammars, lang, settings, engine)
    except SettingsError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(USAGE_ERROR) from None
    except (OSError, VoiceXmlEvent) as error:
        record, status = {"error": str(error)}, inspect.IN_ERROR
    typer.echo(json.dumps(record, ensure_ascii=False) if as_json else inspect.in_words(record))
    raise typer.Exit(status)


# A call ------------------------------------------------------------------------------------------


def _variable(text: str) -> tuple[str, Json]:
    name, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[A-Za-z_$][\w$]*", name):
        raise typer.BadParameter(f"expected --var NAME=JSON, not {text!r}")
    try:
        parsed: Json = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"--var {name}: expected JSON, not {value!r} ({error})") from None
    return name, parsed


async def _call(
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

    fetcher = _open_fetcher()
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


async def _grammar(uri: str, wanted: Wanted, mode: str | None, lang: str, *, as_json: bool) -> int:
    from vxml_server.fetch import FetchRequest  # noqa: PLC0415 (slow)
    from vxml_server.grammar import inspect  # noqa: PLC0415 (slow)

    fetcher = _open_fetcher()
    fetch = fetcher.session()

    async def read(target: str) -> bytes:
        return (await fetch.fetch(FetchRequest(target))).body

    try:
        records, status = await inspect.inspect(uri, read, wanted, mode, lang)
    finally:
        await fetcher.close()
    for record in records:
        typer.echo(json.dumps(record, ensure_ascii=False) if as_json else inspect.in_words(record))
    return status


async def _voice_grammars(uris: list[str], lang: str) -> list[tuple[str, Grammar]]:
    from vxml_server.fetch import FetchRequest  # noqa: PLC0415 (slow)
    from vxml_server.grammar import builtin, load_async  # noqa: PLC0415 (slow)

    fetcher = _open_fetcher()
    fetch = fetcher.session()

    async def read(target: str) -> bytes:
        return (await fetch.fetch(FetchRequest(target))).body

    async def grammar_at(uri: str) -> Grammar:
        if uri.startswith("builtin:"):
            return builtin(uri, lang, "voice")
        return await load_async(uri, fetch=read, mode="voice", lang=lang)

    try:
        return [(uri, await grammar_at(uri)) for uri in uris]
    finally:
        await fetcher.close()


def _open_fetcher() -> Fetcher:
    """A fetcher for one's own machine: whoever types the command may read what it can reach."""
    from vxml_server.clock import SystemClock  # noqa: PLC0415 (slow)
    from vxml_server.fetch import Fetcher  # noqa: PLC0415 (slow)
    from vxml_server.settings import FetchSettings  # noqa: PLC0415 (slow)

    everything = FetchSettings(files=(Path(Path.cwd().anchor),), allow=("*",))
    return Fetcher(everything, SystemClock())


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


# What is printed ---------------------------------------------------------------------------------


def _json_writer() -> Callable[[Record], None]:
    _print_anything()
    return lambda record: typer.echo(json.dumps(record, ensure_ascii=False))


def _print_anything() -> None:
    """A document may say what the terminal's encoding, or none, can show."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")


_STYLES = {
    "prompt": "bold",
    "input": "bold cyan",
    "throw": "yellow",
    "end": "bold magenta",
}


def _text_writer() -> Callable[[Record], None]:
    from rich.console import Console  # noqa: PLC0415 (slow)
    from rich.text import Text  # noqa: PLC0415 (slow)

    from vxml_server.interpreter.trace import described  # noqa: PLC0415 (slow)

    _print_anything()
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


if __name__ == "__main__":
    main()
