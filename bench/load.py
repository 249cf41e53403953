"""Many calls at a time: does every caller hear every word?

    python bench/load.py [--calls 200] [--rate 20] [--seconds 20] [--cpu 0] [--json FILE]

The server runs on one core; SIPp, which calls, and `rtp_peer`, which listens and talks back, run on
the others. Every call hears prompts all the time and is sent 50 packets a second, as by a
telephone. A gap is more than 30 ms between two packets by the kernel's time stamps, wherever in the
call. First, the floor: the same streams from a bare C loop on the server's core to the same
listener. What the machine does to that loop it does to the server too.

Ends with status 1 unless no call failed, no call was silent, and under 1 % of the packets came
after a gap. Uses 127.0.0.1 alone, and ends by itself whatever happens.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).parent
# The child process, its settings and its free ports are those of the integration tests.
sys.path.insert(0, str(HERE.parent))

from tests.integration.ports import free_ports  # noqa: E402
from tests.integration.server import VxmlServer  # noqa: E402

FLOOR_SECONDS = 5
MOST_GAPS = 0.01
LEAST_SOUND = 0.5
"""Share of a call's packets that must have sound: prompts have pauses between words."""


@dataclass(frozen=True, slots=True)
class Listened:
    """What the C peer heard, over all streams. `gap_share` is gaps for each packet."""

    streams: int
    packets: int
    lost: int
    gaps: int
    gap_share: float
    longest_ms: float
    silent: int
    """Streams with nothing, or with sound in less than `LEAST_SOUND` of their packets."""


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of one run. CPU is in cores, while all calls were up."""

    calls: int
    failed: int
    floor: Listened
    floor_cpu: float
    server: Listened
    server_cpu: float
    server_ticks_late: float
    server_received: float
    """RTP packets that the server had from its callers."""

    @property
    def passed(self) -> bool:
        return self.failed == 0 and self.server.silent == 0 and self.server.gap_share < MOST_GAPS


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--rate", type=int, default=20, help="new calls a second")
    parser.add_argument("--seconds", type=int, default=20, help="length of a call")
    parser.add_argument("--cpu", type=int, default=0, help="the core of the server")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    if options.calls / options.rate > options.seconds - 3:
        parser.error("the last call must begin well before the first ends: raise --seconds")
    with tempfile.TemporaryDirectory(prefix="load-") as folder:
        report = measure(Path(folder), options.calls, options.rate, options.seconds, options.cpu)
    print_report(report)
    if options.json is not None:
        options.json.write_text(json.dumps(asdict(report), indent=1) + "\n", "utf-8")
    return 0 if report.passed else 1


def measure(folder: Path, calls: int, rate: int, seconds: int, cpu: int) -> Report:
    """One floor and one run with calls."""
    peer = folder / "rtp_peer"
    subprocess.run(["cc", "-O2", "-o", peer, HERE / "rtp_peer.c"], check=True)
    others = ",".join(str(c) for c in sorted(os.sched_getaffinity(0) - {cpu})) or str(cpu)
    first = free_ports(2 * calls, align=2)

    listener = Listener(peer, others, first, calls, FLOOR_SECONDS + 5)
    sender = [
        "taskset",
        "-c",
        str(cpu),
        str(peer),
        "send",
        str(first),
        str(calls),
        str(FLOOR_SECONDS),
    ]
    sent = subprocess.run(sender, check=True, capture_output=True, text=True)
    floor_cpu = json.loads(sent.stdout)["cpu_seconds"] / FLOOR_SECONDS
    floor = listener.stop()

    server = VxmlServer(
        folder,
        {"load": str(HERE / "load.vxml")},
        more_settings='[log]\nlevel = "warning"\n',
        prefix=("taskset", "-c", str(cpu)),
        media_ports=2 * calls + 20,
    )
    ramp = calls / rate
    try:
        server.start()
        listener = Listener(peer, others, first, calls, ramp + seconds + 30)
        sipp = start_sipp(folder, server.sip_port, others, first, calls, rate, seconds)
        began = time.monotonic()
        time.sleep(ramp + 1)
        at, used = time.monotonic(), cpu_seconds(server.pid)
        time.sleep(max(0.5, began + seconds - 0.5 - time.monotonic()))
        server_cpu = (cpu_seconds(server.pid) - used) / (time.monotonic() - at)
        try:
            sipp.wait(ramp + seconds + 20)
        except subprocess.TimeoutExpired:
            sipp.kill()
            sipp.wait()
        heard = listener.stop()
        metrics = server.metrics()
        server.stop()
    finally:
        server.close()
    return Report(
        calls=calls,
        failed=failed(folder, calls),
        floor=floor,
        floor_cpu=floor_cpu,
        server=heard,
        server_cpu=server_cpu,
        server_ticks_late=metrics["vxml_server_media_ticks_late_total"],
        server_received=metrics["vxml_server_media_packets_received_total"],
    )


class Listener:
    """`rtp_peer receive` on the cores `cpus`."""

    def __init__(self, peer: Path, cpus: str, first: int, streams: int, seconds: float) -> None:
        self._process = subprocess.Popen(
            ["taskset", "-c", cpus, peer, "receive", str(first), str(streams), str(seconds)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            raise SystemExit("the listener did not start")

    def stop(self) -> Listened:
        self._process.terminate()
        text, _ = self._process.communicate(timeout=20)
        streams = json.loads(text)["streams"]
        packets = sum(s["packets"] for s in streams)
        gaps = sum(s["gaps"] for s in streams)
        return Listened(
            streams=len(streams),
            packets=packets,
            lost=sum(s["lost"] for s in streams),
            gaps=gaps,
            gap_share=gaps / max(1, packets),
            longest_ms=max(s["longest_ms"] for s in streams),
            silent=sum(s["sound"] < max(1, LEAST_SOUND * s["packets"]) for s in streams),
        )


def start_sipp(
    folder: Path, sip_port: int, cpus: str, first: int, calls: int, rate: int, seconds: int
) -> subprocess.Popen[bytes]:
    """SIPp calling: each call announces the next of the listener's ports."""
    ports = "".join(f"{first + 2 * i};\n" for i in range(calls))
    (folder / "calls.csv").write_text("SEQUENTIAL\n" + ports, "ascii")
    command = ["taskset", "-c", cpus, "sipp", "-sf", str(HERE / "load.xml"), "-inf", "calls.csv"]
    command += ["-i", "127.0.0.1", "-p", str(free_ports()), "-s", "load", "-nostdin"]
    command += ["-m", str(calls), "-l", str(calls), "-r", str(rate), "-d", str(seconds * 1000)]
    command += ["-trace_stat", "-stf", "stat.csv", "-fd", "1", "-trace_err"]
    command += ["-error_file", "errors.log", "-timeout", f"{seconds + calls // rate + 15}s"]
    with (folder / "sipp.log").open("wb") as log:
        return subprocess.Popen(
            [*command, f"127.0.0.1:{sip_port}"], cwd=folder, stdout=log, stderr=log
        )


def failed(folder: Path, calls: int) -> int:
    """Calls that did not end as the scenario says, by SIPp's last line of statistics."""
    with (folder / "stat.csv").open(encoding="latin-1", newline="") as file:
        last = list(csv.DictReader(file, delimiter=";"))[-1]
    errors = folder / "errors.log"
    if errors.exists():
        print(errors.read_text("latin-1")[:2000], file=sys.stderr)
    return calls - int(last["SuccessfulCall(C)"])


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def print_report(report: Report) -> None:
    print(f"{report.calls} calls, {report.failed} failed, {report.server.silent} silent")
    print(f"{'':16}{'packets':>9}{'lost':>6}{'gaps':>7}{'share':>9}{'longest':>10}{'CPU':>8}")
    for name, heard, cpu in (
        ("C floor", report.floor, report.floor_cpu),
        ("vxml-server", report.server, report.server_cpu),
    ):
        print(
            f"{name:16}{heard.packets:9}{heard.lost:6}{heard.gaps:7}{heard.gap_share:9.3%}"
            f"{heard.longest_ms:7.1f} ms{cpu:7.1%}"
        )
    print(f"CPU against the floor: {report.server_cpu / max(report.floor_cpu, 0.001):.1f} times")
    print(f"packets from callers: {report.server_received:.0f}")
    print(f"ticks that the server itself counted late: {report.server_ticks_late:.0f}")
    print("passed" if report.passed else "FAILED")


if __name__ == "__main__":
    sys.exit(main())
