"""What a REGISTER makes of a user's bindings: RFC 3261 section 10.3, case by case."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.databases import BOTH
from vxml_server.sip.errors import Rejection, SipError
from vxml_server.sip.headers import Headers
from vxml_server.sip.message import Request, parse_message
from vxml_server.sip.registrar_bindings import (
    Binding,
    RegistrarRules,
    Update,
    answer,
    same_uri,
    update,
)
from vxml_server.sip.uri import Destination, SipUri

pytestmark = BOTH

SOURCE = Destination("udp", "203.0.113.5", 4711)
RULES = RegistrarRules(min_expires=60, max_expires=3600, default_expires=600, max_contacts=2)
NOW = 1000.0
DESK = "sip:ann@10.0.0.5:5060"
SOFT = "sip:ann@10.0.0.6"


def register(
    *contacts: str, cseq: int = 1, call_id: str = "c", more: Mapping[str, str] | None = None
) -> Request:
    headers = Headers({"Call-ID": call_id, "CSeq": f"{cseq} REGISTER", **(more or {})})
    headers.set_lines("Contact", list(contacts))
    return Request("REGISTER", "sip:us", headers)


def done(bindings: tuple[Binding, ...], request: Request, now: float = NOW) -> Update:
    return update(bindings, request, user="ann", source=SOURCE, now=now, rules=RULES)


def refused(bindings: tuple[Binding, ...], request: Request) -> Rejection:
    with pytest.raises(Rejection) as raised:
        done(bindings, request)
    return raised.value


ONE = done((), register(f"<{DESK}>")).bindings
TWO = done(ONE, register(f"<{SOFT}>;q=0.5", cseq=2)).bindings


@pytest.mark.parametrize(
    ("contacts", "more", "left"),
    [
        (["<sip:ann@10.0.0.5>;expires=100"], {}, 100),
        (["<sip:ann@10.0.0.5>"], {"Expires": "120"}, 120),
        (["<sip:ann@10.0.0.5>;expires=100"], {"Expires": "120"}, 100),
        (["<sip:ann@10.0.0.5>"], {}, 600),
        (["<sip:ann@10.0.0.5>;expires=99999"], {}, 3600),
        (["<sip:ann@10.0.0.5>;expires=soon"], {}, 3600),
        (["<sip:ann@10.0.0.5>"], {"Expires": "4294967296"}, 3600),
        (["sip:ann@10.0.0.5;expires=70"], {}, 70),
    ],
)
def test_a_binding_lasts_as_long_as_is_asked_for_within_the_rules(
    contacts: list[str], more: dict[str, str], left: int
) -> None:
    [binding] = done((), register(*contacts, more=more)).bindings
    assert binding.expires_at == NOW + left
    [shown] = answer([binding], register(), NOW).values("Contact")
    assert shown.endswith(f";expires={left}")


@pytest.mark.parametrize("expires", ["1", "59"])
def test_a_time_that_is_too_brief_is_423_and_says_which_is_not(expires: str) -> None:
    rejection = refused((), register(f"<{DESK}>", more={"Expires": expires}))
    assert (rejection.status, rejection.headers["Min-Expires"]) == (423, "60")


def test_one_contact_that_is_refused_leaves_the_others_as_they_were() -> None:
    refused(ONE, register(f"<{SOFT}>", f"<{DESK}>;expires=5", cseq=2))
    refused(ONE, register(f"<{SOFT}>", "<tel:+331>", cseq=2))


def test_a_contact_is_replaced_by_its_equal_and_keeps_its_id() -> None:
    changed = done(ONE, register("<SIP:%61nn@10.0.0.5:5060;new=x>;q=0.3", cseq=2), NOW + 5)
    [binding] = changed.bindings
    assert (binding.id, binding.q, binding.registered_at) == (ONE[0].id, 0.3, NOW)
    assert changed.stored == (binding,)
    assert changed.removed == ()


def test_expires_0_removes_and_what_is_not_there_is_not_missed() -> None:
    changed = done(TWO, register(f"<{DESK}>;expires=0", "<sip:no@10.0.0.7>;expires=0", cseq=3))
    assert [one.contact for one in changed.bindings] == [SOFT]
    assert [one.contact for one in changed.removed] == [DESK]


def test_a_contact_that_goes_and_comes_in_one_request_is_there() -> None:
    changed = done(ONE, register(f"<{DESK}>;expires=0", f"<{DESK}>", cseq=2))
    assert [one.contact for one in changed.bindings] == [DESK]
    assert changed.removed == ()


def test_a_star_removes_all() -> None:
    changed = done(TWO, register("*", cseq=3, more={"Expires": "0"}))
    assert changed.bindings == ()
    assert set(changed.removed) == set(TWO)


@pytest.mark.parametrize(
    ("contacts", "more"),
    [
        (["*"], {}),
        (["*"], {"Expires": "60"}),
        (["*", f"<{DESK}>"], {"Expires": "0"}),
        (["<mailto:ann@x>"], {}),
        (["<sip:ann@10.0.0.5"], {}),
        (["<sip:ann@10.0.0.5;x-binding=stolen>"], {}),
        ([f"<sip:ann@{'h' * 1100}>"], {}),
        ([f"<{DESK}>"], {"Path": "<tel:+1>"}),
        ([f"<{DESK}>"], {"Path": "<sip:proxy.example;lr>"}),
        ([f"<{DESK}>"], {"Path": "<sip:10.0.0.1>"}),
    ],
)
def test_what_cannot_be_meant_is_a_400(contacts: list[str], more: dict[str, str]) -> None:
    assert refused(TWO, register(*contacts, cseq=9, more=more)).status == 400


@pytest.mark.parametrize("contacts", [[f"<{DESK}>"], [f"<{DESK}>;expires=0"], ["*"]])
@pytest.mark.parametrize(("cseq", "is_late"), [(1, True), (2, True), (3, False)])
def test_what_was_overtaken_within_its_call_id_changes_nothing(
    contacts: list[str], cseq: int, is_late: bool
) -> None:
    known = done((), register(f"<{DESK}>", cseq=2)).bindings
    more = {"Expires": "0"} if contacts == ["*"] else {}
    request = register(*contacts, cseq=cseq, more=more)
    if is_late:
        assert refused(known, request).status == 500
    else:
        done(known, request)
    # Another Call-ID is another telephone, or one that was switched on again.
    done(known, register(*contacts, cseq=cseq, call_id="d", more=more))


def test_more_telephones_than_a_user_may_have_are_refused() -> None:
    assert refused(TWO, register("<sip:ann@10.0.0.8>", cseq=3)).status == 403
    # Those that are there may go on.
    done(TWO, register(f"<{DESK}>", cseq=3))


def test_a_query_changes_nothing() -> None:
    assert done(TWO, register(cseq=3)) == Update(TWO)


def test_the_preferred_comes_first_and_then_the_latest() -> None:
    assert [one.contact for one in TWO] == [DESK, SOFT]
    later = done(ONE, register("<sip:ann@10.0.0.9>", cseq=2), NOW + 1).bindings
    assert [one.contact for one in later] == ["sip:ann@10.0.0.9", DESK]


# The examples of RFC 3261 section 19.1.4.
@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (
            "sip:%61lice@atlanta.com;transport=TCP",
            "sip:alice@AtLanTa.CoM;Transport=tcp",
            True,
        ),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", True),
        ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on", True),
        ("sip:ALICE@AtLanTa.CoM", "sip:alice@AtLanTa.CoM", False),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", False),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", False),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting", False),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off", False),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4", False),
        ("sip:a@[2001:db8::1]", "sip:a@[2001:DB8:0::1]", True),
    ],
)
def test_uris_are_compared_as_the_rfc_says(one: str, other: str, same: bool) -> None:
    assert same_uri(SipUri.parse(one), SipUri.parse(other)) is same
    assert same_uri(SipUri.parse(other), SipUri.parse(one)) is same


_contact = st.one_of(
    st.sampled_from(["*", f"<{DESK}>", f"<{DESK}>;expires=0", f"<{SOFT}>;q=0.1;expires=70", ""]),
    st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=40),
)


@given(
    st.lists(_contact, max_size=4),
    st.sampled_from(["", "0", "60", "-1", "9" * 11, "x"]),
    st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=40),
    st.integers(0, 5),
)
def test_any_register_is_done_whole_or_refused(
    contacts: list[str], expires: str, path: str, cseq: int
) -> None:
    more = {name: value for name, value in (("Expires", expires), ("Path", path)) if value}
    request = register(*contacts, cseq=cseq, more=more)
    try:
        made = done(TWO, request)
    except SipError as error:
        assert isinstance(error, Rejection)
        return
    ids = {one.id for one in made.bindings}
    assert len(ids) == len(made.bindings) <= max(RULES.max_contacts, len(TWO))
    assert {one.id for one in made.stored} <= ids
    assert not {one.id for one in made.removed} & ids
    assert ids == ({one.id for one in TWO} | {one.id for one in made.stored}) - {
        one.id for one in made.removed
    }
    for binding in made.bindings:
        binding.hop()
        assert SipUri.parse(binding.uri).parameters["x-binding"] == binding.id
    answer(made.bindings, request, NOW)


@given(st.binary(max_size=200))
def test_no_bytes_in_a_contact_raise_anything_else(junk: bytes) -> None:
    data = (
        b"REGISTER sip:us SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nFrom: <sip:a@b>;tag=1\r\n"
        b"To: <sip:a@b>\r\nCall-ID: x\r\nCSeq: 1 REGISTER\r\nContact: " + junk + b"\r\n\r\n"
    )
    try:
        request = parse_message(data)
        assert isinstance(request, Request)
        done(TWO, request)
    except SipError:
        return
