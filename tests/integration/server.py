"""The server under test as a child process: its settings, its faces, and what it must not leave.

Everything is looked at from outside: standard output, HTTP, the database file, and the open
sockets that the kernel knows.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import HTTPError

from tests.integration.ports import free_ports
from tests.integration.waiting import until

Json = dict[str, object]

COMMAND = Path(sys.executable).with_name("vxml-server")
REPOSITORY = Path(__file__).parents[2]

IDLE_GAUGES = (
    "vxml_server_calls_active",
    "vxml_server_media_channels_open",
    "vxml_server_sip_dialogs_active",
)
"""What must be zero when there is no call. Transactions end later: their timers absorb repeats."""


@dataclass(slots=True)
class VxmlServer:
    """One run of `vxml-server serve`, in `folder`, with `numbers` (number -> application)."""

    folder: Path
    numbers: dict[str, str]
    origins: tuple[str, ...] = ()
    more_settings: str = ""
    drain_seconds: float = 20
    prefix: tuple[str, ...] = ()
    """A command that runs the server, such as `taskset -c 0`."""
    media_ports: int = 400
    sip_settings: str = ""
    sip_port: int = field(default_factory=free_ports)
    web_port: int = field(default_factory=free_ports)
    media_first: int = field(default=0)
    _process: subprocess.Popen[str] | None = None
    _output: list[str] = field(default_factory=list)
    _reader: threading.Thread | None = None
    _tasks_when_idle: float = 0

    def __post_init__(self) -> None:
        self.media_first = self.media_first or free_ports(self.media_ports, align=2)

    @property
    def log(self) -> str:
        """What the server wrote to standard error so far."""
        return (self.folder / "server.log").read_text("utf-8", errors="replace")

    @property
    def database(self) -> Path:
        return self.folder / "calls.db"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        self._output.clear()
        settings = self.folder / "settings.toml"
        settings.write_text(self._settings(), "utf-8")
        with (self.folder / "server.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*self.prefix, COMMAND, "serve", "--config", settings],
                cwd=self.folder,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={k: v for k, v in os.environ.items() if not k.startswith("VXML_SERVER_")},
            )
        self._reader = threading.Thread(target=self._read, name="server-output")
        self._reader.start()
        until(lambda: self._output or self._process_ended(), 120, "the server is ready")
        assert self._output, f"the server did not start:\n{self.log}"
        assert re.fullmatch(r"ready sip=\S+ web=\S+\n", self._output[0]), self._output
        self._tasks_when_idle = self.metrics().get("vxml_server_tasks", 0)

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self, seconds: float) -> int:
        """The exit status, which must come within `seconds`."""
        assert self._process is not None
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the server still runs after {seconds} s\n{self.log}") from None

    def stop(self) -> None:
        """SIGTERM without calls: it ends at once, with status 0."""
        self.signal(signal.SIGTERM)
        status = self.wait(30)
        assert status == 0, f"exit status {status}\n{self.log}"

    def close(self) -> None:
        """Ends it whatever state it is in."""
        if self._process is not None:
            if self._process.poll() is None:
                self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            if self._reader is not None:
                self._reader.join(5)
            self._process.stdout.close()

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of an HTTP GET."""
        return self.request("GET", path)

    def request(self, method: str, path: str) -> tuple[int, str]:
        """Status and text of an HTTP request without body."""
        uri = f"http://127.0.0.1:{self.web_port}{path}"
        request = urllib.request.Request(uri, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Json:
        """The answer of `/api/v1/<path>`, which must be a good one; {} when it has no body."""
        uri = f"http://127.0.0.1:{self.web_port}/api/v1/{path}"
        data = None if body is None else json.dumps(body).encode()
        headers = {"Accept": "application/json"}
        if data:
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(uri, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
            found = json.loads(text) if text else {}
            assert isinstance(found, dict)
            return found

    def octets(self, path: str, part: str = "") -> bytes:
        """What is at a path, or the `part` of it (`bytes=0-99`)."""
        uri = f"http://127.0.0.1:{self.web_port}{path}"
        request = urllib.request.Request(uri, headers={"Range": part} if part else {})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == (206 if part else 200)
            data = answer.read()
            assert isinstance(data, bytes)
            return data

    def metrics(self) -> dict[str, float]:
        """The samples of /metrics, by name with labels."""
        status, text = self.get("/metrics")
        assert status == 200
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, _, value in (ln.rpartition(" ") for ln in lines)}

    def calls(self, state: str | None = None) -> list[Json]:
        """The call records of the REST interface, all pages of it."""
        found: list[Json] = []
        cursor = ""
        while True:
            query = f"?limit=100&cursor={cursor}" if cursor else "?limit=100"
            status, text = self.get(f"/api/v1/calls{query}" + (f"&state={state}" if state else ""))
            assert status == 200, text
            page = json.loads(text)
            found += page["calls"]
            cursor = page.get("cursor") or ""
            if not cursor:
                return found

    def records(self, sip_call_id: str) -> list[Json]:
        """The records of the call with that Call-ID."""
        return [c for c in self.calls() if c["sip_call_id"] == sip_call_id]

    def rows(self, sip_call_id: str = "") -> list[Json]:
        """The rows of the database for the call with that Call-ID, or of all calls."""
        query = "SELECT * FROM calls WHERE ? IN ('', sip_call_id)"
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute(query, (sip_call_id,))]

    def open_media_ports(self) -> list[int]:
        """The ports of the media range that the server process holds, as the kernel tells."""
        inodes = set()
        for descriptor in Path(f"/proc/{self.pid}/fd").iterdir():
            try:
                inodes.add(descriptor.readlink().name)
            except FileNotFoundError:
                continue
        ports = []
        for line in Path(f"/proc/{self.pid}/net/udp").read_text("ascii").splitlines()[1:]:
            fields = line.split()
            port = int(fields[1].rpartition(":")[2], 16)
            mine = f"socket:[{fields[9]}]" in inodes
            if mine and self.media_first <= port < self.media_first + self.media_ports:
                ports.append(port)
        return sorted(ports)

    def leftovers(self) -> list[str]:
        """What is still there of calls: nothing, when there is none."""
        metrics = self.metrics()
        found = [f"{name}={metrics[name]:g}" for name in IDLE_GAUGES if metrics[name]]
        # A document from the server itself leaves a connection to it open for a while.
        allowed = self._tasks_when_idle + self._web_connections()
        if (tasks := metrics["vxml_server_tasks"]) > allowed:
            found.append(f"vxml_server_tasks={tasks:g}, {allowed:g} when idle")
        found += [f"media port {port} open" for port in self.open_media_ports()]
        found += [f"active call {call['id']}" for call in self.calls("active")]
        return found

    def assert_nothing_left(self, seconds: float = 20) -> None:
        """No call, port, dialog or task is left, at the latest after `seconds`."""
        deadline = time.monotonic() + seconds
        while leftovers := self.leftovers():
            assert time.monotonic() < deadline, leftovers
            time.sleep(0.1)

    def _web_connections(self) -> int:
        """Established connections to the web port."""
        lines = Path(f"/proc/{self.pid}/net/tcp").read_text("ascii").splitlines()[1:]
        fields = [line.split() for line in lines]
        port = f":{self.web_port:04X}"
        return sum(f[1].endswith(port) and f[3] == "01" for f in fields)

    def _settings(self) -> str:
        origins = [f"http://127.0.0.1:{self.web_port}", *self.origins]
        numbers = "".join(
            f"[[numbers]]\nnumber = {json.dumps(n)}\napplication = {json.dumps(a)}\n\n"
            for n, a in self.numbers.items()
        )
        return f"""\
drain_seconds = {self.drain_seconds}

[sip]
listen = ["udp://127.0.0.1:{self.sip_port}", "tcp://127.0.0.1:{self.sip_port}"]
trusted = ["127.0.0.1/32"]
{self.sip_settings}

[media]
address = "127.0.0.1"
ports = "{self.media_first}-{self.media_first + self.media_ports - 1}"

[web]
listen = "http://127.0.0.1:{self.web_port}"
apps = {json.dumps(str(REPOSITORY / "apps"))}

[store]
url = "sqlite+aiosqlite:///{self.database}"

[dial]
allow = ["sip:*@127.0.0.1"]

[fetch]
allow = {json.dumps(origins)}

{self.more_settings}
{numbers}"""

    def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._output.append(line)

    def _process_ended(self) -> bool:
        assert self._process is not None
        return self._process.poll() is not None
