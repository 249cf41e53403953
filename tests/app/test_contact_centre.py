"""The file of `[queues] definitions`."""

from __future__ import annotations

from pathlib import Path

import pytest

from vxml_server.app.contact_centre import definitions
from vxml_server.app.errors import CannotStart
from vxml_server.queues import Agent, Box, Group, Queue


def test_the_file_has_agents_groups_queues_and_boxes(tmp_path: Path) -> None:
    path = tmp_path / "queues.toml"
    path.write_text(
        """
[[agents]]
name = "ann"
line = "ann"

[[groups]]
name = "all"
agents = ["ann"]

[[queues]]
name = "sales"

[[boxes]]
name = "sales"
queue = "sales"
owners = ["ann"]
""",
        "utf-8",
    )
    assert definitions(path) == [
        Agent("ann", line="ann"),
        Group("all", agents=("ann",)),
        Queue("sales"),
        Box("sales", queue="sales", owners=("ann",)),
    ]
    assert definitions(None) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[box]]\nname='a'", r"box: expected \[\[agents\]\], \[\[boxes\]\], \[\[groups\]\]"),
        ("[[boxes]]\nname='a'\n[[boxes]]\nname='b'\nemail=['b']", "boxes 2: email: expected"),
        ("boxes = 1", "boxes: expected"),
        ("[[boxes", "queues.toml: "),
    ],
)
def test_what_makes_no_sense_in_it_is_told_with_its_place(
    tmp_path: Path, text: str, told: str
) -> None:
    path = tmp_path / "queues.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(CannotStart, match=told):
        definitions(path)
