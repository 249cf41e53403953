"""Checking files: what is looked for, in which order, and what the documents know of each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from vxml_server.checking import grammars, references, rules, scripts
from vxml_server.checking.documents import CheckedDocument, is_file, local_path
from vxml_server.checking.findings import Finding, Severity
from vxml_server.checking.source import Place, Source
from vxml_server.events import VoiceXmlEvent
from vxml_server.interpreter.compiler import compile_document, examine

_START = Place(1, 1)
_DOCUMENTS = {".vxml", ".vxm"}


@dataclass(slots=True)
class _Check:
    """One run: the documents read so far, by their resolved paths."""

    strict: bool
    documents: dict[Path, CheckedDocument | None] = field(default_factory=dict)

    def document(self, path: Path, shown: str) -> tuple[Source, CheckedDocument | None]:
        """Reads a document and adds what is wrong with it as such."""
        source = Source(path, shown)
        try:
            body = path.read_bytes()
        except OSError as error:
            source.add("unreadable", str(error.strerror or error), _START)
            return source, None
        try:
            found = examine(body, source.uri, strict=self.strict, on_parsed=source.note)
        except VoiceXmlEvent as event:
            source.add("malformed", event.message, Place(event.line or 1, event.column or 1))
            return source, None
        for remark in found.repaired:
            place = _START
            if remark.node is not None:
                place = source.place(remark.node, remark.attribute)
            source.add(remark.code, remark.message, place)
        for problem in found.problems:
            is_refused = self.strict or problem.is_fatal
            place = source.place(problem.node, problem.attribute)
            severity: Severity = "error" if is_refused else "warning"
            source.add(problem.kind, problem.message, place, severity)
        return source, CheckedDocument(source, found.root)


def check_paths(paths: Iterable[Path], *, strict: bool = False) -> list[Finding]:
    """What is found in files, and in the documents and grammars below folders; in their order.

    With `strict`, what the interpreter would only tolerate is an error.
    """
    run = _Check(strict)
    sources: list[Source] = []
    for path in _files(paths):
        if grammars.is_grammar_file(path) or _is_grammar(path):
            source = Source(path, str(path))
            grammars.check_file(source)
        else:
            source, document = run.document(path, str(path))
            run.documents[path.resolve()] = document
        sources.append(source)
    checked = [document for document in run.documents.values() if document is not None]
    _introduce(run, checked)
    ids_of = {
        path: frozenset(document.dialogs)
        for path, document in run.documents.items()
        if document is not None
    }
    for document in checked:
        rules.check(document)
        scripts.check(document)
        grammars.check(document)
        references.check(document, ids_of)
        _check_loading(document, strict=strict)
    return [finding for source in sources for finding in sorted(source.findings)]


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    seen: set[Path] = set()
    for path in paths:
        found = [path]
        if path.is_dir():
            found = sorted(
                file
                for file in path.rglob("*")
                if file.suffix.lower() in _DOCUMENTS or grammars.is_grammar_file(file)
            )
        for file in found:
            if file.resolve() not in seen:
                seen.add(file.resolve())
                yield file


def _is_grammar(path: Path) -> bool:
    """Whether a file without a name that says so looks like a grammar."""
    if path.suffix.lower() in _DOCUMENTS:
        return False
    try:
        with path.open("rb") as file:
            head = file.read(4000)
    except OSError:
        return False
    return b"<vxml" not in head and (b"<grammar" in head or head.lstrip()[:5] == b"#ABNF")


def _introduce(run: _Check, checked: list[CheckedDocument]) -> None:
    """Lets documents know their root, and who leads to them."""
    for document in checked:
        document.application = _root_of(run, document)
    leading = list(checked)
    leading += [d for d in run.documents.values() if d is not None and d not in leading]
    entered: dict[Path, set[str]] = {}
    for document in leading:
        for node, _, reference in document.references():
            path = local_path(document.resolve(node, reference))
            if path is not None and not reference.startswith("#"):
                entered.setdefault(path.resolve(), set()).add(urlsplit(reference).fragment)
    computes = any(document.computes_where_it_goes for document in leading)
    roots = {id(document.application) for document in checked}
    for path, found in run.documents.items():
        if found is not None:
            found.entered_from_elsewhere = frozenset(entered.get(path, ()))
            found.is_entered_by_computation = computes
            found.is_root_of_others = id(found) in roots


def _root_of(run: _Check, document: CheckedDocument) -> CheckedDocument | None:
    reference = document.root.get("application", "").strip()
    if not reference:
        return None
    path = local_path(document.resolve(document.root, reference))
    if path is None:
        return None
    place = document.source.place(document.root, "application")
    if not is_file(path):
        document.source.add("missing-file", f"there is no file {reference}", place)
        return None
    if path.resolve() not in run.documents:
        # A root that is not under check itself is only read.
        run.documents[path.resolve()] = run.document(path, str(path))[1]
    root = run.documents[path.resolve()]
    if root is None:
        document.source.add("bad-root", f"{reference} cannot be loaded", place)
    elif root is document or root.root.get("application"):
        document.source.add("bad-root", f"{reference} has a root of its own", place)
        return None
    return root


def _check_loading(document: CheckedDocument, *, strict: bool) -> None:
    """What the interpreter refuses that no rule has complained of in that place."""
    source = document.source
    try:
        compile_document(source.path.read_bytes(), source.uri, strict=strict)
    except OSError as error:
        source.add("unreadable", str(error.strerror or error), _START)
    except VoiceXmlEvent as event:
        if not any(f.line == event.line and f.severity == "error" for f in source.findings):
            source.add("refused", event.message, Place(event.line or 1, 1))
