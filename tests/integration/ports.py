"""Free ports of 127.0.0.1, below the range that the kernel hands out by itself."""

from __future__ import annotations

import itertools
import os
import socket
import threading

FIRST, LAST = 11000, 32000

_next = itertools.count(FIRST + os.getpid() * 40 % (LAST - FIRST - 2000))
_lock = threading.Lock()


def free_ports(count: int = 1, align: int = 1) -> int:
    """The first of `count` neighbouring ports free for UDP and TCP; a multiple of `align`."""
    with _lock:
        run: list[int] = []
        while len(run) < count:
            port = FIRST + (next(_next) - FIRST) % (LAST - FIRST)
            if not _is_free(port):
                run = []
            elif (run and port == run[-1] + 1) or (not run and port % align == 0):
                run.append(port)
            else:
                run = [port] if port % align == 0 else []
        return run[0]


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True
