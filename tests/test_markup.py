"""XML that others wrote cannot reach beyond itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

import vxml_server
from vxml_server.markup import xml_parser


def text_of(source: str) -> str:
    root = etree.fromstring(source.encode(), xml_parser())
    return "".join(str(part) for part in root.itertext(etree.Element))


def test_a_file_is_not_read_through_an_entity(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    uri = (tmp_path / "secret").as_uri()
    assert "secret" not in text_of(f'<!DOCTYPE a [<!ENTITY e SYSTEM "{uri}">]><a>x &e;</a>')


def test_entities_are_not_expanded() -> None:
    assert text_of('<!DOCTYPE a [<!ENTITY e "expanded">]><a>x &e;</a>') == "x "


def test_entities_that_would_make_a_document_huge_are_refused() -> None:
    declared = '<!ENTITY a "aaaaaaaaaa">' + "".join(
        f'<!ENTITY {name} "{10 * f"&{before};"}">'
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    with pytest.raises(etree.XMLSyntaxError):
        text_of(f"<!DOCTYPE a [{declared}]><a>x &i;</a>")


def test_a_dtd_is_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "a.dtd").write_text('<!ATTLIST a b CDATA "default">')
    uri = (tmp_path / "a.dtd").as_uri()
    root = etree.fromstring(f'<!DOCTYPE a SYSTEM "{uri}"><a/>'.encode(), xml_parser())
    assert root.get("b") is None


def test_a_tree_without_end_is_refused() -> None:
    with pytest.raises(etree.XMLSyntaxError):
        etree.fromstring(b"<a>" * 1000 + b"</a>" * 1000, xml_parser())


def test_no_other_module_makes_a_parser() -> None:
    folder = Path(vxml_server.__file__).parent
    made = [path.name for path in folder.rglob("*.py") if "XMLParser(" in path.read_text()]
    assert made == ["markup.py"]
