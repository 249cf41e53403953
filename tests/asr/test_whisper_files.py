"""Where Whisper models are found, and what is refused."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from vxml_server.asr.whisper_files import (
    CONFIG,
    KNOWN,
    TOKENIZER,
    VOCABULARY,
    WEIGHTS,
    ModelFiles,
    find_model,
)
from vxml_server.events import VoiceXmlEvent


def make(folder: Path, **content: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in content.items():
        (folder / name.replace("__", ".")).write_bytes(data)
    return folder


WHOLE = {
    "model__bin": b"weights",
    "config__json": b"{}",
    "vocabulary__txt": b"!\n<|en|>\n<|fr|>\n",
    "tokenizer__json": b"{}",
}


def refusal(spec: str) -> str:
    with pytest.raises(VoiceXmlEvent) as caught:
        find_model(spec)
    assert caught.value.name == "error.noresource"
    return caught.value.message


def test_a_folder_is_a_model(tmp_path: Path) -> None:
    files = find_model(str(make(tmp_path / "small", **WHOLE)))
    assert files.name == "small"
    assert files.read(WEIGHTS) == b"weights"


def test_a_folder_that_lacks_a_file_is_refused_by_its_name(tmp_path: Path) -> None:
    make(tmp_path / "small", **WHOLE)
    (tmp_path / "small" / TOKENIZER).unlink()
    assert TOKENIZER in refusal(str(tmp_path / "small"))


@pytest.mark.parametrize("spec", ["", "package:", "no/such", "package:no_such_package", "a b"])
def test_what_is_neither_folder_nor_package_is_refused(spec: str) -> None:
    assert spec.removeprefix("package:") in refusal(spec)


def test_a_package_without_a_model_is_refused() -> None:
    assert "model" in refusal("package:json")


def test_a_model_may_be_in_a_folder_of_a_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    make(tmp_path / "carrier_a", __init____py=b"")
    (tmp_path / "carrier_a" / "__init__.py").write_bytes(b"raise SystemExit('run!')")
    make(tmp_path / "carrier_a" / "model", **WHOLE)
    assert find_model("package:carrier-a").read(WEIGHTS) == b"weights"


@pytest.mark.parametrize("name", ["cut-model", "package:cut_model_part1", "cut_model_part2"])
def test_weights_cut_in_parts_are_put_together(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    rest = {key: value for key, value in WHOLE.items() if key != "model__bin"}
    make(tmp_path / "cut_model_part1" / "data", model__bin__part1=b"wei", **rest)
    make(tmp_path / "cut_model_part2" / "data", model__bin__part2=b"ghts")
    files = find_model(name)
    assert files.name == "cut_model"
    assert files.read(WEIGHTS) == b"weights"


def test_a_file_of_a_known_package_that_changed_is_refused(tmp_path: Path) -> None:
    path = make(tmp_path, **WHOLE) / "model.bin"
    good = hashlib.sha256(b"weights").hexdigest()
    files = ModelFiles("known", {WEIGHTS: (path,)}, {WEIGHTS: good})
    assert files.read(WEIGHTS) == b"weights"
    path.write_bytes(b"Weights")
    with pytest.raises(VoiceXmlEvent, match="damaged"):
        files.read(WEIGHTS)


def test_a_file_that_is_gone_is_refused(tmp_path: Path) -> None:
    files = ModelFiles("gone", {WEIGHTS: (tmp_path / "model.bin",)}, {})
    with pytest.raises(VoiceXmlEvent, match="missing"):
        files.read(WEIGHTS)


def test_the_languages_of_a_model_are_known_before_it_is_loaded(tmp_path: Path) -> None:
    make(tmp_path / "one", **WHOLE)
    make(tmp_path / "many", **{**WHOLE, "vocabulary__txt": b"!\n\n<|en|>\n<|fr|>\n<|yue|>\n"})
    assert find_model(str(tmp_path / "one")).languages() == {"en"}
    assert find_model(str(tmp_path / "many")).languages() == {"en", "fr", "yue"}


def test_all_files_of_known_packages_are_pinned() -> None:
    for _, hashes in KNOWN.values():
        assert set(hashes) == {WEIGHTS, CONFIG, VOCABULARY, TOKENIZER}
        assert all(len(digest) == 64 for digest in hashes.values())
