"""`vxml-server recordings`: recordings as files that anybody can play."""

from __future__ import annotations

import asyncio
import getpass
import os
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Recordings of conversations.", no_args_is_help=True)
Config = Annotated[Path | None, typer.Option(help="Settings (TOML); else the defaults.")]


@app.command()
def export(
    recording: Annotated[str, typer.Argument(metavar="ID")],
    out: Annotated[Path, typer.Option(help="The file to make.")],
    config: Config = None,
) -> None:
    """Get a recording from where it is kept, decrypted. The log says who did.

    Exit status: 0 the file is there, 1 it could not be had, 2 bad usage.
    """
    from vxml_server import app as server  # noqa: PLC0415 (slow)
    from vxml_server.clock import SystemClock  # noqa: PLC0415 (slow)

    work = server.export_recording(
        recording,
        out,
        typer.echo,
        _complain,
        clock=SystemClock(),
        by=f"{getpass.getuser()} at the command line",
        config=config,
    )
    raise typer.Exit(asyncio.run(work))


@app.command()
def decrypt(
    file: Annotated[Path, typer.Argument(help="A file of the target or of the spool.")],
    out: Annotated[Path, typer.Option(help="The file to make.")],
    config: Config = None,
) -> None:
    """Make a file playable, also one that a crash has cut off.

    Exit status: 0 the file is there, 1 it cannot be decrypted, 2 bad usage.
    """
    from vxml_server import recording  # noqa: PLC0415 (slow)
    from vxml_server.settings import SettingsError, load  # noqa: PLC0415 (slow)

    try:
        keyring = recording.keyring(load(config, os.environ).recording)
        octets = recording.decrypt(file, out, keyring)
    except SettingsError as error:
        _complain(str(error))
        raise typer.Exit(2) from None
    except (OSError, recording.EnvelopeError, recording.CannotRecord) as error:
        _complain(str(error))
        raise typer.Exit(1) from None
    typer.echo(f"{out}: {octets} octets")


def _complain(text: str) -> None:
    typer.echo(f"Error: {text}", err=True)
