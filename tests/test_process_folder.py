"""Folders of processes."""

from __future__ import annotations

from pathlib import Path

from vxml_server.process_folder import ProcessFolder


def taken(shared: Path) -> tuple[ProcessFolder, list[Path]]:
    folder = ProcessFolder(shared, "main")
    with folder.take() as left:
        return folder, left


def test_the_folder_of_a_process_that_lives_is_not_another_s(tmp_path: Path) -> None:
    first, _ = taken(tmp_path / "spool")
    second, left = taken(tmp_path / "spool")
    assert first.path != second.path
    assert left == []


def test_what_a_process_left_is_given_to_the_next_one(tmp_path: Path) -> None:
    first, _ = taken(tmp_path)
    left_behind = first.path
    first.let_go()
    first.let_go()
    assert not first.is_taken
    _, left = taken(tmp_path)
    assert left == [left_behind]


def test_what_is_no_folder_of_a_process_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "recovered").mkdir()
    (tmp_path / "main-12345678").write_text("a file")
    assert taken(tmp_path)[1] == []
