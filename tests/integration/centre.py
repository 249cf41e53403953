"""A contact centre under test: its API, agents at real telephones, its live events, and callers."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection, IncompleteRead
from pathlib import Path
from types import MappingProxyType

from tests.integration.caller import Caller, FinishedCall, together
from tests.integration.caller_audio import Script
from tests.integration.documents import DocumentServer
from tests.integration.server import Json, VxmlServer
from tests.integration.sipp import Sipp, SippResult
from tests.integration.waiting import until
from tests.integration.wire import Wire
from tests.integration.witness import Witness

Agents = dict[str, Sipp]

REST = "the agent's call is over"


@dataclass(frozen=True, slots=True)
class Scene:
    """What became of the callers and the agents' telephones of a scenario."""

    calls: dict[str, FinishedCall]
    agents: dict[str, SippResult]
    states: dict[str, str] = field(default_factory=dict)
    """Of the agents, when the last call had ended."""

    @property
    def call(self) -> FinishedCall:
        [only] = self.calls.values()
        return only

    @property
    def outcome(self) -> str:
        told = [one["outcome"] for one in self.call.told if "outcome" in one]
        assert len(told) == 1, told
        return told[0]


@dataclass(frozen=True, slots=True)
class Centre:
    """The server's contact centre by its API, and its callers."""

    server: VxmlServer
    caller: Caller

    def ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Json:
        return self.server.ask(method, path, body)

    @contextmanager
    def agents(
        self,
        name: str,
        *scenarios: tuple[str, ...],
        agent: Mapping[str, object] = MappingProxyType({}),
        each: Sequence[Mapping[str, object]] = (),
        queue: Mapping[str, object] = MappingProxyType({}),
    ) -> Iterator[Agents]:
        """Agents of these scenarios of SIPp (with arguments), signed in, and a queue of them.

        `agent` is what they have in common, `each` what they have not.
        """
        profile = {"wrap_up_time": 600, "max_no_answer": 0, **agent}
        with ExitStack() as stack:
            far: dict[str, Sipp] = {}
            owns = (*each, *({} for _ in scenarios[len(each) :]))
            for number, ((scenario, *arguments), own) in enumerate(
                zip(scenarios, owns, strict=True)
            ):
                agent_name = f"{name}-{number}"
                far[agent_name] = stack.enter_context(
                    self.caller.far_end(agent_name, scenario, *arguments)
                )
                line = self.caller.documents.values[agent_name]
                self.ask("PUT", f"agents/{agent_name}", {"line": line, **profile, **own})
                self.ask("POST", f"agents/{agent_name}/presence", {"presence": "available"})
            members = [{"agent": one, "position": place} for place, one in enumerate(far, start=1)]
            self.ask("PUT", f"queues/{name}", {"strategy": "top_down", "members": members, **queue})
            yield far

    def state(self, agent: str) -> str:
        return str(self.ask("GET", f"agents/{agent}/presence")["state"])

    def _at_rest(self, agent: str) -> str | None:
        """His state, once he has no call any more: the caller may know before the database."""
        state = self.state(agent)
        return state if state in {"available", "wrapping_up"} else None

    def scene(
        self,
        name: str,
        *scenarios: tuple[str, ...],
        script: Script = (20.0,),
        scenario: str = "caller",
        arguments: tuple[str, ...] = (),
        callers: tuple[str, ...] = (),
        agent: Mapping[str, object] = MappingProxyType({}),
        **queue: object,
    ) -> Scene:
        """One caller (or several) in a queue of these agents, until all has ended."""
        with self.agents(name, *scenarios, agent=agent, queue=queue) as far:
            one = partial(
                self.caller.call,
                number=f"to-{name}",
                script=script,
                scenario=scenario,
                arguments=arguments,
            )
            made = together({who: partial(one, who) for who in callers or (f"waits-in-{name}",)})
            calls = {who: call.result() for who, call in made.items()}
            states = {agent: until(partial(self._at_rest, agent), 5, REST) for agent in far}
            return Scene(calls, {agent: sipp.result(10) for agent, sipp in far.items()}, states)


@contextmanager
def centre_of(
    folder: Path,
    numbers: Mapping[str, str],
    documents: DocumentServer,
    wire: Wire,
    witness: Witness,
) -> Iterator[Centre]:
    """A server with these numbers; it must end as it should."""
    (folder / "calls").mkdir()
    (folder / "server").mkdir()
    server = VxmlServer(folder / "server", dict(numbers), (documents.origin,))
    caller = Caller(server, documents, wire, witness, folder / "calls")
    try:
        server.start()
        yield Centre(server, caller)
        server.stop()
    finally:
        caller.close()
        server.close()


class LiveEvents:
    """The stream of events of a server, from its first fact to `close`."""

    def __init__(self, server: VxmlServer) -> None:
        self.facts: list[Json] = []
        # There is a comment every 15 s.
        self._connection = HTTPConnection("127.0.0.1", server.web_port, timeout=20)
        self._connection.request("GET", "/api/v1/events?after=0")
        self._stream = self._connection.getresponse()
        self._thread = threading.Thread(target=self._read, name="live events")
        self._thread.start()

    def close(self) -> None:
        """Watches no more. Twice is harmless."""
        if self._connection.sock is not None:
            self._connection.sock.shutdown(socket.SHUT_RDWR)
            self._thread.join(10)
            self._connection.close()

    def of_agent(self, agent: str) -> list[Json]:
        return [fact for fact in self.facts if fact["agent"] == agent]

    def _read(self) -> None:
        with suppress(IncompleteRead):
            for line in self._stream:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name == "data":
                    self.facts.append(json.loads(value))
