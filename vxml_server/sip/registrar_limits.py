"""Who may ask, and how often somebody may be wrong about a password (RFC 3261 section 26.3.2.4).

Guessing is slowed down on two counts. A source (an IPv4 address, or an IPv6 network of 64 bits)
that was wrong ten times gets no answer at all for a minute; a user name that was guessed at ten
times is refused with 403 for as long, to everybody but the sources that have lately proved to be
that user - so that nobody is locked out of his telephone by others. Each further lock lasts twice
as long, an hour at most; after a quiet hour all is forgotten.

The rule that must hold: what strangers make us remember is bounded, and a right password teaches
them nothing while they are locked out.
"""

from __future__ import annotations

import ipaddress
import logging
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from random import Random

from vxml_server.clock import Clock
from vxml_server.sip.digest import DigestServer, Proof
from vxml_server.sip.headers import Headers
from vxml_server.sip.message import Request

logger = logging.getLogger(__name__)

MAX_WRONG = 10
FIRST_LOCK = 60.0
LONGEST_LOCK = 3600.0
QUIET = 3600.0
REMEMBERED = 4096


@dataclass(slots=True)
class _Tries:
    """What is known of one key. Times are those of the monotonic clock, in seconds."""

    wrong: int = 0
    locks: int = 0
    locked_until: float = 0.0
    last: float = 0.0


class Lockouts:
    """Locks out keys that were wrong too often; the `REMEMBERED` latest of them are known."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tries: OrderedDict[str, _Tries] = OrderedDict()

    def __len__(self) -> int:
        return len(self._tries)

    def locked(self) -> int:
        """How many keys are locked out now."""
        now = self._clock.monotonic()
        return sum(tries.locked_until > now for tries in list(self._tries.values()))

    def is_locked(self, key: str) -> bool:
        """Whether nothing is taken from `key` now."""
        tries = self._tries.get(key)
        return tries is not None and tries.locked_until > self._clock.monotonic()

    def wrong(self, key: str) -> float:
        """One more wrong try; for how many seconds that locks the key out, 0 if it does not."""
        now = self._clock.monotonic()
        tries = self._tries.get(key)
        if tries is None or now - max(tries.last, tries.locked_until) > QUIET:
            tries = _Tries()
        self._tries[key] = tries
        self._tries.move_to_end(key)
        if len(self._tries) > REMEMBERED:
            self._tries.popitem(last=False)
        tries.last = now
        tries.wrong += 1
        if tries.wrong < MAX_WRONG:
            return 0.0
        seconds = min(LONGEST_LOCK, FIRST_LOCK * 2.0**tries.locks)
        tries.wrong = 0
        tries.locks = min(tries.locks + 1, 16)
        tries.locked_until = now + seconds
        return seconds

    def right(self, key: str) -> None:
        """Somebody who was right: what he got wrong before is forgotten."""
        self._tries.pop(key, None)


class Answer(Enum):
    """How somebody who wants something is met."""

    WELCOME = auto()
    CHALLENGE = auto()
    FORBIDDEN = auto()
    SILENCE = auto()


@dataclass(slots=True)
class DoorCounters:
    """Numbers since the start, for metrics."""

    challenged: int = 0
    wrong_passwords: int = 0
    lockouts: int = 0
    turned_away: int = 0


class Doorkeeper:
    """Lets users in by digest authentication."""

    def __init__(
        self,
        users: Mapping[str, str],
        realm: str,
        *,
        clock: Clock,
        random: Random,
        algorithms: tuple[str, ...],
    ) -> None:
        """`users`: name -> password; it may change. Raises ValueError for an algorithm that is
        none."""
        self.counters = DoorCounters()
        self.sources = Lockouts(clock)
        self.names = Lockouts(clock)
        self._users = users
        self._digest = DigestServer(users, realm, clock=clock, random=random, algorithms=algorithms)
        # Who has proved from where who he is; the latest at the end.
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def ask(self, request: Request, host: str) -> tuple[Answer, str]:
        """What to do with a request from the IP address `host`, and the user who it is from."""
        source = _network(host)
        if not self._users or self.sources.is_locked(source):
            self.counters.turned_away += 1
            return Answer.SILENCE, ""
        judgement = self._digest.judge(request)
        name = judgement.user
        is_known = (name, source) in self._known
        has_tried = judgement.proof in {Proof.GOOD, Proof.WRONG}
        if has_tried and not is_known and self.names.is_locked(name):
            self.counters.turned_away += 1
            # Guesses at a locked name still count against who makes them.
            self._was_wrong(self.sources, source, "source")
            return Answer.FORBIDDEN, ""
        if judgement.proof is Proof.GOOD:
            self._welcome(name, source)
            return Answer.WELCOME, name
        if judgement.proof is Proof.WRONG:
            self.counters.wrong_passwords += 1
            self._was_wrong(self.sources, source, "source")
            if not is_known:
                self._was_wrong(self.names, name, "user")
            if self.sources.is_locked(source):
                return Answer.SILENCE, ""
        self.counters.challenged += 1
        return Answer.CHALLENGE, ""

    def challenge(self, request: Request) -> Headers:
        """The WWW-Authenticate lines for an `Answer.CHALLENGE`."""
        return self._digest.challenge(request)

    def _welcome(self, name: str, source: str) -> None:
        self._known[name, source] = None
        self._known.move_to_end((name, source))
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        self.sources.right(source)

    def _was_wrong(self, lockouts: Lockouts, key: str, what: str) -> None:
        if seconds := lockouts.wrong(key):
            self.counters.lockouts += 1
            logger.warning(
                "too many wrong passwords: %s %.64r is locked for %.0f s", what, key, seconds
            )


def _network(host: str) -> str:
    """The key of a source: its address, or its network of 64 bits."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network((address, 64), strict=False))
