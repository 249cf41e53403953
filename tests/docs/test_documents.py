"""The documents agree with the code: settings, links, and the tests that guarantees name."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from pydantic import BaseModel

from vxml_server.clock import SystemClock
from vxml_server.fetch import Fetcher
from vxml_server.interpreter.dialogue import run_dialogue
from vxml_server.interpreter.script import parse_script
from vxml_server.settings import FetchSettings, NumberRule, Settings, TrunkSettings, load

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

# Sections that stand in a file more than once.
LISTS: Mapping[str, type[BaseModel]] = {"numbers": NumberRule, "trunks": TrunkSettings}


def setting_keys() -> Iterator[tuple[str, str]]:
    """(section, key) of every setting; the section of a top-level key is empty."""
    for name, field in Settings.model_fields.items():
        if isinstance(field.default, BaseModel):
            for key, inner in type(field.default).model_fields.items():
                yield name, inner.alias or key
        elif name in LISTS:
            yield from ((name, key) for key in LISTS[name].model_fields)
        else:
            yield "", name


@pytest.mark.parametrize(("section", "key"), list(setting_keys()))
def test_every_setting_is_described_in_its_section(section: str, key: str) -> None:
    text = (ROOT / "docs/configuration.md").read_text("utf-8")
    described = text.partition("## Settings")[2]
    if section:
        heading = f"### `[[{section}]]`" if section in LISTS else f"### `[{section}]`"
        assert heading in described
        described = described.partition(heading)[2]
    described = re.split("^#{2,3} ", described, maxsplit=1, flags=re.MULTILINE)[0]
    assert f"| `{key}` |" in described


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files_that_exist(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text("utf-8"))
    missing = [link for link in links if not (document.parent / link).exists()]
    assert not missing


def test_every_guarantee_names_a_test_that_exists() -> None:
    text = (ROOT / "docs/guarantees.md").read_text("utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
    assert named
    missing = [
        f"{file}::{test}"
        for file, test in named
        if not (ROOT / file).is_file()
        or re.search(rf"def {test}\(", (ROOT / file).read_text("utf-8")) is None
    ]
    assert not missing


def test_the_architecture_names_every_room_and_nothing_else() -> None:
    text = (ROOT / "docs/architecture.md").read_text("utf-8")
    drawn = text.partition("```\n")[2].partition("```")[0]
    named = re.findall(r"(?<![\w/])([a-z_]+)(?:/|\.py)(?!\w)", drawn)
    package = ROOT / "vxml_server"
    rooms = {path.parent.name for path in package.glob("*/__init__.py")}
    floor = {path.stem for path in package.glob("*.py")} - {"__init__"}
    assert sorted(named) == sorted(rooms | floor)


def example(language: str) -> str:
    """The first block of this language in the README."""
    found = re.search(
        f"```{language}\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL
    )
    assert found
    return textwrap.dedent(found[1])


async def test_the_first_application_of_the_readme_passes_its_own_script(tmp_path: Path) -> None:
    document = tmp_path / "index.vxml"
    document.write_text(example("xml"), "utf-8")
    fetcher = Fetcher(FetchSettings(files=(tmp_path,)), SystemClock())
    script = parse_script(example("yaml"))
    assert script.steps
    result = await run_dialogue(str(document), script, fetcher.session())
    await fetcher.close()
    assert (result.exit_status, result.unused) == (0, ())


@pytest.mark.parametrize("document", ["README.md", "scripts/welcome.txt"])
def test_every_number_of_the_default_settings_is_told(document: str) -> None:
    text = (ROOT / document).read_text("utf-8")
    numbers = [rule.number for rule in load(None, {}).numbers]
    assert numbers
    assert [number for number in numbers if not re.search(rf"\b{number}\b", text)] == []


def test_every_application_of_the_default_settings_is_there() -> None:
    settings = load(None, {})
    for rule in settings.numbers:
        _, apps, path = rule.application.partition("/apps/")
        assert apps
        assert (ROOT / "apps" / path).is_file()
