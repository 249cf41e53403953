from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vxml_server.fetch.decoding import BadCoding, Decoder, TooLarge

CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "identity": bytes,
    "": bytes,
}


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@given(st.binary(max_size=500), st.integers(1, 60), st.sampled_from(sorted(CODINGS)))
def test_a_body_comes_out_as_it_was_however_it_is_cut(data: bytes, step: int, coding: str) -> None:
    packed = CODINGS[coding](data)
    decoder = Decoder(coding, 1000)
    for start in range(0, len(packed), step):
        decoder.feed(packed[start : start + step])
    assert decoder.body() == data


def test_deflate_without_its_wrapper_is_understood() -> None:
    decoder = Decoder("deflate", 1000)
    decoder.feed(raw_deflate(b"hello"))
    assert decoder.body() == b"hello"


def test_several_gzip_members_are_one_body_and_what_follows_is_ignored() -> None:
    decoder = Decoder("gzip", 1000)
    decoder.feed(gzip.compress(b"one ") + gzip.compress(b"two") + b"rubbish")
    assert decoder.body() == b"one two"


def test_a_bomb_is_stopped_at_the_limit() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    assert len(bomb) < 100_000
    decoder = Decoder("gzip", 100_000)
    with pytest.raises(TooLarge):
        decoder.feed(bomb)


@pytest.mark.parametrize("coding", ["", "gzip"])
def test_endless_bytes_are_stopped_whatever_they_decode_to(coding: str) -> None:
    decoder = Decoder(coding, 10_000)
    decoder.feed(gzip.compress(b""))
    with pytest.raises(TooLarge):
        for _ in range(100):
            decoder.feed(bytes(1000))


def test_the_limit_itself_is_allowed() -> None:
    decoder = Decoder("gzip", 1000)
    decoder.feed(gzip.compress(bytes(1000)))
    assert len(decoder.body()) == 1000


@given(st.binary(min_size=1, max_size=100), st.sampled_from(["gzip", "deflate"]))
def test_damaged_bytes_raise_nothing_else(data: bytes, coding: str) -> None:
    decoder = Decoder(coding, 1_000_000)
    with suppress(BadCoding, TooLarge):
        decoder.feed(data)
        decoder.body()


def test_a_body_that_ends_too_early_is_damaged() -> None:
    decoder = Decoder("gzip", 1000)
    decoder.feed(gzip.compress(b"hello")[:-4])
    with pytest.raises(BadCoding, match="too early"):
        decoder.body()


def test_an_unknown_coding_is_refused() -> None:
    with pytest.raises(BadCoding, match="br"):
        Decoder("br", 1000)
