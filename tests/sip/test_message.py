"""Messages, and RFC 4475's torture in our own words: `torture/*.sip`, named for what they show."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sip.peers import World
from vxml_server.sip.errors import Malformed
from vxml_server.sip.headers import Headers
from vxml_server.sip.message import (
    MAX_MESSAGE,
    MalformedRequest,
    Request,
    Response,
    parse_message,
    phrase,
)
from vxml_server.sip.uri import Address

TORTURE = Path(__file__).parent / "torture"

# What a user agent does with each of them: the status it answers with, or that it says nothing.
ANSWERED = {
    "every_legal_character": 501,
    "escaped_user": 200,
    "escaped_nul": 200,
    "no_space_before_the_bracket": 200,
    "octets_after_the_body": 200,
    "semicolons_in_the_user": 200,
    "unknown_transports_in_via": 200,
    "binary_multipart": 200,
    "latin1_display_name": 200,
    "utf8_display_name": 200,
    "maximum_of_max_forwards": 200,
    "zero_max_forwards": 200,
    "empty_supported_and_unknown_schemes": 200,
    "no_content_length": 200,
    "empty_lines_before": 200,
    "branch_without_its_identifier": 200,
    "no_branch_and_no_tags": 200,
    "long_values": 200,
    "short_and_folded": 481,
    "extraneous_separators": 400,
    "bad_via": 400,
    "not_sip": 400,
    "body_shorter_than_its_length": 400,
    "negative_length": 400,
    "two_lengths": 400,
    "overlarge_cseq": 400,
    "overlarge_max_forwards": 400,
    "unbalanced_quotes": 400,
    "brackets_around_the_uri": 400,
    "white_space_in_the_uri": 400,
    "two_spaces_in_the_request_line": 400,
    "space_after_the_version": 400,
    "unbracketed_question_mark": 400,
    "spaces_within_the_address": 400,
    "comma_in_the_display_name": 400,
    "cseq_of_another_method": 400,
    "line_without_colon": 400,
    "two_call_ids": 400,
    "lone_line_feed": 400,
    "empty_call_id": 400,
    "too_many_headers": 400,
    "broken_sdp": 400,
    "invite_without_contact": 400,
    "invite_with_two_contacts": 400,
    "invite_with_contact_of_another_scheme": 400,
    "invite_with_bad_record_route": 400,
    "multipart_without_boundary": 400,
    "known_method": 405,
    "sdp_not_accepted": 406,
    "compressed_body": 415,
    "unknown_body_type": 415,
    "unknown_scheme": 416,
    "http_scheme": 416,
    "extensions_required": 420,
    "unknown_method": 501,
    "unknown_version": 505,
}
SILENCE = {
    "missing_fields",
    "no_via",
    "nul_in_a_header",
    "bad_method",
    "no_end_of_header",
    "response_without_reason",
    "response_with_utf8_reason",
    "response_with_overlarge_code",
    "response_with_overlarge_cseq",
    "response_with_bad_line",
}


def torture(name: str) -> bytes:
    return (TORTURE / f"{name}.sip").read_bytes()


def test_every_torture_file_has_its_expectation() -> None:
    assert {path.stem for path in TORTURE.glob("*.sip")} == set(ANSWERED) | SILENCE


@pytest.mark.parametrize(("name", "status"), ANSWERED.items())
def test_a_torture_request_is_answered(name: str, status: int) -> None:
    world = World()
    world.phone.send(torture(name))
    # Where the Via names no port, the answer goes to 5060: look at what left.
    answers = [data for source, _, data in world.network.sent if source.port == 5060]
    assert [int(answer.split()[1]) for answer in answers][-1:] == [status]
    world.run_out()


@pytest.mark.parametrize("name", sorted(SILENCE))
def test_what_cannot_be_answered_is_dropped_in_silence(name: str) -> None:
    world = World()
    world.phone.send(torture(name))
    assert not world.phone.responses
    assert len(world.network.sent) == 1
    assert world.agent.idle


def test_folded_headers_compact_forms_and_listed_vias_are_understood() -> None:
    request = parse_message(torture("short_and_folded"))
    assert isinstance(request, Request)
    assert request.cseq == (9, "INVITE")
    assert request.from_.display_name == 'J Rosenberg \\"'
    assert (request.from_.tag, request.to.tag) == ("98asjd8", "1918181833n")
    assert len(request.headers.values("Via")) == 3
    assert request.headers.get("NewFangledHeader") == "newfangled value continued newfangled value"
    assert request.body == b"v=0"


def test_names_in_utf8_and_in_latin_1_are_read() -> None:
    assert parse_message(torture("utf8_display_name")).from_.display_name == "Ἀρχιμήδης"
    assert parse_message(torture("latin1_display_name")).from_.display_name == "Hélène"


def test_a_response_may_have_no_reason_or_a_long_one() -> None:
    silent = parse_message(torture("response_without_reason"))
    assert isinstance(silent, Response)
    assert (silent.status, silent.reason) == (100, "")
    wordy = parse_message(torture("response_with_utf8_reason"))
    assert isinstance(wordy, Response)
    assert wordy.reason.endswith("простое")
    assert repr(wordy) == "<Response 200 1 INVITE>"


def test_the_body_is_bytes_and_what_follows_it_is_cut_off() -> None:
    assert parse_message(torture("octets_after_the_body")).body == b"ab"
    assert b"\x00\xff\x80" in parse_message(torture("binary_multipart")).body


def test_the_reason_of_a_400_says_what_is_wrong() -> None:
    world = World()
    world.phone.send(torture("negative_length"))
    assert world.phone.responses[-1].reason == "Bad Content-Length"
    assert world.agent.counters.malformed == 1


def test_a_message_longer_than_64_kib_is_dropped() -> None:
    with pytest.raises(Malformed, match="64 KiB"):
        parse_message(b"x" * (MAX_MESSAGE + 1))


def test_a_response_copies_what_section_8_2_6_names() -> None:
    request = parse_message(torture("unknown_transports_in_via"))
    assert isinstance(request, Request)
    response = request.response(200, tag="mine")
    assert response.headers.lines("Via") == request.headers.lines("Via")
    assert response.headers.get("To") == "<sip:1000@127.0.0.1>;tag=mine"
    assert response.headers.get("Call-ID") == request.call_id
    again = parse_message(bytes(response))
    assert isinstance(again, Response)
    assert (again.status, again.reason, again.to.tag) == (200, "OK", "mine")


def test_a_tag_that_is_there_is_kept() -> None:
    request = parse_message(torture("short_and_folded"))
    assert isinstance(request, Request)
    assert request.response(481, tag="mine").to.tag == "1918181833n"
    assert repr(request).startswith("<Request INVITE sip:1000@127.0.0.1")


def test_content_length_is_always_that_of_the_body() -> None:
    headers = Headers({"Content-Length": "99"})
    assert bytes(Request("X", "sip:a", headers, b"abc")).endswith(b"Content-Length: 3\r\n\r\nabc")


@pytest.mark.parametrize(
    ("status", "words"), [(486, "Busy Here"), (499, "Bad Request"), (699, "Busy Everywhere")]
)
def test_an_unknown_status_has_the_phrase_of_its_class(status: int, words: str) -> None:
    assert phrase(status) == words


HOSTILE = [" ", '"', "\\", ";", ",", "<", ";a=", ';a="', " \r\n ", "\r\n\t", "; x", ":", "a"]


@pytest.mark.parametrize("fill", HOSTILE, ids=repr)
@pytest.mark.parametrize("name", ["To", "From", "Via", "CSeq", "Call-ID", "Contact", "Subject"])
def test_no_message_of_64_kib_takes_long(fill: str, name: str) -> None:
    # What is quadratic takes seconds here, what is linear a few milliseconds.
    fields = {
        "Via": "SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKx",
        "From": "<sip:a@b>;tag=1",
        "To": "<sip:a@b>",
        "Call-ID": "x",
        "CSeq": "1 OPTIONS",
        "Subject": "a\r\n b",
    }
    for beginning in ("", fields.get(name, "")):
        fields[name] = beginning + fill * (60_000 // len(fill)) + "x"
        lines = "".join(f"{field}: {value}\r\n" for field, value in fields.items())
        data = f"OPTIONS sip:a@b SIP/2.0\r\n{lines}\r\n".encode()
        begun = time.process_time()
        with contextlib.suppress(Malformed):
            for value in parse_message(data).headers.values(name):
                Address.parse(value)
        assert time.process_time() - begun < 1.0


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_malformed(data: bytes) -> None:
    try:
        parse_message(data)
    except Malformed:
        return


@given(
    name=st.sampled_from(sorted(ANSWERED)),
    position=st.floats(0, 1),
    insert=st.binary(max_size=8),
    cut=st.integers(0, 8),
)
def test_a_damaged_message_is_read_or_malformed_and_never_hurts(
    name: str, position: float, insert: bytes, cut: int
) -> None:
    data = torture(name)
    at = int(position * len(data))
    damaged = data[:at] + insert + data[at + cut :]
    world = World()
    world.phone.react = lambda message: None
    world.agent.received(damaged, world.phone.transport, "127.0.0.1", 5080)
    # Damage can mend a message: an INVITE that is taken rings until its owner does something.
    for call in world.board.calls:
        call.hang_up()
    world.run_out()


@given(st.sampled_from(sorted(ANSWERED)))
def test_what_was_read_is_written_so_that_it_reads_the_same(name: str) -> None:
    try:
        first = parse_message(torture(name))
    except MalformedRequest:
        return
    again = parse_message(bytes(first))
    first.headers.remove("Content-Length")
    again.headers.remove("Content-Length")
    assert (again.headers, again.body) == (first.headers, first.body)
