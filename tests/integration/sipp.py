"""SIPp as the other side: runs a scenario, and reads what it sent and received from its log."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tests.integration.caller_audio import Script

SCENARIOS = Path(__file__).with_name("scenarios")

_KEYS_PLACE = "<!-- keys -->"
_ENTRY = re.compile(
    r"^-{20,} (\d{4}-\d\d-\d\d)[ \t](\d\d:\d\d:\d\d\.\d+).*\n"
    r"(?:UDP|TCP|TLS) message (sent|received) [(\[].*\n\n",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class SipMessage:
    """A message as SIPp logged it. `at` in seconds of the wall clock."""

    at: float
    sent: bool
    text: str

    @property
    def start_line(self) -> str:
        return self.text.partition("\n")[0].strip()

    @property
    def method(self) -> str:
        """Of a request; empty for a response."""
        return "" if self.status else self.start_line.partition(" ")[0]

    @property
    def status(self) -> int:
        """Of a response; 0 for a request."""
        match = re.match(r"SIP/2.0 (\d{3})", self.text)
        return int(match[1]) if match else 0

    def header(self, name: str) -> str | None:
        match = re.search(rf"^{name}\s*:\s*(.*?)\s*$", self.text, re.MULTILINE | re.IGNORECASE)
        return match[1] if match else None

    def brief(self) -> str:
        """`> INVITE`, `< 200 INVITE`: sent and received, for comparing whole conversations."""
        cseq = (self.header("CSeq") or "").partition(" ")[2]
        return ("> " if self.sent else "< ") + (self.method or f"{self.status} {cseq}")


@dataclass(frozen=True, slots=True)
class SippResult:
    """How a run ended: exit status 0 is success."""

    status: int
    messages: list[SipMessage]
    errors: str

    @property
    def conversation(self) -> list[str]:
        return [m.brief() for m in self.messages]

    def sent(self, method_or_status: str | int) -> list[SipMessage]:
        return [m for m in self.messages if m.sent and method_or_status in (m.method, m.status)]

    def received(self, method_or_status: str | int) -> list[SipMessage]:
        return [m for m in self.messages if not m.sent and method_or_status in (m.method, m.status)]

    def assert_success(self) -> None:
        assert self.status == 0, f"SIPp: {self.status}\n{self.errors}\n" + "\n".join(
            f"{m.at:.3f} {m.brief()}" for m in self.messages
        )


class Sipp:
    """One SIPp process, its files in `folder`. Ends by itself after `seconds` at the latest."""

    def __init__(
        self,
        scenario: str,
        folder: Path,
        *,
        port: int,
        media_port: int,
        target: str | None = None,
        values: dict[str, str] | None = None,
        keys_scenario: str = "",
        arguments: tuple[str, ...] = (),
        seconds: int = 60,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        text = (SCENARIOS / f"{scenario}.xml").read_text("utf-8")
        (folder / "scenario.xml").write_text(text.replace(_KEYS_PLACE, keys_scenario), "utf-8")
        command = ["sipp", "-sf", "scenario.xml", "-m", "1", "-nostdin", "-timeout_error"]
        command += ["-timeout", f"{seconds}s", "-i", "127.0.0.1", "-p", str(port)]
        command += ["-mi", "127.0.0.1", "-mp", str(media_port)]
        command += ["-trace_msg", "-message_file", "messages.log"]
        command += ["-trace_err", "-error_file", "errors.log"]
        for name, value in (values or {}).items():
            command += ["-key", name, value]
        command += arguments
        if target is not None:
            command.append(target)
        with (folder / "screen.log").open("wb") as screen:
            self._process = subprocess.Popen(command, cwd=folder, stdout=screen, stderr=screen)

    @property
    def messages(self) -> list[SipMessage]:
        """What was logged so far."""
        log = self._folder / "messages.log"
        return read_messages(log.read_text("latin-1")) if log.exists() else []

    def result(self, seconds: float = 70) -> SippResult:
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.close()
            status = -1
        errors = self._folder / "errors.log"
        screen = (self._folder / "screen.log").read_text("latin-1")[-600:] if status == 255 else ""
        text = errors.read_text("latin-1") if errors.exists() else screen
        return SippResult(status, self.messages, text)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()


def read_messages(log: str) -> list[SipMessage]:
    """The messages of SIPp's log, as they were logged."""
    entries = list(_ENTRY.finditer(log))
    ends = [entry.start() for entry in entries[1:]] + [len(log)] * bool(entries)
    return [
        SipMessage(
            # SIPp writes local time without saying so.
            datetime.fromisoformat(f"{entry[1]} {entry[2]}").astimezone().timestamp(),
            entry[3] == "sent",
            log[entry.end() : end].rstrip("\n") + "\n",
        )
        for entry, end in zip(entries, ends, strict=True)
    ]


def info_keys(script: Script, content_type: str) -> str:
    """The part of a scenario that sends keys by SIP INFO: numbers are seconds, strings keys.

    Seconds after the last key are left out: the scenario then waits for a BYE.
    """
    kind = "info-relay" if content_type == "application/dtmf-relay" else "info-dtmf"
    fragment = (SCENARIOS / f"{kind}.part.xml").read_text("utf-8")
    parts = []
    cseq = 10
    last = max(i for i, step in enumerate(script) if isinstance(step, str))
    for step in script[: last + 1]:
        if isinstance(step, str):
            for key in step:
                part = fragment.replace("@KEY@", key).replace("@CSEQ@", str(cseq))
                parts.append(part + '<pause milliseconds="100"/>\n')
                cseq += 1
        elif isinstance(step, float):
            parts.append(f'<pause milliseconds="{round(step * 1000)}"/>\n')
    return "".join(parts)
