"""A dialogue: one session, the caller of a script, and everything that was seen of it.

`vxml-server call --script` runs one and prints its records; tests of applications and conformance
run many. What must hold: the records of a dialogue depend on the documents and the script alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from vxml_server import catalogue
from vxml_server.fetch import ResourceFetcher
from vxml_server.interpreter.cues import Cues
from vxml_server.interpreter.grammars import GrammarStore
from vxml_server.interpreter.objects import Objects
from vxml_server.interpreter.platform import Json
from vxml_server.interpreter.script import Deed, Script
from vxml_server.interpreter.scripted import ScriptedPlatform
from vxml_server.interpreter.session import Connection, DocumentStore, Limits, Outcome, Session

Record = dict[str, Json]


@dataclass(frozen=True, slots=True)
class DialogueResult:
    """How a dialogue went.

    `records` are the objects of the `--json` output in order. `failed` counts the expectations that
    did not hold; `unused` are the caller's steps that the session ended before.
    """

    outcome: Outcome
    records: tuple[Record, ...]
    failed: int
    unused: tuple[Deed, ...]

    @property
    def exit_status(self) -> int:
        """0 all is well, 1 an expectation failed, 3 the session ended in an uncaught error."""
        return 1 if self.failed else exit_status(self.outcome)


def exit_status(outcome: Outcome) -> int:
    """What `vxml-server call` returns for a session that ended so."""
    return 3 if outcome.reason == "error" else 0


def stamped(at: float, kind: str, keys: Record) -> Record:
    """A record of the `--json` output: time in seconds, what it is, its keys."""
    return {"t": round(at, 3), "event": kind, **keys}


async def run_dialogue(
    uri: str,
    script: Script,
    fetcher: ResourceFetcher,
    *,
    on_record: Callable[[Record], None] = lambda record: None,
    variables: Mapping[str, Json] | None = None,
    default_lang: str = catalogue.FALLBACK,
    documents: DocumentStore | None = None,
    grammars: GrammarStore | None = None,
    limits: Limits | None = None,
    objects: Objects | None = None,
    trace: bool = False,
) -> DialogueResult:
    """Calls the application at `uri` (absolute, or a path) with the caller of `script`.

    `on_record` is given each record as it comes; `variables` are added to the session scope. The
    last record is `end`, after the expectations that only the end could decide.
    """
    records: list[Record] = []

    def write(kind: str, keys: Record) -> None:
        record = stamped(platform.now(), kind, keys)
        records.append(record)
        on_record(record)

    def observe(kind: str, keys: Record) -> None:
        if kind == "end":
            ends.append(keys)
            return
        cues.observe(kind, keys)
        write(kind, keys)

    ends: list[Record] = []
    cues = Cues(script.steps, write)
    platform = ScriptedPlatform(cues, fetcher, observe)
    session = Session(
        platform,
        fetcher,
        connection=Connection(local_uri=script.local, remote_uri=script.remote, aai=script.aai),
        observer=observe,
        variables=variables,
        default_lang=default_lang,
        documents=documents,
        grammars=grammars,
        limits=limits,
        objects=objects,
        trace=trace,
    )
    outcome = await session.run(uri)
    unused = cues.finish(outcome.reason, outcome.value)
    for keys in ends:
        write("end", keys)
    return DialogueResult(outcome, tuple(records), cues.failed, unused)
