"""The commands but for their longer bodies."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vxml_server.cli import calling, grammars, recordings, terminal

if TYPE_CHECKING:
    from vxml_server.interpreter.script import Script

USAGE_ERROR = 2

app = typer.Typer(
    name="vxml-server",
    help="An IVR application server: VoiceXML 2.1 over SIP and RTP.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

prompts_app = typer.Typer(help="What callers hear, made beforehand.", no_args_is_help=True)
app.add_typer(prompts_app, name="prompts")
app.add_typer(recordings.app, name="recordings")


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
    variables = dict(calling.variable(text) for text in var or ())
    steps: Script | None = None
    if script is not None:
        try:
            steps = parse_script(script.read_bytes(), str(script))
        except (ScriptError, OSError) as error:
            typer.echo(f"Error: {error}", err=True)
            raise typer.Exit(USAGE_ERROR) from None
    write = terminal.json_writer() if as_json else terminal.text_writer()
    raise typer.Exit(asyncio.run(calling.call(uri, steps, lang, variables, write, trace=trace)))


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
        terminal.print_anything()
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
        terminal.print_anything()
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
    terminal.print_anything()
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
    terminal.print_anything()
    work = server.render_prompts(
        uris,
        typer.echo,
        lambda text: typer.echo(f"Error: {text}", err=True),
        clock=SystemClock(),
        config=config,
        out=out,
    )
    raise typer.Exit(asyncio.run(work))


app.command()(grammars.grammar)
app.command()(grammars.listen)
