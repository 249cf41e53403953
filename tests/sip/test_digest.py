from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vxml_server.clock import VirtualClock
from vxml_server.sip.digest import DigestClient, DigestServer, Proof, digest_response, parse_digest
from vxml_server.sip.headers import Headers
from vxml_server.sip.interface import Credentials
from vxml_server.sip.message import Request, Response

ALICE = Credentials("alice", 'se"cret')


def a_request(method: str = "INVITE") -> Request:
    return Request(method, "sip:bob@10.0.0.1", Headers())


def a_challenge(*challenges: str, status: int = 401) -> Response:
    name = "Proxy-Authenticate" if status == 407 else "WWW-Authenticate"
    response = Response(status, "", Headers())
    for challenge in challenges:
        response.headers.add(name, challenge)
    return response


def client(credentials: Credentials | None = ALICE) -> DigestClient:
    return DigestClient(credentials, random.Random(1))


def answer(digest: DigestClient, header: str = "Authorization") -> dict[str, str]:
    request = a_request()
    digest.authorize(request)
    return dict(parse_digest(request.headers.get(header)) or {})


def test_the_example_of_rfc_7616_gives_its_responses() -> None:
    # RFC 7616 section 3.9.1: the same request by both algorithms.
    shared = {
        "username": "Mufasa",
        "realm": "http-auth@example.org",
        "password": "Circle of Life",
        "method": "GET",
        "uri": "/dir/index.html",
        "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        "qop": "auth",
        "nc": "00000001",
        "cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    }
    assert digest_response("MD5", **shared) == "8ca523f5e9506fed4657c9700eebdbec"
    assert (
        digest_response("SHA-256", **shared)
        == "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
    )


def test_without_qop_the_response_is_that_of_rfc_2069() -> None:
    # RFC 2617 section 3.5's user, calculated the old way.
    assert (
        digest_response(
            "MD5",
            username="Mufasa",
            realm="testrealm@host.com",
            password="Circle Of Life",
            method="GET",
            uri="/dir/index.html",
            nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",
        )
        == "670fd8c2df070c60b045671b8b24ff02"
    )


def test_the_stronger_algorithm_is_taken() -> None:
    digest = client()
    assert digest.challenged(
        a_challenge(
            'Digest realm="r", nonce="1", algorithm=MD5, qop="auth"',
            'Digest realm="r", nonce="1", algorithm=SHA-256, qop="auth"',
            'Digest realm="r", nonce="1", algorithm=SHA-512-256, qop="auth"',
        )
    )
    assert answer(digest)["algorithm"] == "SHA-256"


def test_an_old_challenge_is_answered_the_old_way() -> None:
    digest = client()
    assert digest.challenged(a_challenge('Digest realm="r", nonce="1", opaque="o"'))
    parts = answer(digest)
    assert parts["opaque"] == "o"
    assert not {"qop", "nc", "cnonce", "algorithm"} & set(parts)
    assert parts["response"] == digest_response(
        "MD5",
        username="alice",
        realm="r",
        password='se"cret',
        method="INVITE",
        uri="sip:bob@10.0.0.1",
        nonce="1",
    )


def test_each_use_of_a_nonce_is_counted() -> None:
    digest = client()
    digest.challenged(a_challenge('Digest realm="r", nonce="1", qop="auth,auth-int"'))
    assert [answer(digest)["nc"] for _ in range(2)] == ["00000001", "00000002"]


def test_a_stale_nonce_is_replaced_and_a_refusal_is_final() -> None:
    digest = client()
    assert digest.challenged(a_challenge('Digest realm="r", nonce="1"'))
    answer(digest)
    assert digest.challenged(a_challenge('Digest realm="r", nonce="2", stale=TRUE'))
    assert answer(digest)["nonce"] == "2"
    assert not digest.challenged(a_challenge('Digest realm="r", nonce="3"'))


def test_staleness_without_end_is_given_up() -> None:
    digest = client()
    stale = a_challenge('Digest realm="r", nonce="1", stale=true')
    assert [digest.challenged(stale) for _ in range(4)] == [True, True, True, False]


def test_a_later_request_may_be_challenged_anew() -> None:
    digest = client()
    assert digest.challenged(a_challenge('Digest realm="r", nonce="1"'))
    digest.succeeded(Response(200, "OK", Headers()))
    assert digest.challenged(a_challenge('Digest realm="r", nonce="2"'))


def test_the_next_nonce_is_taken_from_the_response() -> None:
    digest = client()
    digest.challenged(a_challenge('Digest realm="r", nonce="1", qop="auth"'))
    answer(digest)
    digest.succeeded(Response(200, "OK", Headers({"Authentication-Info": 'nextnonce="2"'})))
    assert (answer(digest)["nonce"], answer(digest)["nc"]) == ("2", "00000002")


def test_a_proxy_and_a_server_are_answered_together() -> None:
    digest = client()
    assert digest.challenged(a_challenge('Digest realm="p", nonce="1"', status=407))
    assert digest.challenged(a_challenge('Digest realm="s", nonce="2"'))
    digest.succeeded(Response(200, "OK", Headers({"Authentication-Info": "junk"})))
    assert answer(digest, "Proxy-Authorization")["realm"] == "p"
    assert answer(digest, "Authorization")["realm"] == "s"


@pytest.mark.parametrize(
    "challenge",
    [
        'Basic realm="r"',
        'Digest realm="r"',
        'Digest nonce="1"',
        'Digest realm="r", nonce="1", qop="auth-int"',
        'Digest realm="r", nonce="1", algorithm=SHA-1',
        'Digest realm="r" nonce',
    ],
)
def test_a_challenge_that_cannot_be_answered_is_not(challenge: str) -> None:
    assert not client().challenged(a_challenge(challenge))


def test_credentials_are_kept_from_other_realms() -> None:
    digest = client(Credentials("alice", "x", realm="mine"))
    assert not digest.challenged(a_challenge('Digest realm="theirs", nonce="1"'))
    assert digest.challenged(a_challenge('Digest realm="mine", nonce="1"'))


def test_without_credentials_nothing_is_answered() -> None:
    digest = client(None)
    assert not digest.challenged(a_challenge('Digest realm="r", nonce="1"'))
    request = a_request()
    digest.authorize(request)
    assert "Authorization" not in request.headers


@given(st.text(max_size=60))
def test_any_credentials_are_parsed_or_refused(text: str) -> None:
    server = DigestServer({"alice": "x"}, "r", clock=VirtualClock(), random=random.Random(1))
    request = a_request()
    request.headers.add("Authorization", f"Digest {text}")
    assert server.judge(request).proof is not Proof.GOOD
    assert len(server.challenge(request)) == 2


def served(server: DigestServer, **changed: str) -> tuple[bool, bool]:
    """Whether a client's answer with changed parts is accepted, and whether it is called stale."""
    request = a_request()
    challenge = server.challenge(request).lines("WWW-Authenticate")[0]
    digest = DigestClient(Credentials("alice", "secret"), random.Random(1))
    digest.challenged(a_challenge(challenge))
    digest.authorize(request)
    parts = dict(parse_digest(request.headers.get("Authorization")) or {}) | changed
    request.headers.set(
        "Authorization", "Digest " + ", ".join(f'{name}="{value}"' for name, value in parts.items())
    )
    stale = "stale" in server.challenge(request).get("WWW-Authenticate")
    return server.judge(request).proof is Proof.GOOD, stale


def test_our_client_and_our_server_understand_each_other() -> None:
    server = DigestServer({"alice": "secret"}, "r", clock=VirtualClock(), random=random.Random(1))
    assert served(server)[0]


@pytest.mark.parametrize(
    "changed",
    [
        {"username": "bob"},
        {"realm": "other"},
        {"qop": "auth-int"},
        {"algorithm": "SHA-1"},
        {"uri": "sip:other@10.0.0.1"},
        {"response": "0" * 64},
        {"response": "é"},
        {"nc": "00000009"},
    ],
)
def test_credentials_with_anything_changed_are_refused(changed: dict[str, str]) -> None:
    server = DigestServer({"alice": "secret"}, "r", clock=VirtualClock(), random=random.Random(1))
    assert served(server, **changed) == (False, False)


@pytest.mark.parametrize("nonce", ["0-0-00000000000000000000000000000000", "é", "1-2"])
def test_a_nonce_that_is_not_ours_is_stale_and_says_nothing_of_the_password(nonce: str) -> None:
    for password in ("secret", "other"):
        server = DigestServer(
            {"alice": password}, "r", clock=VirtualClock(), random=random.Random(1)
        )
        assert served(server, nonce=nonce) == (False, True)


def test_a_server_takes_only_the_algorithms_it_offers() -> None:
    strict = DigestServer(
        {"alice": "secret"},
        "r",
        clock=VirtualClock(),
        random=random.Random(1),
        algorithms=("SHA-256",),
    )
    assert len(strict.challenge(a_request())) == 1
    assert served(strict)[0]
    assert not served(strict, algorithm="MD5")[0]
    for algorithms in ((), ("ROT13",)):
        with pytest.raises(ValueError, match="SHA-256"):
            DigestServer(
                {}, "r", clock=VirtualClock(), random=random.Random(1), algorithms=algorithms
            )


def test_the_memory_for_counts_is_bounded() -> None:
    server = DigestServer({"alice": "secret"}, "r", clock=VirtualClock(), random=random.Random(1))
    for _ in range(4100):
        assert server._fresh({"nonce": f"0-{random.random()}", "nc": "00000001"})
    assert len(server._counts) == 4096
    assert not server._fresh({"nonce": "0-x", "nc": "one"})
