"""`vxml-server test`: the dialogues of `*.test.yaml` files (the dialogue format).

A test passes when every expectation held, every step of the caller was used, and the session did
not end in an error that the test does not expect.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vxml_server.clock import SystemClock
from vxml_server.fetch import Fetcher, ResourceFetcher, resolve_uri
from vxml_server.interpreter.dialogue import DialogueResult, run_dialogue
from vxml_server.interpreter.grammars import GrammarStore
from vxml_server.interpreter.script import Case, ExpectEnd, Script, ScriptError, parse_cases
from vxml_server.interpreter.session import DocumentStore
from vxml_server.settings import FetchSettings
from vxml_server.testing.parallel import in_order
from vxml_server.testing.results import Result, Verdict, defective
from vxml_server.testing.transcript import failures, transcript

PATTERN = "*.test.yaml"


@dataclass(frozen=True, slots=True)
class FiledCase:
    """A test and the file that it stands in, as it is called in what is printed."""

    file: str
    case: Case

    @property
    def id(self) -> str:
        return f"{self.file}: {self.case.name}"

    @property
    def uri(self) -> str:
        return Path(self.file).resolve().as_uri()

    @property
    def document(self) -> str:
        """The URI of its document: absolute, or beside the file."""
        return resolve_uri(self.uri, self.case.document)


def find_cases(paths: Iterable[Path], word: str = "") -> list[FiledCase]:
    """The tests of the files below `paths` whose file or name has `word` in it.

    Files come in the order of their names, tests in that of the file. Raises `ScriptError` for a
    file that cannot be used, `OSError` for one that cannot be read.
    """
    found: list[FiledCase] = []
    for file in _files(paths):
        for case in parse_cases(file.read_bytes(), str(file)):
            filed = FiledCase(str(file), case)
            if word.casefold() in filed.id.casefold():
                found.append(filed)
    return found


def _files(paths: Iterable[Path]) -> list[Path]:
    files: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            files.update(dict.fromkeys(sorted(path.rglob(PATTERN))))
        elif path.is_file():
            files[path] = None
        else:
            raise ScriptError(str(path), 1, f"expected a file, or a folder with {PATTERN} files")
    return list(files)


def run_cases(cases: Sequence[FiledCase], *, workers: int | None = None) -> Iterator[Result]:
    """Runs them; the results come in the order of `cases`."""
    return in_order(cases, perform_cases, workers=workers)


def perform_cases(cases: Sequence[FiledCase]) -> list[Result]:
    """Runs some tests in this process."""
    return asyncio.run(_perform(cases))


async def _perform(cases: Sequence[FiledCase]) -> list[Result]:
    # Whoever types the command may read what it can reach.
    everything = FetchSettings(files=(Path(Path.cwd().anchor),), allow=("*",))
    fetcher = Fetcher(everything, SystemClock())
    documents, grammars = DocumentStore(), GrammarStore()
    results = []
    try:
        for filed in cases:
            session = fetcher.session()
            results.append(await _run(filed, session, documents, grammars))
            session.close()
    finally:
        await fetcher.close()
    return results


async def _run(
    filed: FiledCase, fetcher: ResourceFetcher, documents: DocumentStore, grammars: GrammarStore
) -> Result:
    began = time.perf_counter()
    try:
        done = await run_dialogue(
            filed.document, filed.case.script, fetcher, documents=documents, grammars=grammars
        )
    except Exception as defect:
        return defective(filed.id, defect)
    verdict, reason = judged(filed.case.script, done, filed.document)
    base = filed.uri.rpartition("/")[0] + "/"
    return Result(
        filed.id,
        verdict,
        reason=reason.replace(base, ""),
        seconds=float(str(done.records[-1]["t"])),
        elapsed=time.perf_counter() - began,
        transcript=transcript(done.records, base),
    )


def judged(script: Script, done: DialogueResult, document: str) -> tuple[Verdict, str]:
    """What a dialogue of `script` that began at `document` showed, and why it failed."""
    complaints = [str(failure) for failure in failures(script, done.records, document)]
    expected = {step.reason for step in script.steps if isinstance(step, ExpectEnd)}
    if done.outcome.reason == "error" and "error" not in expected:
        said = f"ended in {done.outcome.error}: {done.outcome.message}"
        complaints.append(said)
    if done.unused:
        lines = ", ".join(str(step.line) for step in done.unused)
        complaints.append(f"the call ended before the caller's step on line {lines}")
    return (Verdict.FAIL if complaints else Verdict.PASS), "\n".join(complaints)
