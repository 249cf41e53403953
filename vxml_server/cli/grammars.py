"""`vxml-server grammar` and `vxml-server listen`: what a grammar or a recogniser makes of input."""

from __future__ import annotations

import asyncio
import json
import mimetypes
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vxml_server.cli.fetching import open_fetcher
from vxml_server.cli.terminal import print_anything

if TYPE_CHECKING:
    from vxml_server.grammar import Grammar
    from vxml_server.grammar.inspect import Wanted

USAGE_ERROR = 2


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

    print_anything()
    wanted = inspect.Wanted(match, generate, seed, check)
    status = asyncio.run(_grammar(uri, wanted, mode, lang, as_json=as_json))
    raise typer.Exit(status)


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

    print_anything()
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


async def _grammar(uri: str, wanted: Wanted, mode: str | None, lang: str, *, as_json: bool) -> int:
    from vxml_server.fetch import FetchRequest  # noqa: PLC0415 (slow)
    from vxml_server.grammar import inspect  # noqa: PLC0415 (slow)

    fetcher = open_fetcher()
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

    fetcher = open_fetcher()
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
