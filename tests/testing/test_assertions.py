"""How the assertions of a suite are found, and where the call of each begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from vxml_server.interpreter.script import ScriptError
from vxml_server.testing import discover
from vxml_server.testing.assertions import (
    Reported,
    Scripted,
    SelfTested,
    described,
    start_document,
)

MANIFEST = 'section: "5.10"\ntext: >-\n  It does\n  what it says.\n---\nsteps:\n  - expect: x\n'


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content)
    return folder


def test_a_folder_with_a_manifest_is_an_assertion(tmp_path: Path) -> None:
    write(tmp_path / "suite" / "a", assertion__yaml=MANIFEST, index__vxml="<vxml/>")
    (found,) = discover(tmp_path)
    assert isinstance(found, Scripted)
    assert (found.id, found.section, found.text) == ("suite/a", "5.10", "It does what it says.")
    assert found.document == tmp_path / "suite" / "a" / "index.vxml"
    assert not found.pending


def test_a_manifest_may_name_another_document_and_be_pending(tmp_path: Path) -> None:
    head, steps = MANIFEST.split("---")
    text = f"{head}document: start.vxml\npending: true\n---{steps}"
    write(tmp_path / "a", assertion__yaml=text)
    (found,) = discover(tmp_path)
    assert isinstance(found, Scripted)
    assert (found.document.name, found.pending) == ("start.vxml", True)


def test_steps_have_the_lines_of_the_file(tmp_path: Path) -> None:
    write(tmp_path / "a", assertion__yaml=MANIFEST)
    (found,) = discover(tmp_path)
    assert isinstance(found, Scripted)
    assert found.script.steps[0].line == MANIFEST.splitlines().index("  - expect: x") + 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("section: 1\ntext: x\n", "a line of `---`"),
        ("section: 1\n---\nsteps: [{expect: x}]\n", "`section` and `text`"),
        ("section: 1\ntext: x\nmood: good\n---\nsteps: [{expect: x}]\n", "none but"),
        ("- a list\n---\nsteps: [{expect: x}]\n", "`section` and `text`"),
        ("section: [\n---\nsteps: [{expect: x}]\n", "expected YAML"),
        ("section: 1\ntext: x\n---\nsteps: [{dtmf: 1}]\n", "cannot fail"),
        ("section: 1\ntext: x\n---\nsteps: [{sing: 1}]\n", ":4: expected one of"),
    ],
)
def test_a_manifest_that_cannot_be_used_is_an_error(
    tmp_path: Path, text: str, complaint: str
) -> None:
    write(tmp_path / "a", assertion__yaml=text)
    with pytest.raises(ScriptError, match=complaint):
        discover(tmp_path)


def test_a_manifest_is_in_utf_8(tmp_path: Path) -> None:
    write(tmp_path / "a")
    (tmp_path / "a" / "assertion.yaml").write_bytes(b"section: \xff\n---\n")
    with pytest.raises(ScriptError, match="UTF-8"):
        discover(tmp_path)


def test_folders_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for name in ("10", "9", "100"):
        write(tmp_path / name, a__txml="<vxml/>")
    assert [each.id for each in discover(tmp_path)] == ["9", "10", "100"]


def test_leftovers_of_editors_are_no_documents(tmp_path: Path) -> None:
    write(tmp_path / "1", **{"1__txml__1": "<vxml/>"})
    assert discover(tmp_path) == []


def test_a_grammar_is_an_assertion_for_each_of_its_samples(tmp_path: Path) -> None:
    grammar = (
        '<grammar xmlns="http://www.w3.org/2001/06/grammar" root="a">'
        '<meta name="in.1" content="x"/><meta name="out.1" content="REJECT"/>'
        '<meta name="in.2" content="no out"/></grammar>'
    )
    abnf = "#ABNF 1.0;\nmeta 'in.1' is 'y';\nmeta \"out.1\" is '$a[\"y\"]';\nroot $a; $a = y;"
    write(tmp_path, one__grxml=grammar, two__gram=abnf, three__grxml="<grammar>", four__gram="")
    found = discover(tmp_path)
    assert all(isinstance(each, SelfTested) for each in found)
    assert [each.id for each in found] == ["one.grxml 1", "two.gram 1"]


@pytest.mark.parametrize(
    ("number", "documents", "expected"),
    [
        ("75", {"a75-root.txml": "", "a75-driver.txml": ""}, "a75-driver.txml"),
        ("56", {"a56-root.txml": "", "a56-leaf.txml": ""}, "a56-leaf.txml"),
        ("527", {"527a2.txml": "", "527a1.txml": "next='527a2.vxml'"}, "527a1.txml"),
        ("12", {"a12b.txml": "", "a12a.txml": "<goto next='a12b.txml'/>"}, "a12a.txml"),
        ("400", {"400.txml": "", "400bis.txml": ""}, "400.txml"),
        ("2", {"a002.txml": "", "b.txml": ""}, "a002.txml"),
        ("5", {"b.txml": "a.vxml", "a.txml": "b.vxml"}, "a.txml"),
        ("6", {"6.txml": "conf", "6.vxml": "plain"}, "6.txml"),
    ],
)
def test_a_call_begins_where_a_tester_would_begin(
    number: str, documents: dict[str, str], expected: str
) -> None:
    sources = {Path(name): text.encode() for name, text in documents.items()}
    assert start_document(sources, number) == Path(expected)


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("Assertion 2 Section 1.2.5\n The voice is heard.", ("1.2.5", "The voice is heard.")),
        ("Assertion: Menus exist.", ("", "Menus exist.")),
        ("Just a text.", ("", "Just a text.")),
        ("x" * 500, ("", " …")),
    ],
)
def test_an_assertion_says_what_it_is_about(comment: str, expected: tuple[str, str]) -> None:
    source = f"<!-- Copyright of somebody --><vxml><!-- {comment} --></vxml>"
    assert described(source.encode()) == expected


@pytest.mark.parametrize("source", [b"", b"<vxml/>", b"not xml"])
def test_an_assertion_may_say_nothing(source: bytes) -> None:
    assert described(source) == ("", "")


def test_a_document_that_never_says_pass_is_for_a_listener(tmp_path: Path) -> None:
    write(tmp_path / "1", a__txml="<conf:pass/>")
    write(tmp_path / "2", a__txml="<prompt>listen</prompt>")
    assert [each.judges for each in discover(tmp_path) if isinstance(each, Reported)] == [
        True,
        False,
    ]
