from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vxml_server.settings import DialRefused, allows, destination
from vxml_server.settings.dialling import check_rule

ANYBODY_HERE = ("sip:*@127.0.0.1",)


@dataclass(frozen=True)
class Dial:
    allow: tuple[str, ...] = ANYBODY_HERE
    route: str | None = None


@pytest.mark.parametrize(
    ("rule", "uri"),
    [
        ("sip:*@127.0.0.1", "sip:1000@127.0.0.1"),
        ("sip:*@127.0.0.1", "sip:1000@127.0.0.1:5070"),
        ("sip:*@127.0.0.1", "SIP:1000@127.0.0.1;transport=tcp;user=phone"),
        ("sip:*@127.0.0.1", "sip:127.0.0.1"),
        ("sip:*@127.0.0.1:5060", "sip:x@127.0.0.1"),
        ("sip:*@Example.COM", "sip:x@eXample.com."),
        ("sip:+331*@gw", "sip:+33123456789@gw"),
        ("sip:+331*@gw", "sip:%2b33123456789@gw"),
        ("sip:*@*.example.com", "sip:x@eu.example.com"),
        ("sip:*@[::1]", "sip:x@[0:0:0:0:0:0:0:1]:5060"),
        ("sips:a*b*c@h", "sips:a-b-c@h"),
    ],
)
def test_a_rule_allows(rule: str, uri: str) -> None:
    assert allows((rule,), uri)


@pytest.mark.parametrize(
    ("rule", "uri"),
    [
        ("sip:*@127.0.0.1", "sip:x@127.0.0.2"),
        ("sip:*@127.0.0.1", "sip:x@127.0.0.11"),
        ("sip:*@127.0.0.1", "sip:x@127.0.0.1.evil.com"),
        ("sip:*@127.0.0.1", "sip:x@127.0.0.1@evil.com"),
        ("sip:*@127.0.0.1", "sip:x@evil.com@127.0.0.1"),
        ("sip:*@127.0.0.1", "sip:x@evil.com;y=@127.0.0.1"),
        ("sip:*@127.0.0.1", "sip:x%40evil.com@127.0.0.1"),
        ("sip:*@127.0.0.1", "sip:evil.com;x@127.0.0.1"),
        ("sip:*@127.0.0.1", "sip:evil.com%3bx@127.0.0.1"),
        ("sip:*@127.0.0.1", "sip:evil.com?x@127.0.0.1"),
        ("sip:*@127.0.0.1", "sip:x%2540evil.com@127.0.0.1"),
        ("sip:*@127.0.0.1", "sip:x%0d%0aRoute:evil@127.0.0.1"),
        ("sip:*@127.0.0.1", "sip:x%00@127.0.0.1"),
        ("sip:*@127.0.0.1", "sip:x%ff@127.0.0.1"),
        ("sip:*@127.0.0.1", "sip:user:password@127.0.0.1"),
        ("sip:*@127.0.0.1", "sip:x@127.0.0.1?Route=%3Csip:evil%3E"),
        ("sip:*@127.0.0.1", "sip:x@127.0.0.1;maddr=6.6.6.6"),
        ("sip:*@127.0.0.1", "sip:x@127.0.0.1;MADDR=6.6.6.6"),
        ("sip:*@127.0.0.1", "sip:x@127.0.0.1;m%61ddr=6.6.6.6"),
        ("sip:*@127.0.0.1", "sip:x@127.0.0.1\r\n"),
        ("sip:*@127.0.0.1", "sip:x@127.0.0.1:0"),
        ("sip:*@127.0.0.1", "sip:x@127.0.0.1:99999"),
        ("sip:*@127.0.0.1", "sip:x@2130706433"),
        ("sip:*@127.0.0.1", "sips:x@127.0.0.1"),
        ("sip:*@127.0.0.1", "tel:+331"),
        ("sip:*@127.0.0.1", "<sip:x@127.0.0.1>"),
        ("sip:*@127.0.0.1", ""),
        ("sip:*@127.0.0.1:5060", "sip:x@127.0.0.1:5061"),
        ("sip:+331*@gw", "sip:+332@gw"),
        ("sip:+331*@gw", "sip:0+331@gw"),
        ("sip:ab*ba@h", "sip:aba@h"),
        ("sip:alice@h", "sip:Alice@h"),
        ("sip:*@*.example.com", "sip:x@evilexample.com"),
        ("sip:*@[::1]", "sip:x@[::2]"),
        ("sip:*@[::1]", "sip:x@[::1::]"),
        ("sip:*@h..h", "sip:x@h..h"),
        ("*", "sip:x@127.0.0.1"),
    ],
)
def test_a_rule_does_not_allow(rule: str, uri: str) -> None:
    assert not allows((rule,), uri)


def test_without_rules_nothing_may_be_dialled() -> None:
    assert not allows((), "sip:1@127.0.0.1")


users = st.text(alphabet="abAB019+-_.!~'()&=$,/*", max_size=12)
hosts = st.from_regex(r"[a-z0-9]{1,5}(\.[a-z0-9]{1,5}){0,3}", fullmatch=True)


@given(users, hosts, users, hosts)
def test_rules_are_plain_globs_over_user_and_host(
    rule_user: str, rule_host: str, user: str, host: str
) -> None:
    wanted = fnmatchcase(user, rule_user) and rule_host == host
    assert allows((f"sip:{rule_user}@{rule_host}",), f"sip:{user}@{host}") is wanted


@given(st.text(alphabet="sip:tel@%40;.0127=?maddr<>[]\r\n evil\x00#", max_size=40))
def test_what_is_dialled_is_always_at_an_allowed_host(text: str) -> None:
    for dest in (text, f"sip:{text}@127.0.0.1", f"sip:127.0.0.1{text}", f"sip:x@{text}127.0.0.1"):
        try:
            uri = destination(Dial(route="sip:{number}@127.0.0.1"), dest)
        except DialRefused as refused:
            assert refused.name.startswith("error.")
            continue
        address = uri.partition(":")[2].partition(";")[0].rpartition("@")[2]
        assert address.partition(":")[0] == "127.0.0.1"
        assert uri.count("@") <= 1
        assert allows(ANYBODY_HERE, uri)
        assert destination(Dial(), uri) == uri


@pytest.mark.parametrize(
    ("dest", "uri"),
    [
        ("sip:1000@127.0.0.1", "sip:1000@127.0.0.1"),
        (" SIP:1000@127.0.0.1:5070;transport=tcp;lr;x=y ", "sip:1000@127.0.0.1:5070;transport=tcp"),
        ("tel:+33-1-23.45(67)", "sip:+331234567@127.0.0.1;user=phone"),
        ("tel:1000;phone-context=example.com", "sip:1000@127.0.0.1;user=phone"),
        ("*21#", "sip:*21%23@127.0.0.1;user=phone"),
        ("01 23 45", "sip:012345@127.0.0.1;user=phone"),
    ],
)
def test_a_destination_becomes_the_uri_to_call(dest: str, uri: str) -> None:
    assert destination(Dial(route="sip:{number}@127.0.0.1;user=phone"), dest) == uri


@pytest.mark.parametrize(
    ("dest", "event"),
    [
        ("sip:1000@6.6.6.6", "error.connection.noauthorization"),
        ("sip:a b@127.0.0.1", "error.connection.baddestination"),
        ("tel:", "error.connection.baddestination"),
        ("tel:+33evil@x", "error.connection.baddestination"),
        ("", "error.connection.baddestination"),
        ("1" * 2000, "error.connection.baddestination"),
        ("h323:x@127.0.0.1", "error.unsupported.uri"),
        ("tel:+331", "error.unsupported.uri"),
    ],
)
def test_a_destination_that_is_not_dialled_says_which_event_it_is(dest: str, event: str) -> None:
    with pytest.raises(DialRefused) as caught:
        destination(Dial(), dest)
    assert caught.value.name == event
    assert caught.value.message


@pytest.mark.parametrize("rule", ["*", "sip:*", "sip:x@h:0", "sip:x@h y", "sip:@@h", "http://h"])
def test_a_rule_that_could_surprise_is_refused(rule: str) -> None:
    with pytest.raises(ValueError, match="expected a rule"):
        check_rule(rule)
