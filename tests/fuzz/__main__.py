"""python -m tests.fuzz --runs 100000 [--seed N] [--minutes M] [--keep FOLDER]

Each run has a seed, from N on; one is repeated with `--seed N --runs 1`. What is found is printed
with its seed and its last lines, and its pages are written to FOLDER. Exit status 1 if anything is.
What hangs where no signal reaches it ends the process with a traceback; its seed is the last in
FOLDER/running.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import os
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from random import Random

from tests.fuzz.runs import LONGEST, Hang, Run, Runner, draw

# The stores and caches are full after so many runs: from there on memory must stay what it is.
SETTLED = 5000
# What an allocator may keep for itself.
ALLOWED_GROWTH = 32 * 1024 * 1024


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=0, help="stop after so long")
    parser.add_argument("--keep", type=Path, help="folder for the pages of runs that failed")
    arguments = parser.parse_args()
    runner, reasons, found = Runner(), Counter[str](), Counter[str]()
    started = time.monotonic()
    settled_at = last = 0
    slowest = (0.0, 0)
    for last in range(arguments.seed, arguments.seed + arguments.runs):
        run = draw(Random(last))
        if arguments.keep:
            arguments.keep.mkdir(parents=True, exist_ok=True)
            (arguments.keep / "running").write_text(str(last))
        faulthandler.dump_traceback_later(3 * LONGEST, exit=True)
        began = time.monotonic()
        try:
            outcome = runner.run(run).outcome
            reasons[outcome.error or outcome.reason] += 1
        except (Exception, Hang) as failure:
            where = traceback.extract_tb(failure.__traceback__)[-1]
            kind = f"{type(failure).__name__} at {Path(where.filename).name}:{where.lineno}"
            found[kind] += 1
            if found[kind] == 1:
                _tell(last, run, arguments.keep)
            runner = Runner()
        slowest = max(slowest, (time.monotonic() - began, last))
        done = last + 1 - arguments.seed
        if done == SETTLED:
            settled_at = memory()
        if done % 5000 == 0:
            _say(f"{done} runs, {time.monotonic() - started:.0f} s, {memory() >> 20} MB")
        if arguments.minutes and time.monotonic() - started > arguments.minutes * 60:
            break
    seconds = time.monotonic() - started
    done = last + 1 - arguments.seed
    _say(f"{done} runs in {seconds:.0f} s, {done / seconds:.0f} a second")
    _say(f"slowest {slowest[0]:.2f} s (seed {slowest[1]})")
    _say("ended: " + ", ".join(f"{name} {count}" for name, count in reasons.most_common(12)))
    for kind, count in found.most_common():
        _say(f"FOUND {count} x {kind}")
    grown = memory() - settled_at if settled_at and done > 2 * SETTLED else 0
    if settled_at:
        _say(f"memory: {settled_at >> 20} MB after {SETTLED} runs, {grown / 2**20:+.1f} MB since")
    return int(bool(found) or grown > ALLOWED_GROWTH)


def _tell(seed: int, run: Run, keep: Path | None) -> None:
    _say(f"--- seed {seed}: {run.script}")
    _say("".join(traceback.format_exc().splitlines(keepends=True)[-14:]))
    if keep is not None:
        folder = keep / str(seed)
        folder.mkdir(parents=True, exist_ok=True)
        for name, body in run.pages.items():
            (folder / name).write_bytes(body)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def memory(pid: int | None = None) -> int:
    """Bytes of a process, or of this one, in memory; 0 where the system does not say."""
    gc.collect()
    try:
        pages = int(Path(f"/proc/{pid or 'self'}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    sys.exit(main())
