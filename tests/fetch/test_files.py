from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import media_type_of
from vxml_server.fetch.files import FilePolicy


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "apps"
    root.mkdir()
    (root / "a b.vxml").write_bytes(b"<vxml/>")
    (tmp_path / "secret").write_bytes(b"secret")
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "inner").symlink_to(root / "a b.vxml")
    os.mkfifo(root / "pipe")
    return root


def refusal(root: Path, uri: str, base: str = "") -> str:
    with pytest.raises(VoiceXmlEvent) as caught:
        FilePolicy([root]).read(uri, base, 1000)
    assert caught.value.name == "error.badfetch"
    assert caught.value.uri == uri
    return caught.value.message


@pytest.mark.parametrize("name", ["a%20b.vxml", "inner", "x/../a%20b.vxml", "a%20b.vxml?x=1"])
def test_a_file_below_the_root_is_read(root: Path, name: str) -> None:
    resource = FilePolicy([root]).read(f"file://{root}/{name}", f"file://{root}/x.vxml", 1000)
    assert resource.body == b"<vxml/>"
    assert resource.status == 200
    assert resource.media_type == "application/voicexml+xml"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../secret", "outside the folders"),
        ("%2e%2e/secret", "outside the folders"),
        ("link", "outside the folders"),
        ("../apps-not/x", "outside the folders"),
        ("none.vxml", "No such file"),
        ("", "Is a directory"),
        ("pipe", "not a regular file"),
        ("a%00b", "malformed"),
        ("%ff", "malformed"),
    ],
)
def test_what_is_not_a_file_below_the_root_is_refused(root: Path, name: str, why: str) -> None:
    assert why in refusal(root, f"file://{root}/{name}")


def test_a_web_document_reaches_no_file(root: Path) -> None:
    said = refusal(root, f"file://{root}/a%20b.vxml", "http://h/x.vxml")
    assert said == "a document from the web may not read files"


def test_another_host_has_no_files_here(root: Path) -> None:
    assert "another host" in refusal(root, f"file://elsewhere{root}/a%20b.vxml")


def test_a_file_that_is_too_large_is_refused(root: Path) -> None:
    (root / "big").write_bytes(bytes(1001))
    assert refusal(root, f"file://{root}/big") == "larger than 1000 bytes"
    (root / "big").write_bytes(bytes(1000))
    assert len(FilePolicy([root]).read(f"file://{root}/big", "", 1000).body) == 1000


def test_without_roots_there_are_no_files(root: Path) -> None:
    with pytest.raises(VoiceXmlEvent, match="outside the folders"):
        FilePolicy([]).read(f"file://{root}/a%20b.vxml", "", 1000)


@given(st.text())
def test_no_uri_gives_anything_but_an_event(text: str) -> None:
    policy = FilePolicy([])
    for uri in (f"file://{text}", f"file:{text}", f"file:///{text}"):
        with pytest.raises(VoiceXmlEvent):
            policy.read(uri, "", 1000)


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.VXML", "application/voicexml+xml"),
        ("a.grxml", "application/srgs+xml"),
        ("a.wav", "audio/x-wav"),
        ("a.html", "text/html"),
        ("a", ""),
    ],
)
def test_a_name_promises_a_media_type(name: str, media_type: str) -> None:
    assert media_type_of(name) == media_type
