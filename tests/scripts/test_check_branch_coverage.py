"""The gate over branch coverage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts.check_branch_coverage import Branches, count, main


def report(path: Path, **files: tuple[int, int]) -> str:
    """Writes a coverage report with (covered, total) branches for each file; returns its path."""
    content = {
        name.replace("__", "/") + ".py": {
            "summary": {"covered_branches": covered, "num_branches": total}
        }
        for name, (covered, total) in files.items()
    }
    target = path / "coverage.json"
    target.write_text(json.dumps({"files": content}), "utf-8")
    return str(target)


def test_the_branches_of_a_package_are_summed_over_its_files_and_folders(tmp_path: Path) -> None:
    summaries = {
        "pkg/a/one.py": {"covered_branches": 3, "num_branches": 4},
        "pkg/a/deep/two.py": {"covered_branches": 5, "num_branches": 6},
        "pkg/ab/three.py": {"covered_branches": 0, "num_branches": 100},
    }
    assert count(summaries, "pkg/a") == Branches(covered=8, total=10)


def test_a_package_that_reaches_the_percentage_passes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = report(tmp_path, pkg__a__one=(9, 10))
    assert main([file, "90", "pkg/a"]) == 0
    assert capsys.readouterr().out == "branches pkg/a: 9 of 10, 90.0 %\n"


def test_one_package_below_the_percentage_fails_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = report(tmp_path, pkg__a__one=(8, 10), pkg__b__one=(10, 10))
    assert main([file, "90", "pkg/a", "pkg/b"]) == 1
    assert "branches pkg/a: 8 of 10, 80.0 %, which is less than 90 %" in capsys.readouterr().out


def test_a_package_that_was_not_measured_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = report(tmp_path, pkg__a__one=(10, 10))
    assert main([file, "90", "pkg/gone"]) == 1
    assert "branches pkg/gone: not in" in capsys.readouterr().out


def test_a_package_without_branches_is_covered() -> None:
    assert Branches(covered=0, total=0).percent == 100.0


def test_too_few_arguments_print_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["coverage.json"]) == 2
    assert "Usage:" in capsys.readouterr().err
