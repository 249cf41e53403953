"""Encrypted files: grown, cut off, read from the middle, and tampered with."""

from __future__ import annotations

import io
import os
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vxml_server.recording.envelope import (
    TAG,
    EnvelopeError,
    Keyring,
    Opened,
    SealedAppend,
    SealedFile,
    Sealer,
    Tampered,
    Truncated,
    UnknownKey,
)

KEYS = Keyring({"new": bytes(range(32)), "old": bytes(32)})
CHUNK = 64


def grown(data: bytes, *, finish: bool = True, keys: Keyring = KEYS, step: int = 7) -> bytes:
    """A file that grew by `step` octets at a time."""
    file = io.BytesIO()
    sealed = SealedAppend(file.write, Sealer(keys, CHUNK))
    for place in range(0, len(data), step):
        sealed.append(data[place : place + step])
    if finish:
        sealed.finish()
    return file.getvalue()


def opened(octets: bytes, keys: Keyring = KEYS, *, as_far_as_it_goes: bool = False) -> bytes:
    file = Opened(io.BytesIO(octets), keys, as_far_as_it_goes=as_far_as_it_goes)
    return b"".join(file.read())


def header_of(octets: bytes) -> int:
    return len(Sealer(KEYS, CHUNK).header)


@given(st.binary(max_size=400), st.integers(1, 100))
def test_a_file_that_grew_is_read_as_it_was_written(data: bytes, step: int) -> None:
    assert opened(grown(data, step=step)) == data


@given(st.binary(max_size=400), st.integers(0, 450), st.integers(0, 450))
def test_any_range_is_what_stands_there(data: bytes, start: int, end: int) -> None:
    file = Opened(io.BytesIO(grown(data)), KEYS)
    assert file.length == len(data)
    assert b"".join(file.read(start, end)) == data[start:end]


@given(st.binary(max_size=400), st.data())
def test_a_file_that_is_cut_off_anywhere_gives_its_whole_chunks(
    data: bytes, more: st.DataObject
) -> None:
    octets = grown(data)
    header = header_of(octets)
    cut = more.draw(st.integers(header, len(octets) - 1))
    whole = (cut - header) // (CHUNK + TAG) * CHUNK
    assert opened(octets[:cut], as_far_as_it_goes=True) == data[:whole]
    with pytest.raises(EnvelopeError):
        opened(octets[:cut])


@given(st.binary(max_size=400), st.data())
def test_a_changed_bit_anywhere_is_seen(data: bytes, more: st.DataObject) -> None:
    octets = bytearray(grown(data))
    place = more.draw(st.integers(0, len(octets) - 1))
    octets[place] ^= 1 << more.draw(st.integers(0, 7))
    with pytest.raises(EnvelopeError):
        opened(bytes(octets))


def chunks(octets: bytes) -> list[bytes]:
    header, size = header_of(octets), CHUNK + TAG
    parts = [octets[place : place + size] for place in range(header, len(octets), size)]
    return [octets[:header], *parts]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda h, a, b, c: [h, b, a, c], Tampered),
        (lambda h, a, b, c: [h, a, a, c], Tampered),
        (lambda h, a, b, c: [h, a, c], Tampered),
        (lambda h, a, b, c: [h, a, b, c, c], Tampered),
        (lambda h, a, b, c: [h, a, b], Truncated),
        (lambda h, a, b, c: [h], Truncated),
        (lambda h, a, b, c: [h, a, b, c[:10]], Truncated),
    ],
)
def test_chunks_that_were_moved_or_taken_away_are_seen(
    change: Callable[..., list[bytes]], error: type[EnvelopeError]
) -> None:
    octets = grown(bytes(range(2 * CHUNK + 10)))
    with pytest.raises(error):
        opened(b"".join(change(*chunks(octets))))


def test_a_chunk_of_another_file_of_the_same_key_is_seen() -> None:
    one, other = chunks(grown(bytes(200))), chunks(grown(bytes(200)))
    with pytest.raises(Tampered):
        opened(b"".join([one[0], other[1], *one[2:]]))


def test_keys_are_rotated_and_the_file_knows_which_is_its_own() -> None:
    before = Keyring({"old": KEYS.keys["old"]})
    octets = grown(b"said before", keys=before)
    assert Opened(io.BytesIO(octets), KEYS).key_id == "old"
    assert opened(octets) == b"said before"
    assert Opened(io.BytesIO(grown(b"")), KEYS).key_id == "new"
    with pytest.raises(UnknownKey):
        opened(grown(b"said now"), before)
    with pytest.raises(Tampered):
        opened(octets, Keyring({"old": os.urandom(32)}))


@given(st.binary(max_size=300))
def test_what_is_no_such_file_is_told_so(octets: bytes) -> None:
    with pytest.raises(EnvelopeError):
        opened(octets)


@given(st.binary(max_size=300))
def test_a_header_with_anything_after_it_is_told_so(octets: bytes) -> None:
    with pytest.raises(EnvelopeError):
        opened(Sealer(KEYS, CHUNK).header + octets)


@given(
    st.binary(max_size=400),
    st.lists(st.tuples(st.integers(0, CHUNK - 1), st.binary(max_size=30)), max_size=5),
)
def test_the_beginning_of_a_file_may_be_put_right_until_it_is_closed(
    data: bytes, changes: list[tuple[int, bytes]]
) -> None:
    expected, inner = bytearray(data), io.BytesIO()
    file = SealedFile(inner, Sealer(KEYS, CHUNK))
    for place in range(0, len(data), 9):
        file.write(data[place : place + 9])
    for place, change in changes:
        patch = change[: max(0, min(CHUNK, len(data)) - place)]
        if patch:
            file.seek(place)
            file.write(patch)
            expected[place : place + len(patch)] = patch
    assert file.seek(0, os.SEEK_END) == len(data) == file.tell()
    file.close()
    assert opened(inner.getvalue()) == bytes(expected)


def test_beyond_its_beginning_a_file_only_grows() -> None:
    file = SealedFile(io.BytesIO(), Sealer(KEYS, CHUNK))
    file.write(bytes(3 * CHUNK))
    file.seek(CHUNK + 1)
    with pytest.raises(OSError, match="beginning"):
        file.write(b"x")


def test_no_two_files_have_the_same_salt() -> None:
    assert Sealer(KEYS, CHUNK).header != Sealer(KEYS, CHUNK).header
