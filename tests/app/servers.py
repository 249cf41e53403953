"""Servers with settings in a folder of their own."""

from __future__ import annotations

import random
import socket
from pathlib import Path

from vxml_server.app import Server
from vxml_server.clock import SystemClock
from vxml_server.settings import Settings, load

SETTINGS = """\
drain_seconds = 1
[sip]
listen = ["udp://127.0.0.1:{sip}"]
[media]
address = "127.0.0.1"
ports = "36000-36019"
[web]
listen = "http://127.0.0.1:{web}"
apps = "{folder}"
[store]
url = "sqlite+aiosqlite:///{folder}/calls.db"
[[numbers]]
number = "*"
application = "{folder}/start.vxml"
[tts]
isolated = []
[asr]
engines = []
[dial]
allow = ["sip:*@127.0.0.1"]
[dial.credentials."gw.test"]
user = "ivr"
password = "secret"
"""


def settings(folder: Path, *, sip: int = 0, web: int = 0, ears: str = "") -> Settings:
    file = folder / "settings.toml"
    text = SETTINGS.format(folder=folder, sip=sip, web=web)
    file.write_text(text.replace("engines = []", f"engines = [{ears}]"), "utf-8")
    return load(file, {})


def server(folder: Path, *, sip: int = 0, web: int = 0) -> Server:
    return Server(settings(folder, sip=sip, web=web), SystemClock(), random.Random(1))


def taken(kind: socket.SocketKind) -> socket.socket:
    """A socket that holds a port."""
    holder = socket.socket(socket.AF_INET, kind)
    holder.bind(("127.0.0.1", 0))
    if kind is socket.SOCK_STREAM:
        holder.listen()
    return holder
