"""The suite covers every section, and the documentation says so truly."""

from __future__ import annotations

import pytest

from scripts.conformance_table import DOCUMENT, SUITE, counts, sections, with_table
from vxml_server.testing import discover
from vxml_server.testing.assertions import Scripted

SECTIONS = [(suite, number) for suite, titles in sections().items() for number in titles]


@pytest.mark.parametrize(("suite", "number"), SECTIONS)
def test_every_section_has_assertions(suite: str, number: str) -> None:
    found = counts().get(suite, {})
    assert any(each == number or each.startswith(f"{number}.") for each in found)


def test_every_assertion_is_of_a_section_that_there_is() -> None:
    known = set(SECTIONS)
    unknown = {(suite, number) for suite, found in counts().items() for number in found} - known
    assert not unknown


def test_an_assertion_lies_in_a_folder_of_its_section() -> None:
    for assertion in discover(SUITE):
        if isinstance(assertion, Scripted):
            assert assertion.id.partition("/")[2].startswith(f"{assertion.section}-")
            assert assertion.document.is_file()


def test_there_are_as_many_assertions_as_promised() -> None:
    assert sum(found.total() for found in counts().values()) >= 450


def test_the_documented_table_is_that_of_the_suite() -> None:
    document = DOCUMENT.read_text("utf-8")
    assert document == with_table(document), "run scripts/conformance_table.py"


def test_nothing_is_pending() -> None:
    pending = [each.id for each in discover(SUITE) if isinstance(each, Scripted) and each.pending]
    assert pending == []
