"""A caller: a call by SIPp to the server under test, and all that can be known of it after."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tests.integration import audio
from tests.integration.caller_audio import CallerAudio, Script, as_events, as_tones
from tests.integration.documents import DocumentServer
from tests.integration.ports import free_ports
from tests.integration.server import Json, VxmlServer
from tests.integration.sipp import Sipp, SippResult, info_keys
from tests.integration.waiting import until
from tests.integration.wire import RtpPacket, Wire
from tests.integration.witness import Witness

T = TypeVar("T")

RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")
MOST_JITTER_MS = 20.0
"""SIPp sends from a thread of its own over loopback; more would be a fault of the estimate."""

RECORD_KEYS = {
    "id",
    "sip_call_id",
    "direction",
    "from",
    "to",
    "application",
    "started_at",
    "answered_at",
    "ended_at",
    "duration_s",
    "end_reason",
    "hung_up_by",
    "codec",
    "packets_lost",
    "jitter_ms",
    "legs",
}


@dataclass(frozen=True, slots=True)
class DialledCall:
    """A call under way."""

    name: str
    sipp: Sipp
    media_port: int
    seconds: int

    def result(self) -> SippResult:
        """What SIPp tells when its scenario has ended."""
        try:
            return self.sipp.result(self.seconds + 10)
        finally:
            self.sipp.close()


@dataclass(frozen=True, slots=True)
class FinishedCall:
    """What a call left: on the wire, in SIPp's log, at the document server, in the records."""

    name: str
    sip: SippResult
    received: list[RtpPacket]
    sent: list[RtpPacket]
    reports_of_sender: list[tuple[float, bytes]]
    """RTCP packets that the caller received."""
    told: list[dict[str, str]]
    """What the VoiceXML document reported."""
    records: list[Json]
    rows: list[Json]
    stalls: list[tuple[float, float]]
    """When the machine ran nobody."""

    @property
    def answered_at(self) -> float:
        """When the first 200 to the INVITE came, in seconds of the wall clock."""
        return next(m.at for m in self.sip.received(200) if "INVITE" in (m.header("CSeq") or ""))

    def key_times(self, event_type: int) -> list[float]:
        """When the first packet of each telephone event left the caller."""
        first: dict[int, float] = {}
        for packet in self.sent:
            if packet.payload_type == event_type:
                first.setdefault(packet.timestamp, packet.at)
        return sorted(first.values())

    def assert_one_record(self, end_reason: str, hung_up_by: str, *, answered: bool = True) -> Json:
        """Exactly one complete record in the REST interface and the database. Returns it."""
        assert len(self.records) == 1, self.records
        [record] = self.records
        assert record.keys() >= RECORD_KEYS
        assert record["direction"] == "inbound"
        assert self.name in str(record["from"])
        assert record["application"]
        assert (record["end_reason"], record["hung_up_by"]) == (end_reason, hung_up_by)
        times = [record[k] for k in ("started_at", "answered_at", "ended_at") if record[k]]
        assert len(times) == (3 if answered else 2), record
        assert all(RFC_3339.fullmatch(str(t)) for t in times), times
        assert times == sorted(times, key=str)
        if answered:
            assert record["codec"] in {"PCMU", "PCMA"}
            assert isinstance(record["duration_s"], int | float)
            assert record["duration_s"] >= 0
            assert record["packets_lost"] == 0
            assert isinstance(record["jitter_ms"], int | float)
            assert record["jitter_ms"] < MOST_JITTER_MS
        assert len(self.rows) == 1, self.rows
        [row] = self.rows
        assert row["ended_at"]
        same = ("id", "application", "codec", "end_reason", "hung_up_by", "duration_s")
        assert [row[k] for k in same] == [record[k] for k in same]
        return record


@dataclass(frozen=True, slots=True)
class Caller:
    """Makes calls to `server`. Every method may be used by several threads at a time."""

    server: VxmlServer
    documents: DocumentServer
    wire: Wire
    witness: Witness
    folder: Path
    _started: list[Sipp] = field(default_factory=list)

    def close(self) -> None:
        """Ends what a failed test has left running, and forgets what was told."""
        for sipp in self._started:
            sipp.close()
        self.documents.forget()

    def call(
        self,
        name: str,
        number: str,
        script: Script = (30.0,),
        *,
        keys: str = "events",
        scenario: str = "caller",
        payloads: str = "0 101",
        event_type: int = 101,
        ptime: int = 20,
        transport: str = "udp",
        arguments: tuple[str, ...] = (),
        seconds: int = 45,
        through: int | None = None,
        tells: bool = True,
    ) -> FinishedCall:
        """One call from `name` to `number`, until SIPp's scenario has ended.

        `keys` is how those of `script` are sent: `events`, `tones`, or the content type of SIP
        INFO. `through` is the port of a network before the server. `tells` waits for the report
        of the document.
        """
        stream = CallerAudio(int(payloads.split(maxsplit=1)[0]), event_type)
        by_info = keys.startswith("application/")
        if by_info:
            talk = sum(p if isinstance(p, float) else 0.3 * len(p) for p in script)
            stream.say(audio.silence(talk + 15.0))
        else:
            (as_tones if keys == "tones" else as_events)(script, stream)
        dialled = self.dial(
            name,
            number,
            stream,
            scenario=scenario,
            keys_scenario=info_keys(script, keys) if by_info else "",
            values={"payloads": payloads, "event": str(event_type), "ptime": str(ptime)},
            arguments=("-t", "t1" if transport == "tcp" else "u1", *arguments),
            seconds=seconds,
            through=through,
        )
        return self._finished(dialled, dialled.result(), tells)

    def dial(
        self,
        name: str,
        number: str,
        sound: CallerAudio,
        *,
        scenario: str = "caller",
        keys_scenario: str = "",
        values: dict[str, str] | None = None,
        arguments: tuple[str, ...] = (),
        seconds: int = 45,
        through: int | None = None,
    ) -> DialledCall:
        """Starts a call and comes back at once."""
        media_port = free_ports(4, align=4)
        self.wire.watch(media_port, media_port + 1)
        folder = self.folder / name
        folder.mkdir()
        sound.write(folder / "caller.pcap")
        defaults = {"caller": name, "payloads": "0 101", "event": "101", "ptime": "20"}
        sipp = Sipp(
            scenario,
            folder,
            port=free_ports(),
            media_port=media_port,
            target=f"127.0.0.1:{through or self.server.sip_port}",
            values=defaults | (values or {}),
            keys_scenario=keys_scenario,
            arguments=("-s", number, "-cid_str", f"{name}-%u-%p@%s", *arguments),
            seconds=seconds,
        )
        self._started.append(sipp)
        return DialledCall(name, sipp, media_port, seconds)

    @contextmanager
    def far_end(
        self, name: str, scenario: str, *arguments: str, sound: CallerAudio | None = None
    ) -> Iterator[Sipp]:
        """A SIPp that is called, at the address that documents know as `name`; `sound` is what the
        scenario `far-talks` says."""
        port, media_port = free_ports(), free_ports(4, align=4)
        self.documents.values[name] = f"sip:far@127.0.0.1:{port}"
        self.wire.watch(media_port, media_port + 1)
        folder = self.folder / f"far-{name}"
        if sound is not None:
            folder.mkdir()
            sound.write(folder / "far.pcap")
        sipp = Sipp(scenario, folder, port=port, media_port=media_port, arguments=arguments)
        try:
            until(lambda: _listens(port), 20, f"the far end {name} listens")
            yield sipp
        finally:
            sipp.close()

    def _finished(self, call: DialledCall, result: SippResult, tells: bool) -> FinishedCall:
        name, media_port = call.name, call.media_port
        call_id = next((m.header("Call-ID") for m in result.messages), None)
        assert call_id is not None, f"SIPp sent nothing: {result.errors}"
        if tells:
            until(lambda: self.documents.reports(name), 20, f"the document of {name} reports")
        until(
            lambda: any(r["ended_at"] for r in self.server.records(call_id)),
            20,
            f"the record of {name} is complete",
        )
        return FinishedCall(
            name=name,
            sip=result,
            received=self.wire.received(media_port),
            sent=self.wire.sent(media_port),
            reports_of_sender=self.wire.reports(media_port),
            told=self.documents.reports(name),
            records=self.server.records(call_id),
            rows=self.server.rows(call_id),
            stalls=self.witness.stalls(),
        )


def together(work: Mapping[str, Callable[[], T]]) -> dict[str, Future[T]]:
    """Does all of `work` at the same time and waits for the end of all.

    What one raises is raised where its result is asked for, so that one failing call fails one
    test.
    """
    with ThreadPoolExecutor(len(work)) as threads:
        return {name: threads.submit(job) for name, job in work.items()}


def _listens(port: int) -> bool:
    lines = Path("/proc/net/udp").read_text("ascii").splitlines()[1:]
    return any(int(line.split()[1].rpartition(":")[2], 16) == port for line in lines)
