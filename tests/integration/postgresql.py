"""A PostgreSQL of our own: a cluster in a folder, started, restarted and thrown away by the tests.

The server refuses to run as root; there it runs as the user that the package has made.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.integration.needs import missing
from tests.integration.ports import free_ports

_INSTALLED = Path("/usr/lib/postgresql")
_USER = "postgres"
# Without fsync a crash of the machine would lose data; a crash of the server does not.
_SETTINGS = """
listen_addresses = '127.0.0.1'
fsync = off
full_page_writes = off
max_connections = 120
"""


class PostgreSql:
    """One cluster. `url` names a new database in it each time."""

    def __init__(self, programs: Path) -> None:
        self.port = free_ports()
        self._programs = programs
        # Not pytest's folder, into which only its owner may look.
        self._folder = Path(tempfile.mkdtemp(prefix="vxml-postgresql-"))
        if os.geteuid() == 0:
            shutil.chown(self._folder, _USER)
        self._data = self._folder / "data"
        self._run("initdb", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-sync")
        with (self._data / "postgresql.conf").open("a", encoding="utf-8") as settings:
            settings.write(f"{_SETTINGS}port = {self.port}\n")
            settings.write(f"unix_socket_directories = '{self._folder}'\n")
        self.start()

    def url(self, *, through_file: bool = False, template: str = "template1") -> str:
        """A new database, made as another one is, and reached `through_file` for half the price of
        a network connection."""
        name = f"test_{uuid4().hex}"
        server = ("--host=127.0.0.1", f"--port={self.port}", "--username=postgres")
        subprocess.run(
            [self._programs / "createdb", *server, f"--template={template}", name],
            check=True,
        )
        if through_file:
            there = f"host={self._folder}&port={self.port}"
            return f"postgresql+asyncpg://postgres@/{name}?{there}"
        return f"postgresql+asyncpg://postgres@127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        self._run("pg_ctl", "start", "--wait", f"--log={self._folder / 'log'}")

    def stop(self, mode: str = "fast") -> None:
        """`fast` ends the connections, `immediate` is a crash."""
        self._run("pg_ctl", "stop", "--wait", f"--mode={mode}")

    def restart(self, mode: str = "fast") -> None:
        self.stop(mode)
        self.start()

    def close(self) -> None:
        self.stop("immediate")
        shutil.rmtree(self._folder)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), f"--pgdata={self._data}", *arguments]
        user = _USER if os.geteuid() == 0 else None
        with (self._folder / "output").open("ab") as output:
            done = subprocess.run(
                command, cwd=self._folder, user=user, stdout=output, stderr=output, check=False
            )
        assert done.returncode == 0, (self._folder / "output").read_text()


def programs() -> Path | None:
    """Where the newest installed version has its programs; None when there is none."""
    found = sorted(_INSTALLED.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    return found[-1].parent if found else None


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSql]:
    found = programs()
    if found is None:
        missing("PostgreSQL (package postgresql)")
    cluster = PostgreSql(found)
    try:
        yield cluster
    finally:
        cluster.close()
