from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vxml_server.sip.errors import InvalidUri, Malformed
from vxml_server.sip.uri import (
    Address,
    Destination,
    SipUri,
    Via,
    ip_address,
    parse_parameters,
    quote,
    unquote,
)


@pytest.mark.parametrize(
    ("text", "destination"),
    [
        ("sip:1000@127.0.0.1", Destination("udp", "127.0.0.1", 5060)),
        ("sip:127.0.0.1:5070;transport=TCP", Destination("tcp", "127.0.0.1", 5070)),
        ("SIP:a@[::1]:5062;lr", Destination("udp", "::1", 5062)),
        ("sips:a@10.0.0.1", Destination("tls", "10.0.0.1", 5061)),
        ("sips:a@10.0.0.1;transport=ws", Destination("wss", "10.0.0.1", 443)),
        ("sip:a@localhost", Destination("udp", "127.0.0.1", 5060)),
        ("sip:a@example.com;maddr=10.0.0.9", Destination("udp", "10.0.0.9", 5060)),
        ("sip:user;par=u%40example.net@10.0.0.1", Destination("udp", "10.0.0.1", 5060)),
    ],
)
def test_a_uri_with_an_address_says_where_to_go(text: str, destination: Destination) -> None:
    assert SipUri.parse(text).destination() == destination


@pytest.mark.parametrize("text", ["sip:a@example.com", "sip:a@10.0.0.1;transport=pigeon"])
def test_a_uri_that_needs_dns_or_an_unknown_transport_says_so(text: str) -> None:
    with pytest.raises(InvalidUri):
        SipUri.parse(text).destination()


@pytest.mark.parametrize(
    "text",
    ["", "sip:", "tel:+331", "sip:a@b c", "sip:a@b:99999", "sip:a@b:0", "sip:a@@b", "sip:a@b>"],
)
def test_what_is_no_sip_uri_is_refused(text: str) -> None:
    with pytest.raises(InvalidUri):
        SipUri.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "sip:a@10.0.0.1",
        "sips:a:pw@[fe80::1]:5061;lr;transport=tcp",
        "sip:10.0.0.1?subject=x",
    ],
)
def test_a_uri_is_written_as_it_was_read(text: str) -> None:
    assert str(SipUri.parse(text)) == text


def test_a_loose_router_has_lr() -> None:
    assert SipUri.parse("sip:p;lr").loose_router
    assert not SipUri.parse("sip:p").loose_router


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("<sip:a@b>;tag=1", Address("sip:a@b", "", {"tag": "1"})),
        ("sip:a@b;tag=1", Address("sip:a@b", "", {"tag": "1"})),
        ("sip:a@b ;tag=1", Address("sip:a@b", "", {"tag": "1"})),
        ('"J \\"R\\" <x>" <sip:a@b>', Address("sip:a@b", 'J "R" <x>')),
        ("Jean Luc<tel:+33>;x", Address("tel:+33", "Jean Luc", {"x": ""})),
        ("Zoé <sip:a@b;p=1?h=2>", Address("sip:a@b;p=1?h=2", "Zoé")),
        ('<sip:a>;q="a;b" ; r = 2 ', Address("sip:a", "", {"q": "a;b", "r": "2"})),
        ("<sip:a>;", Address("sip:a")),
    ],
)
def test_an_address_is_read_in_all_its_forms(value: str, address: Address) -> None:
    assert Address.parse(value) == address


@pytest.mark.parametrize(
    "value",
    [
        "",
        '"open <sip:a@b>',
        '"closed" sip:a@b',
        "Bell, A <sip:a@b>",
        "<sip:a@b",
        "sip:a@b?h=1",
        "no-scheme",
        "<sip:a b>",
        "<sip:a>;=x",
        "<sip:a> junk",
    ],
)
def test_a_bad_address_is_malformed(value: str) -> None:
    with pytest.raises(Malformed):
        Address.parse(value)


def test_via_is_read_with_the_white_space_that_the_grammar_allows() -> None:
    via = Via.parse(" SIP / 2.0 / TCP  Host.Example : 5061 ; branch = z9hG4bKx ;rport")
    assert (via.protocol, via.host, via.port) == ("tcp", "host.example", 5061)
    assert via.branch == "z9hG4bKx"
    assert str(via) == "SIP/2.0/TCP host.example:5061;branch=z9hG4bKx;rport"


@pytest.mark.parametrize("value", ["", "SIP/2.0/UDP", "SIP/2.0/UDP h:0", "SIP/2.0/UDP h:70000"])
def test_a_bad_via_is_malformed(value: str) -> None:
    with pytest.raises(Malformed):
        Via.parse(value)


def test_via_takes_down_where_it_really_came_from() -> None:
    plain = Via.parse("SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKx;received=6.6.6.6")
    assert plain.seen_from("10.0.0.1", 5).parameters == {"branch": "z9hG4bKx"}
    assert plain.seen_from("10.0.0.2", 5).parameters["received"] == "10.0.0.2"
    asked = Via.parse("SIP/2.0/UDP 10.0.0.1;rport;branch=z9hG4bKx").seen_from("10.0.0.1", 99)
    assert asked.parameters == {"rport": "99", "branch": "z9hG4bKx", "received": "10.0.0.1"}


def test_via_of_an_ipv6_host_keeps_its_brackets_and_odd_values_their_quotes() -> None:
    via = Via.parse('SIP/2.0/UDP [::1]:5060;branch=z9hG4bKx;odd="a;b"')
    assert str(via) == 'SIP/2.0/UDP [::1]:5060;branch=z9hG4bKx;odd="a;b"'
    assert str(Destination("udp", "::1", 5)) == "udp:[::1]:5"


@given(st.text(max_size=30))
def test_quoting_is_undone_by_unquoting(text: str) -> None:
    assert unquote(quote(text)) == text


@pytest.mark.parametrize(("host", "ip"), [("[::1]", "::1"), ("10.0.0.01", None), ("x", None)])
def test_only_an_ip_address_is_one(host: str, ip: str | None) -> None:
    assert ip_address(host) == ip


@given(st.text(alphabet=';= "ab\\', max_size=40))
def test_parameters_are_read_or_refused(text: str) -> None:
    try:
        parse_parameters(text)
    except Malformed:
        return


@pytest.mark.parametrize(
    "read", [Address.parse, Via.parse, SipUri.parse, parse_parameters], ids=lambda f: f.__name__
)
@given(text=st.text(max_size=80))
def test_whatever_comes_is_read_or_refused(read: object, text: str) -> None:
    assert callable(read)
    try:
        read(text)
    except (Malformed, InvalidUri):
        return
