from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vxml_server.fetch import resolve_uri, split_fragment
from vxml_server.fetch.uri import http_uri, origin, scheme

# RFC 3986 section 5.4, the examples that a document could hold.
BASE = "http://a/b/c/d;p?q"


@pytest.mark.parametrize(
    ("reference", "resolved"),
    [
        ("g", "http://a/b/c/g"),
        ("./g", "http://a/b/c/g"),
        ("g/", "http://a/b/c/g/"),
        ("/g", "http://a/g"),
        ("//g", "http://g"),
        ("?y", "http://a/b/c/d;p?y"),
        ("g?y", "http://a/b/c/g?y"),
        ("#s", "http://a/b/c/d;p?q#s"),
        ("g#s", "http://a/b/c/g#s"),
        (";x", "http://a/b/c/;x"),
        ("", "http://a/b/c/d;p?q"),
        (".", "http://a/b/c/"),
        ("..", "http://a/b/"),
        ("../g", "http://a/b/g"),
        ("../../../g", "http://a/g"),
        ("mailto:x", "mailto:x"),
        ("https://z/y#f", "https://z/y#f"),
        (" g ", "http://a/b/c/g"),
        ("//[", "//["),
    ],
)
def test_a_reference_is_resolved_as_the_rfc_says(reference: str, resolved: str) -> None:
    assert resolve_uri(BASE, reference) == resolved
    assert resolve_uri(BASE + "#old", reference) == resolved


@pytest.mark.parametrize(
    ("base", "reference", "resolved"),
    [
        ("file:///apps/a.vxml", "b.vxml#f", "file:///apps/b.vxml#f"),
        ("file:///apps/a.vxml", "#f", "file:///apps/a.vxml#f"),
        ("file:///apps/a.vxml", "../b.vxml", "file:///b.vxml"),
        ("file:///apps/a.vxml", "/b.vxml", "file:///b.vxml"),
        ("/apps/a b.vxml", "c.vxml", "file:///apps/c.vxml"),
        ("/apps/a b.vxml", "", "file:///apps/a%20b.vxml"),
        ("", "http://h/x", "http://h/x"),
    ],
)
def test_files_and_paths_have_references_too(base: str, reference: str, resolved: str) -> None:
    assert resolve_uri(base, reference) == resolved


def test_without_a_base_a_path_is_of_the_working_directory() -> None:
    assert resolve_uri("", "a/b.vxml#f") == (Path.cwd() / "a/b.vxml").as_uri() + "#f"


def test_a_drive_letter_is_not_a_scheme() -> None:
    assert scheme("C:/x.vxml") == ""
    assert scheme("HTTP://x") == "http"


def test_the_fragment_is_parted() -> None:
    assert split_fragment("http://h/a#b") == ("http://h/a", "b")
    assert split_fragment("http://h/a") == ("http://h/a", "")


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("HTTP://ExAmple.com:80", "http://example.com/"),
        ("https://h:443/a?b#c", "https://h/a?b"),
        ("http://h:8080/à b?c=d e&f=%20+", "http://h:8080/%C3%A0%20b?c=d%20e&f=%20+"),
        ("http://é.fr/", "http://xn--9ca.fr/"),
        ("http://[::0001]/", "http://[::1]/"),
        ("http://u:p@h/", "http://u:p@h/"),
    ],
)
def test_what_is_sent_is_ascii_and_means_what_was_written(written: str, sent: str) -> None:
    assert http_uri(written) == sent
    assert http_uri(sent) == sent


@pytest.mark.parametrize(
    "uri",
    ["http://", "http:///x", "http://a b/", "http://h:99999/", "http://[x]/", "ftp://h/", "x"],
)
def test_what_is_no_http_uri_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        http_uri(uri)


@given(st.text(), st.text())
def test_no_text_breaks_the_resolution_or_leaves_a_control_character(base: str, text: str) -> None:
    resolve_uri(base, text)
    for uri in (text, f"http://h/{text}", f"http://h?{text}", f"http://{text}@h/"):
        try:
            sent = http_uri(uri)
        except ValueError:
            continue
        assert sent.isascii()
        assert sent.isprintable()
        assert " " not in sent
        assert http_uri(sent) == sent


def test_origins_are_written_with_the_port() -> None:
    assert origin("http://H/x") == "http://h:80"
    assert origin("https://[::1]/x") == "https://[::1]:443"
