"""Telephones that register: baresip with its password, and a trunk played by SIPp."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration import audio
from tests.integration.baresip import Baresip
from tests.integration.ports import free_ports
from tests.integration.server import Json, VxmlServer
from tests.integration.waiting import until

# baresip 1.0 gives up at a challenge with SHA-256.
SETTINGS = """\
[sip.users]
ann = "a-long-secret"

[sip.registrar]
keep_alive = 1

[queues]
definitions = "{queues}"
"""
TO_ANN = """\
<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml">
  <form><transfer name="away" dest="agent:ann" bridge="true"/></form>
</vxml>
"""
ACCOUNT = (
    "<sip:ann@127.0.0.1:{server}>;auth_user=ann;auth_pass={password};regint=60;answermode=auto"
)
SCENARIOS = Path(__file__).parent / "scenarios"


@pytest.fixture
def server(peers: None, tmp_path: Path) -> Iterator[VxmlServer]:
    folder = tmp_path / "server"
    folder.mkdir()
    (folder / "to-ann.vxml").write_text(TO_ANN, "utf-8")
    (folder / "queues.toml").write_text('[[agents]]\nname = "ann"\nline = "ann"\n', "utf-8")
    made = VxmlServer(
        folder,
        {"*": str(folder / "to-ann.vxml")},
        more_settings=SETTINGS.format(queues=folder / "queues.toml"),
        sip_settings='algorithms = ["MD5"]',
    )
    try:
        made.start()
        yield made
    finally:
        made.close()


def registrations(server: VxmlServer) -> list[Json]:
    status, text = server.get("/api/v1/registrations")
    assert status == 200
    found: list[Json] = json.loads(text)["registrations"]
    return found


def telephone(folder: Path, server: VxmlServer, transport: str, password: str) -> Baresip:
    account = ACCOUNT.format(server=server.sip_port, password=password)
    if transport != "udp":
        account += f';outbound="sip:127.0.0.1:{server.sip_port};transport={transport}"'
    return Baresip(folder, "ann", "pcmu", audio.silence(20.0), account=account)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_baresip_registers_is_known_after_a_restart_and_signs_off(
    server: VxmlServer, tmp_path: Path, transport: str
) -> None:
    phone = telephone(tmp_path / "phone", server, transport, "a-long-secret")
    try:
        [found] = until(lambda: registrations(server), 30, "baresip is registered")
        assert found["user"] == "ann"
        assert str(found["source"]).startswith(f"{transport}:127.0.0.1:")
        assert found["reachable"] is True
        # It answers our questions, or would be taken for gone by then.
        until(
            lambda: server.metrics()["vxml_server_sip_responses_received_total"] >= 2,
            30,
            "baresip answers OPTIONS",
        )
        server.stop()
        server.close()
        server.start()
        assert [one["contact"] for one in registrations(server)] == [found["contact"]]
    finally:
        phone.close()
    until(lambda: not registrations(server), 30, "baresip has signed off")
    server.stop()


def test_an_agent_whose_telephone_is_registered_is_rung_there(
    server: VxmlServer, tmp_path: Path
) -> None:
    phone = telephone(tmp_path / "phone", server, "udp", "a-long-secret")
    caller = Baresip(tmp_path / "caller", "caller", "pcmu", audio.silence(20.0))
    try:
        until(lambda: registrations(server), 30, "baresip is registered")
        server.ask("POST", "agents/ann/presence", {"presence": "available"})
        caller.dial(f"sip:help@127.0.0.1:{server.sip_port}")
        phone.wait_until_established()
        caller.hang_up()
        phone.wait_until_ended(30)
    finally:
        caller.close()
        phone.close()
    server.stop()


def test_a_wrong_password_registers_nobody_and_is_counted(
    server: VxmlServer, tmp_path: Path
) -> None:
    phone = telephone(tmp_path / "phone", server, "udp", "guessed")
    try:
        until(
            lambda: server.metrics()["vxml_server_sip_wrong_passwords_total"] >= 1,
            30,
            "the wrong password is counted",
        )
        assert registrations(server) == []
    finally:
        phone.close()
    server.stop()


def test_a_trunk_is_registered_with_while_we_run(peers: None, tmp_path: Path) -> None:
    port = free_ports()
    folder = tmp_path / "server"
    folder.mkdir()
    trunk = f"""\
[[trunks]]
name = "provider"
registrar = "sip:127.0.0.1:{port}"
user = "100"
password = "a word"
"""
    server = VxmlServer(folder, {"*": "/nothing.vxml"}, more_settings=trunk)
    command = ["sipp", "-sf", SCENARIOS / "trunk.xml", "-i", "127.0.0.1", "-p", str(port)]
    with (tmp_path / "sipp.log").open("wb") as log:
        exchange = subprocess.Popen(
            [*command, "-m", "1", "-nostdin", "-timeout", "120", "-trace_err"],
            cwd=tmp_path,
            stdout=log,
            stderr=log,
        )
    try:
        server.start()
        until(
            lambda: server.metrics()['vxml_server_trunk_registered{trunk="provider"}'] == 1,
            20,
            "the trunk is registered",
        )
        status, text = server.get("/api/v1/trunks")
        assert (status, json.loads(text)["trunks"][0]["state"]) == (200, "registered")
        server.stop()
        assert exchange.wait(30) == 0, "the exchange saw every REGISTER that it expected"
    finally:
        server.close()
        if exchange.poll() is None:
            exchange.kill()
        exchange.wait()
