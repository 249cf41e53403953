"""Peers, servers and the capture that all integration tests share.

A peer that is missing skips the tests here; with CI=true in the environment it fails them instead,
so that a build cannot be green because nothing was called.

A call that fails while the machine stood still (see `witness`) proves nothing and is made once
more; the summary counts it as `rerun`. One that fails on a machine that ran has failed.
"""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.integration import again
from tests.integration.caller import Caller
from tests.integration.documents import DocumentServer
from tests.integration.needs import missing
from tests.integration.ports import free_ports
from tests.integration.server import COMMAND, VxmlServer
from tests.integration.waiting import until
from tests.integration.wire import Wire
from tests.integration.witness import Witness

HERE = Path(__file__).parent
STOOD_STILL = 0.020
"""Seconds without a processor, from which on telephones miss a packet's turn."""
_witness = pytest.StashKey[Witness]()

FAR_ENDS = (
    "echo",
    "busy",
    "rings",
    "far-leaves",
    "near-leaves",
    "caller-leaves",
    "endless-talk",
    "consulted-busy",
    "consulted",
    "handed-on",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Modules whose packets are timed are `calls`: they want the processors for themselves."""
    here = [item for item in items if item.path.is_relative_to(HERE)]
    calls = {
        item.path
        for item in here
        if isinstance(item, pytest.Function) and "wire" in item.fixturenames
    }
    for item in here:
        item.add_marker(pytest.mark.integration)
        if item.path in calls:
            item.add_marker(pytest.mark.calls)
            again.once_more_if(item, partial(_stood_still, item.config))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    again.before(item)


def _stood_still(config: pytest.Config, since: float) -> bool:
    """Whether the machine ran nobody for a while since then."""
    witness = config.stash.get(_witness, None)
    return witness is not None and any(
        end > since and end - start > STOOD_STILL for start, end in witness.stalls()
    )


def _missing() -> list[str]:
    found = [f"the program {p} (package {package})" for p, package in PEERS if not shutil.which(p)]
    if not COMMAND.exists():
        found.append(f"the command {COMMAND}")
    try:
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP).close()
    except PermissionError:
        found.append("the right to open raw sockets (root, or CAP_NET_RAW)")
    return found


PEERS = (("sipp", "sip-tester"), ("baresip", "baresip-core"))


@pytest.fixture(scope="session")
def peers() -> None:
    """Asks for everything that the tests need of the machine."""
    if lacking := _missing():
        missing(", ".join(lacking))


@pytest.fixture(scope="session")
def wire(peers: None, witness: Witness) -> Iterator[Wire]:
    """Whoever has packets timed has the machine watched, too."""
    wire = Wire()
    yield wire
    wire.close()


@pytest.fixture(scope="session")
def witness(
    peers: None, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Witness]:
    witness = Witness(tmp_path_factory.mktemp("witness"))
    request.config.stash[_witness] = witness
    yield witness
    witness.close()


@pytest.fixture(scope="session")
def documents(peers: None) -> Iterator[DocumentServer]:
    documents = DocumentServer(free_ports())
    documents.start()
    yield documents
    documents.close()


def applications(server: VxmlServer, documents: DocumentServer) -> dict[str, str]:
    """Every number that a test may call, and its application."""
    transfer = "transfer.vxml?type={type}&maxtime={maxtime}s&far={far}"
    numbers = {
        "bank": f"http://127.0.0.1:{server.web_port}/apps/bank/en/index.vxml",
        "banque": f"http://127.0.0.1:{server.web_port}/apps/bank/fr/index.vxml",
        "keys": documents.uri("keys.vxml?seconds=8"),
        "short": documents.uri("keys.vxml?seconds=1"),
        "record": documents.uri("record.vxml"),
        "late": documents.uri("late.vxml"),
        "missing-entry": documents.uri("no-such.vxml"),
        "endless-script": documents.uri("endless-script.vxml"),
        "forbidden": documents.uri(
            transfer.format(type="bridge", maxtime=30, far="sip:far@192.0.2.1")
        ),
    }
    for far in FAR_ENDS:
        kinds = {
            "consulted": "consultation",
            "consulted-busy": "consultation",
            "handed-on": "blind",
        }
        kind = kinds.get(far, "bridge")
        maxtime = 2 if far == "endless-talk" else 30
        numbers[f"to-{far}"] = documents.uri(transfer.format(type=kind, maxtime=maxtime, far=far))
    for bad in ("malformed", "no-such", "slow", "huge", "bomb"):
        numbers[f"goes-to-{bad}"] = documents.uri(f"goes-to.vxml?next={bad}.vxml")
    return numbers


@pytest.fixture(scope="session")
def server(
    documents: DocumentServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VxmlServer]:
    """The server that most tests share. It must survive them all, and end on SIGTERM with 0."""
    server = VxmlServer(tmp_path_factory.mktemp("server"), {}, (documents.origin,))
    server.numbers = applications(server, documents)
    try:
        server.start()
        yield server
        # Timers H, I and J hold transactions for 64*T1 after the last call (RFC 3261, 17.2).
        until(
            lambda: not server.metrics()["vxml_server_sip_transactions_active"],
            60,
            "all SIP transactions have ended",
        )
        server.stop()
    finally:
        server.close()


@pytest.fixture(scope="module")
def caller(
    server: VxmlServer,
    documents: DocumentServer,
    wire: Wire,
    witness: Witness,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Caller]:
    caller = Caller(server, documents, wire, witness, tmp_path_factory.mktemp("calls"))
    yield caller
    caller.close()
