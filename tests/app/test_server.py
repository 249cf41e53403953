"""The composition root with real sockets on 127.0.0.1 and ports that the system chooses."""

from __future__ import annotations

import asyncio
import random
import re
import socket
import threading
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.app.servers import server, settings, taken
from tests.asr.scripted import ScriptedEngine
from vxml_server.app import Server
from vxml_server.app.errors import CannotStart
from vxml_server.app.server import back_ends, host_of
from vxml_server.asr import recogniser
from vxml_server.clock import SystemClock
from vxml_server.media import MediaEngine
from vxml_server.settings import MailSettings, TtsSettings

BACK_END = """\
from dataclasses import dataclass
from aiohttp import web

@dataclass
class Greeting:
    text: str = "hello"

async def greet(request):
    return web.Response(text=Greeting().text)

def application():
    app = web.Application()
    app.router.add_get("/greeting", greet)
    return app
"""


def media_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "media"]


async def test_a_server_starts_answers_and_stops_without_a_trace(tmp_path: Path) -> None:
    (tmp_path / "greeter").mkdir()
    (tmp_path / "greeter" / "backend.py").write_text(BACK_END, "utf-8")
    chosen = settings(tmp_path)
    speaks = chosen.tts.model_copy(update={"isolated": TtsSettings().isolated})
    chosen = chosen.model_copy(update={"tts": speaks})
    started = Server(chosen, SystemClock(), random.Random(1))
    ready = await started.start()
    found = re.fullmatch(r"ready sip=udp://127\.0\.0\.1:\d+ web=(http://127\.0\.0\.1:\d+)", ready)
    assert found is not None, ready
    async with aiohttp.ClientSession(found[1]) as client:
        async with client.get("/healthz") as answer:
            assert answer.status == 200
        async with client.get("/apps/greeter/api/greeting") as answer:
            assert await answer.text() == "hello"
        async with client.get("/metrics") as answer:
            metrics = await answer.text()
        await started.drain()
        async with client.get("/healthz") as answer:
            assert answer.status == 503
    await started.stop()
    assert media_threads() == []
    assert asyncio.all_tasks() == {asyncio.current_task()}
    samples = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if line[0] != "#")
    for name in ("calls_active", "sip_dialogs_active", "media_channels_open"):
        assert samples[f"vxml_server_{name}"] == "0.0"
    assert float(samples["vxml_server_tasks"]) >= 1
    assert 'vxml_server_media_tick_lateness_seconds_bucket{le="+Inf"}' in samples


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
async def test_a_server_that_cannot_have_an_address_leaves_nothing_running(
    tmp_path: Path, kind: socket.SocketKind
) -> None:
    with taken(kind) as holder:
        port = holder.getsockname()[1]
        which = {"sip": port} if kind is socket.SOCK_DGRAM else {"web": port}
        with pytest.raises(OSError, match="in use"):
            await server(tmp_path, **which).start()
    assert media_threads() == []
    assert asyncio.all_tasks() == {asyncio.current_task()}
    # The store was closed too: it lets the next one in.
    second = server(tmp_path)
    await second.start()
    await second.stop()


@pytest.mark.parametrize("mutes", [False, True])
async def test_the_media_are_told_whether_keys_are_muted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mutes: bool
) -> None:
    told: list[bool] = []

    class Engine(MediaEngine):
        def __init__(self, *, mute_keys: bool = False, **others: Any) -> None:
            super().__init__(mute_keys=mute_keys, **others)
            told.append(mute_keys)

    monkeypatch.setattr("vxml_server.app.server.MediaEngine", Engine)
    chosen = settings(tmp_path)
    media = chosen.media.model_copy(update={"mute_keys": mutes})
    started = Server(chosen.model_copy(update={"media": media}), SystemClock(), random.Random(1))
    await started.start()
    await started.stop()
    assert told == [mutes]


async def test_a_back_end_with_a_fault_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "greeter").mkdir()
    (tmp_path / "greeter" / "backend.py").write_text("import nothing_of_that_name", "utf-8")
    with pytest.raises(CannotStart, match=r"greeter/backend\.py: ModuleNotFoundError"):
        await server(tmp_path).start()
    assert media_threads() == []


@pytest.mark.parametrize(
    "code",
    [
        "def application(:",
        "raise RuntimeError('not today')",
        "application = None",
        "def application():\n    return {}",
        "",
    ],
)
def test_what_is_no_back_end_is_said_to_be_none(tmp_path: Path, code: str) -> None:
    (tmp_path / "greeter").mkdir()
    (tmp_path / "greeter" / "backend.py").write_text(code, "utf-8")
    with pytest.raises(CannotStart, match="greeter"):
        back_ends(tmp_path)


def test_without_a_folder_there_are_no_back_ends(tmp_path: Path) -> None:
    assert back_ends(None) == {}
    assert back_ends(tmp_path / "nowhere") == {}
    assert back_ends(tmp_path) == {}


async def test_a_recogniser_that_there_is_not_stops_the_start(tmp_path: Path) -> None:
    chosen = settings(tmp_path, ears='"nuance"')
    with pytest.raises(CannotStart, match="asr: there is no recogniser 'nuance'"):
        await Server(chosen, SystemClock(), random.Random(1)).start()
    assert media_threads() == []


async def test_authorities_that_cannot_be_read_stop_the_start(tmp_path: Path) -> None:
    mail = MailSettings(host="127.0.0.1", sender="a@b.example", ca=tmp_path / "none.pem")
    chosen = settings(tmp_path).model_copy(update={"mail": mail})
    with pytest.raises(CannotStart, match=r"mail: ca: .*none\.pem"):
        await Server(chosen, SystemClock(), random.Random(1)).start()
    assert media_threads() == []


async def test_recognisers_load_beside_the_server_and_are_closed_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, loaded = ScriptedEngine(), threading.Event()
    monkeypatch.setattr(engine, "load", loaded.set)
    monkeypatch.setattr(recogniser, "build", lambda name, settings: engine)
    chosen = settings(tmp_path, ears='"pocketsphinx"')
    one = Server(chosen, SystemClock(), random.Random(1))
    await one.start()
    assert await asyncio.to_thread(loaded.wait, 10)
    assert one.recogniser is not None
    await one.stop()
    assert engine.is_closed


@pytest.mark.parametrize(
    ("uri", "host"),
    [
        ("sip:1000@GW.test", "gw.test"),
        ("sip:1000@gw.test:5061;transport=tcp", "gw.test"),
        ("sip:a/b@gw.test", "gw.test"),
        ("sip:gw.test", "gw.test"),
        ("sips:1@[2001:DB8::1]:5061;transport=tls", "2001:db8::1"),
    ],
)
def test_credentials_are_chosen_by_the_host_alone(uri: str, host: str) -> None:
    assert host_of(uri) == host


async def test_only_the_host_that_they_are_for_is_given_credentials(tmp_path: Path) -> None:
    one = server(tmp_path)
    found = one._credentials("sip:1@gw.test:5060")
    assert found is not None
    assert (found.username, found.password) == ("ivr", "secret")
    assert one._credentials("sip:gw.test/1@127.0.0.1") is None


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"engines": ("hal",)}, "tts: there is no speech engine 'hal'"),
        ({"engines": ("piper",), "isolated": ()}, "tts: piper has no voices"),
    ],
)
async def test_an_engine_of_speech_that_cannot_speak_stops_the_start(
    tmp_path: Path, table: dict[str, object], message: str
) -> None:
    chosen = settings(tmp_path)
    chosen = chosen.model_copy(update={"tts": TtsSettings.model_validate(table)})
    with pytest.raises(CannotStart, match=message):
        await Server(chosen, SystemClock(), random.Random(1)).start()
    assert media_threads() == []
