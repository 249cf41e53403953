"""When this machine ran nobody: what a late packet must not be blamed on the server for.

On each core a small process wakes every 10 ms and notes when it was woken late. It does nothing
else and asks for nothing, so a stall that it suffers is the machine's (a virtual machine that was
not scheduled, cores taken by others), and a packet that is late in such a moment proves nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_PROGRAM = """
import os, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
parent, due = os.getppid(), time.monotonic()
while os.getppid() == parent:
    due += 0.010
    time.sleep(max(0.0, due - time.monotonic()))
    late = time.monotonic() - due
    if late > 0.008:
        now = time.time()
        print(now - late, now, flush=True)
        due += late
"""


class Witness:
    """Runs from its making to `close`."""

    def __init__(self, folder: Path) -> None:
        self._logs = []
        self._processes = []
        for cpu in sorted(os.sched_getaffinity(0)):
            log = folder / f"stalls-{cpu}.txt"
            with log.open("w") as output:
                command = [sys.executable, "-c", _PROGRAM, str(cpu)]
                self._processes.append(subprocess.Popen(command, stdout=output))
            self._logs.append(log)

    def close(self) -> None:
        for process in self._processes:
            process.terminate()
            process.wait()

    def stalls(self) -> list[tuple[float, float]]:
        """From when to when a core did not run its witness, in seconds of the wall clock."""
        lines = [line for log in self._logs for line in log.read_text("ascii").splitlines()]
        return sorted((float(a), float(b)) for a, b in (line.split() for line in lines))
