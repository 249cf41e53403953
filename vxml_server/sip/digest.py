"""Digest authentication (RFC 7616, for SIP RFC 3261 section 22 and RFC 8760), both sides.

MD5 and SHA-256, `qop` "auth" or none. The client prefers the stronger algorithm; the server offers
those of its settings in their order. The rule: the server keeps no state for a challenge - a nonce
carries its own time and seal - so that strangers cannot fill its memory.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from random import Random

from vxml_server.clock import Clock
from vxml_server.sip.headers import Headers
from vxml_server.sip.interface import Credentials
from vxml_server.sip.message import Request, Response
from vxml_server.sip.uri import quote, unquote

NONCE_SECONDS = 300.0
MAX_TRIES = 3

_PART = re.compile(r'\s*([A-Za-z0-9_-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s,"]*)\s*(?:,|$)', re.DOTALL)
# Algorithm -> hash; the strongest first.
_HASHES = {"SHA-256": hashlib.sha256, "MD5": hashlib.md5}


def parse_digest(value: str) -> Mapping[str, str] | None:
    """The parts of a `Digest ...` challenge or credentials, names in lower case; None when it is
    another scheme or malformed."""
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() != "digest":
        return None
    parts: dict[str, str] = {}
    position = 0
    while position < len(rest):
        match = _PART.match(rest, position)
        if match is None:
            return None
        parts[match[1].lower()] = unquote(match[2])
        position = match.end()
    return parts


def digest_response(
    algorithm: str,
    *,
    username: str,
    realm: str,
    password: str,
    method: str,
    uri: str,
    nonce: str,
    qop: str = "",
    nc: str = "",
    cnonce: str = "",
) -> str:
    """The `response` of RFC 7616 section 3.4.1; without `qop` that of RFC 2069. Raises KeyError
    for an algorithm that is not in the module's docstring."""
    make = _HASHES[algorithm]

    def hashed(text: str) -> str:
        return make(text.encode()).hexdigest()

    ha1 = hashed(f"{username}:{realm}:{password}")
    ha2 = hashed(f"{method}:{uri}")
    middle = f"{nonce}:{nc}:{cnonce}:{qop}" if qop else nonce
    return hashed(f"{ha1}:{middle}:{ha2}")


@dataclass(slots=True)
class _Challenge:
    """A challenge being answered; `count` is how often its nonce was used."""

    header: str
    realm: str
    nonce: str
    algorithm: str
    algorithm_given: bool
    opaque: str | None
    qop: str
    count: int = 0


class DigestClient:
    """Answers challenges for one call."""

    def __init__(self, credentials: Credentials | None, random: Random) -> None:
        self._credentials = credentials
        self._random = random
        self._challenges: dict[tuple[str, str], _Challenge] = {}
        # What the request under way has answered already.
        self._answered: set[tuple[str, str]] = set()
        self._tries = 0

    def challenged(self, response: Response) -> bool:
        """Takes a 401 or 407; whether it is worth sending the request again."""
        if self._credentials is None or self._tries >= MAX_TRIES:
            return False
        self._tries += 1
        header = "Proxy-Authenticate" if response.status == 407 else "WWW-Authenticate"
        answer = "Proxy-Authorization" if response.status == 407 else "Authorization"
        best: dict[str, tuple[int, Mapping[str, str]]] = {}
        for line in response.headers.lines(header):
            parts = parse_digest(line)
            rank = _rank(parts)
            if parts is None or rank is None:
                continue
            realm = parts["realm"]
            if self._credentials.realm in {None, realm} and (
                realm not in best or rank < best[realm][0]
            ):
                best[realm] = (rank, parts)
        worth = False
        for realm, (_, parts) in best.items():
            stale = parts.get("stale", "").lower() == "true"
            if (answer, realm) in self._answered and not stale:
                continue  # the same user and password will not please them more
            self._answered.add((answer, realm))
            self._challenges[answer, realm] = _Challenge(
                answer,
                realm,
                parts["nonce"],
                parts.get("algorithm", "MD5").upper(),
                "algorithm" in parts,
                parts.get("opaque"),
                "auth" if "qop" in parts else "",
            )
            worth = True
        return worth

    def succeeded(self, response: Response) -> None:
        """Takes a response that is no challenge, with the nonce it may announce (RFC 7616
        section 3.5)."""
        self._tries = 0
        self._answered.clear()
        for header, answer in (
            ("Authentication-Info", "Authorization"),
            ("Proxy-Authentication-Info", "Proxy-Authorization"),
        ):
            parts = parse_digest(f"Digest {response.headers.get(header)}")
            for (name, _), challenge in self._challenges.items():
                if name == answer and parts and parts.get("nextnonce"):
                    challenge.nonce = parts["nextnonce"]
                    challenge.count = 0

    def authorize(self, request: Request) -> None:
        """Puts credentials for every known challenge on `request`."""
        request.headers.remove("Authorization")
        request.headers.remove("Proxy-Authorization")
        if self._credentials is None:
            return
        for challenge in self._challenges.values():
            challenge.count += 1
            request.headers.add(challenge.header, self._answer(challenge, request))

    def _answer(self, challenge: _Challenge, request: Request) -> str:
        assert self._credentials is not None
        nc = f"{challenge.count:08x}" if challenge.qop else ""
        cnonce = f"{self._random.getrandbits(64):016x}" if challenge.qop else ""
        response = digest_response(
            challenge.algorithm,
            username=self._credentials.username,
            realm=challenge.realm,
            password=self._credentials.password,
            method=request.method,
            uri=request.uri,
            nonce=challenge.nonce,
            qop=challenge.qop,
            nc=nc,
            cnonce=cnonce,
        )
        parts = [
            f"username={quote(self._credentials.username)}",
            f"realm={quote(challenge.realm)}",
            f"nonce={quote(challenge.nonce)}",
            f"uri={quote(request.uri)}",
            f'response="{response}"',
        ]
        if challenge.algorithm_given:
            parts.append(f"algorithm={challenge.algorithm}")
        if challenge.opaque is not None:
            parts.append(f"opaque={quote(challenge.opaque)}")
        if challenge.qop:
            parts.append(f'qop={challenge.qop}, nc={nc}, cnonce="{cnonce}"')
        return "Digest " + ", ".join(parts)


def _rank(parts: Mapping[str, str] | None) -> int | None:
    """How good a challenge is, 0 the best; None when it cannot be answered."""
    if parts is None or "realm" not in parts or "nonce" not in parts:
        return None
    algorithm = parts.get("algorithm", "MD5").upper()
    qops = {qop.strip().lower() for qop in parts.get("qop", "auth").split(",")}
    if algorithm not in _HASHES or "auth" not in qops:
        return None
    return list(_HASHES).index(algorithm)


class Proof(Enum):
    """What the credentials of a request are worth."""

    NONE = auto()  # there are none for us
    GOOD = auto()
    STALE = auto()  # their nonce is not one that we take (any more): nothing else is known of them
    WRONG = auto()  # a nonce of ours, and not the password


@dataclass(frozen=True, slots=True)
class Judgement:
    """`proof` of being `user`, who is only claimed unless it is good."""

    proof: Proof
    user: str = ""


_NO_PROOF = Judgement(Proof.NONE)


class DigestServer:
    """Asks for credentials, and checks them."""

    def __init__(
        self,
        users: Mapping[str, str],
        realm: str,
        *,
        clock: Clock,
        random: Random,
        algorithms: tuple[str, ...] = ("MD5", "SHA-256"),
    ) -> None:
        """Raises ValueError for an algorithm that is not in the module's docstring."""
        if not algorithms or not set(algorithms) <= set(_HASHES):
            raise ValueError(f"digest algorithms are {', '.join(_HASHES)}: {algorithms}")
        self._algorithms = algorithms
        self._users = users
        self._realm = realm
        self._clock = clock
        self._random = random
        self._secret = random.getrandbits(256).to_bytes(32, "big")
        # Nonce -> highest count seen: a repeated count is a replay.
        self._counts: OrderedDict[str, int] = OrderedDict()

    def judge(self, request: Request) -> Judgement:
        """Looks at the credentials of `request`. Good ones are good once: the count of their nonce
        is used up."""
        judgement = _NO_PROOF
        for parts in self._offered(request):
            if parts.get("realm") == self._realm:
                judgement = Judgement(self._proof(parts, request), parts.get("username", ""))
            if judgement.proof is Proof.GOOD:
                break
        return judgement

    def _proof(self, parts: Mapping[str, str], request: Request) -> Proof:
        if not self._is_ours(parts.get("nonce", "")):
            return Proof.STALE
        if not self._check(parts, request):
            return Proof.WRONG
        return Proof.GOOD if self._fresh(parts) else Proof.STALE

    def challenge(self, request: Request) -> Headers:
        """The WWW-Authenticate lines to refuse `request` with."""
        # The client need not ask its user again (RFC 7616 section 3.3): good credentials with an
        # old nonce, and a nonce from before we were started.
        stale = any(
            parts.get("realm") == self._realm
            and (not self._is_ours(parts.get("nonce", "")) or self._check(parts, request))
            for parts in self._offered(request)
        )
        salt = self._random.getrandbits(64)
        nonce = self._sealed(f"{self._clock.monotonic():.0f}-{salt:016x}")
        headers = Headers()
        for algorithm in self._algorithms:
            headers.add(
                "WWW-Authenticate",
                f"Digest realm={quote(self._realm)}, nonce={quote(nonce)}, "
                f'algorithm={algorithm}, qop="auth"' + (", stale=true" if stale else ""),
            )
        return headers

    def _offered(self, request: Request) -> list[Mapping[str, str]]:
        offered = map(parse_digest, request.headers.lines("Authorization"))
        return [parts for parts in offered if parts]

    def _sealed(self, text: str) -> str:
        seal = hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()
        return f"{text}-{seal[:32]}"

    def _is_ours(self, nonce: str) -> bool:
        sealed = self._sealed(nonce.rpartition("-")[0])
        return hmac.compare_digest(nonce.encode(), sealed.encode())

    def _check(self, parts: Mapping[str, str], request: Request) -> bool:
        algorithm = parts.get("algorithm", "MD5").upper()
        username = parts.get("username", "")
        nonce = parts.get("nonce", "")
        password = self._users.get(username)
        if (
            password is None
            or algorithm not in self._algorithms
            or parts.get("realm") != self._realm
            or parts.get("qop") != "auth"
            or not self._is_ours(nonce)
        ):
            return False
        expected = digest_response(
            algorithm,
            username=username,
            realm=self._realm,
            password=password,
            method=request.method,
            # Proxies rewrite the Request-URI, and some phones never wrote it here (22.4).
            uri=parts.get("uri", ""),
            nonce=nonce,
            qop="auth",
            nc=parts.get("nc", ""),
            cnonce=parts.get("cnonce", ""),
        )
        return hmac.compare_digest(parts.get("response", "").lower().encode(), expected.encode())

    def _fresh(self, parts: Mapping[str, str]) -> bool:
        nonce = parts["nonce"]
        age = self._clock.monotonic() - float(nonce.partition("-")[0])
        count_text = parts.get("nc", "")
        if age > NONCE_SECONDS or not re.fullmatch(r"[0-9A-Fa-f]{8}", count_text):
            return False
        count = int(count_text, 16)
        if count <= self._counts.get(nonce, 0):
            return False
        self._counts[nonce] = count
        self._counts.move_to_end(nonce)
        if len(self._counts) > 4096:
            self._counts.popitem(last=False)
        return True
