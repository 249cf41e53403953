"""Free ports of 127.0.0.1, below the range that the kernel hands out by itself.

They are taken from blocks, each claimed by a lock file while this process lives, so that test runs
at the same time on one machine do not take each other's.
"""

from __future__ import annotations

import fcntl
import random
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

FIRST, LAST, BLOCK = 11000, 32000, 1000

_lock = threading.Lock()


def free_ports(count: int = 1, align: int = 1) -> int:
    """The first of `count` neighbouring ports free for UDP and TCP; a multiple of `align`."""
    with _lock:
        run: list[int] = []
        while len(run) < count:
            port = next(_ports)
            if not _is_free(port):
                run = []
            elif (run and port == run[-1] + 1) or port % align == 0:
                run = [*run, port] if run and port == run[-1] + 1 else [port]
            else:
                run = []
        return run[0]


def _claimed_ports() -> Iterator[int]:
    blocks = list(range(FIRST, LAST, BLOCK))
    random.shuffle(blocks)
    claims = []
    for block in blocks:
        claim = (Path(tempfile.gettempdir()) / f"vxml-server-test-ports-{block}.lock").open("w")
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            claim.close()
            continue
        claims.append(claim)
        yield from range(block, block + BLOCK)
    raise AssertionError("all ports for tests are taken")


_ports = _claimed_ports()


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True
