"""What a conformance suite consists of, and how it is found on disk.

A folder below the suite's is one assertion if it holds

- `assertion.yaml`: a manifest, a line `---`, and a script (the dialogue format). The manifest has
  `section` and `text`, what the recommendation says there in a sentence; if wanted `document`
  (`index.vxml`) and `pending: true`, which puts on record that what fails is not implemented yet;
- or VoiceXML (`.txml`, `.vxml`), as the folders of the W3C's implementation reports.

A grammar with samples in its `meta` is an assertion for each of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import yaml
from lxml import etree

from vxml_server.interpreter.script import Expectation, Script, ScriptError, parse_script
from vxml_server.markup import xml_parser
from vxml_server.testing.grammars import SUFFIXES, Sample, samples

MANIFEST = "assertion.yaml"
MAX_ABSTRACT = 400


@dataclass(frozen=True, slots=True)
class Scripted:
    """An assertion of our own format; `document` is the path of what is called."""

    id: str
    section: str
    text: str
    document: Path
    script: Script
    pending: bool = False


@dataclass(frozen=True, slots=True)
class Reported:
    """An assertion as the W3C writes them; `judges` says whether it can tell that it passed."""

    id: str
    section: str
    text: str
    document: Path
    judges: bool


@dataclass(frozen=True, slots=True)
class SelfTested:
    """A sample of a grammar that tests itself."""

    id: str
    path: Path
    sample: Sample


Assertion: TypeAlias = Scripted | Reported | SelfTested


def discover(root: Path) -> list[Assertion]:
    """The assertions below `root`, numbers in names in their order.

    Raises `ScriptError` for a manifest that cannot be used, `OSError`.
    """
    return list(_below(root, root))


def _below(root: Path, folder: Path) -> Iterator[Assertion]:
    identifier = folder.relative_to(root).as_posix()
    if (manifest := folder / MANIFEST).is_file():
        yield read_manifest(manifest, identifier)
        return
    entries = sorted(folder.iterdir(), key=lambda path: _natural(path.name))
    if documents := [path for path in entries if path.suffix in {".txml", ".vxml"}]:
        yield _reported(documents, identifier)
    for path in entries:
        if path.is_dir():
            yield from _below(root, path)
        elif path.suffix in SUFFIXES:
            for sample in samples(path):
                name = path.relative_to(root).as_posix()
                yield SelfTested(f"{name} {sample.number}", path, sample)


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]


# Our own format --------------------------------------------------------------------------------


def read_manifest(path: Path, identifier: str) -> Scripted:
    """The assertion of a manifest. Raises `ScriptError`, `OSError`."""
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError:
        raise ScriptError(str(path), 1, "expected text in UTF-8") from None
    head, rule, steps = text.partition("\n---\n")
    if not rule:
        raise ScriptError(str(path), 1, "expected a manifest, a line of `---`, and a script")
    # With as many lines before it the script has the lines of the file.
    script = parse_script("\n" * (head.count("\n") + 2) + steps, str(path))
    if not any(isinstance(step, Expectation) for step in script.steps):
        raise ScriptError(str(path), 1, "expected something to be expected: it cannot fail")
    manifest = _manifest(path, head)
    return Scripted(
        identifier,
        manifest["section"],
        " ".join(manifest["text"].split()),
        path.parent / manifest.get("document", "index.vxml"),
        script,
        manifest.get("pending") == "true",
    )


def _manifest(path: Path, head: str) -> dict[str, str]:
    try:
        # All scalars are texts: section 5.10 is not 5.1.
        given: object = yaml.load(head, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise ScriptError(str(path), 1, f"expected YAML: {error}") from None
    known = {"section", "text", "document", "pending"}
    if not isinstance(given, dict) or not {"section", "text"} <= given.keys() <= known:
        names = ", ".join(f"`{name}`" for name in sorted(known))
        raise ScriptError(str(path), 1, f"expected `section` and `text`, and none but {names}")
    return {str(name): str(value) for name, value in given.items()}


# The W3C's format ------------------------------------------------------------------------------

_COPYRIGHT = re.compile(r"copyright", re.IGNORECASE)
_SECTION = re.compile(r"\bsection\s+(\d+(?:\.\d+)*)", re.IGNORECASE)
_LEADING = re.compile(r"^(assertion|test|id)?\W*\d*\W*(section\W*[\d.]+)?[\W\d]*", re.IGNORECASE)


def _reported(documents: list[Path], identifier: str) -> Reported:
    sources = {path: path.read_bytes() for path in documents}
    start = start_document(sources, identifier.rpartition("/")[2])
    section, text = described(sources[start])
    # By `conf:pass`, or by saying so.
    judges = any(b"pass" in source for source in sources.values())
    return Reported(identifier, section, text, start, judges)


def start_document(sources: dict[Path, bytes], number: str) -> Path:
    """The document that a tester would call.

    The one that is called a driver or a leaf; else one that no other refers to, and of those the
    one that is named as its folder.
    """
    for word in ("driver", "leaf"):
        if named := [path for path in sources if word in path.stem]:
            return named[0]
    twins = {path.stem: path for path in sources}
    for path in sources:
        if path.suffix == ".txml":
            twins[path.stem] = path
    free = [path for path in twins.values() if not _referred_to(path, sources)]
    candidates = free or list(twins.values())
    return min(candidates, key=lambda path: (not _named(path.stem, number), path.name))


def _referred_to(path: Path, sources: dict[Path, bytes]) -> bool:
    name = re.compile(rf"(?<![\w-]){re.escape(path.stem)}\.[tv]xml".encode())
    others = (source for other, source in sources.items() if other.stem != path.stem)
    return any(name.search(source) for source in others)


def _named(stem: str, number: str) -> bool:
    digits: list[str] = re.findall(r"\d+", stem)
    return stem == number or (bool(digits) and digits[-1].lstrip("0") == number.lstrip("0"))


def described(source: bytes) -> tuple[str, str]:
    """Section and text of an assertion, from the first comment that is not the copyright."""
    parser = xml_parser(recover=True)
    root: etree._Element | None
    try:
        root = etree.fromstring(source, parser)
    except etree.XMLSyntaxError:
        root = None
    if root is None:  # nothing in it can be recovered
        return "", ""
    for comment in root.getroottree().iter(etree.Comment):
        text = " ".join((comment.text or "").split())
        if text and not _COPYRIGHT.search(text):
            section = _SECTION.search(text)
            sentence = _LEADING.sub("", text)
            if len(sentence) > MAX_ABSTRACT:
                sentence = sentence[:MAX_ABSTRACT].rpartition(" ")[0] + " …"
            return (section[1] if section else ""), sentence
    return "", ""
