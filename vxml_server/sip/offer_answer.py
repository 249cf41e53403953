"""The offer/answer model (RFC 3264) for one audio stream of G.711 and telephone-event.

One `OfferAnswer` for each dialog. It knows the last agreed state of both sides, so that a
re-offer keeps the number and order of m-lines and counts `o=` up (section 8). The rule: a failed
negotiation changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

from vxml_server.sip.errors import IllegalTransition, Rejection
from vxml_server.sip.sdp import MediaDescription, Origin, RtpMap, SessionDescription
from vxml_server.sip.uri import ip_address

Codec = Literal["PCMU", "PCMA"]
Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]

_EVENT = "TELEPHONE-EVENT"
_DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
_REVERSED: dict[Direction, Direction] = {
    "sendrecv": "sendrecv",
    "sendonly": "recvonly",
    "recvonly": "sendonly",
    "inactive": "inactive",
}
_UNSPECIFIED = {"0.0.0.0", "::"}  # "on hold" of RFC 2543, RFC 3264 section 8.4


@dataclass(frozen=True, slots=True)
class LocalMedia:
    """What this side can do: where it receives RTP, codecs in order of preference (for offers;
    an answer follows the offer's order). `rtcp_mux` accepts RFC 5761 when it is offered."""

    address: str
    port: int
    codecs: tuple[Codec, ...] = ("PCMA", "PCMU")
    telephone_event: bool = True
    ptime_ms: int = 20
    rtcp_mux: bool = False


@dataclass(frozen=True, slots=True)
class NegotiatedMedia:
    """What both sides agreed on, seen from here.

    `payload_type_send` is the number the far end wants to receive, `payload_type_receive` the
    number it will send; events (RFC 4733) likewise, None without them. `ptime_ms` is how long the
    packets that we send are: 10-60, a multiple of 10. `direction` is ours: "sendonly" means that
    we may send and shall receive nothing. A far end on hold by 0.0.0.0 leaves `remote_port` as
    given and takes "send" out of `direction`.
    """

    remote_address: str
    remote_port: int
    remote_rtcp_port: int
    codec: Codec
    payload_type_send: int
    payload_type_receive: int
    event_payload_type_send: int | None
    event_payload_type_receive: int | None
    ptime_ms: int
    direction: Direction
    rtcp_mux: bool = False


@dataclass(frozen=True, slots=True)
class _Choice:
    """What can be used of one m-line of the far end."""

    index: int
    media: MediaDescription
    codec: Codec
    codec_map: RtpMap
    event_map: RtpMap | None


class OfferAnswer:
    """The negotiation of one dialog. `media` is the last agreed state, None before the first."""

    def __init__(self, local: LocalMedia, *, session_id: int, username: str = "-") -> None:
        self.local = local
        self.media: NegotiatedMedia | None = None
        self._origin = Origin(username, session_id, 0, local.address)
        self._last: SessionDescription | None = None
        self._offered: SessionDescription | None = None
        # Payload numbers once used keep their meaning for the whole session (section 8.3.2).
        self._numbers: dict[str, int] = {"PCMU": 0, "PCMA": 8, _EVENT: 101}
        # The m-lines agreed on, and which of them is ours; the others stay refused.
        self._lines: tuple[MediaDescription, ...] = ()
        self._active = 0

    def offer(
        self, direction: Direction = "sendrecv", *, codec: Codec | None = None
    ) -> SessionDescription:
        """Our (re-)offer; `direction` "sendonly" or "inactive" puts the far end on hold.
        `codec` offers that one alone."""
        codecs = (codec,) if codec else self.local.codecs
        numbers: list[tuple[str, int]] = [(name, self._numbers[name]) for name in codecs]
        if self.local.telephone_event:
            numbers.append((_EVENT, self._numbers[_EVENT]))
        ours = self._audio(numbers, self.local.ptime_ms, direction, rtcp_mux=self.local.rtcp_mux)
        lines = [_refused(line) for line in self._lines] or [ours]
        lines[self._active] = ours
        self._offered = self._described(tuple(lines))
        return self._offered

    def answer(
        self, offer: SessionDescription, direction: Direction = "sendrecv"
    ) -> SessionDescription:
        """The answer to the far end's offer; `media` is new afterwards. `direction` is what we
        would like; the answer is what the offer allows of it. Raises `Rejection` 488 when there
        is no common codec or no audio over RTP/AVP."""
        choice = self._choose(offer)
        if choice is None:
            raise Rejection(488)
        numbers: list[tuple[str, int]] = [(choice.codec, choice.codec_map.payload_type)]
        if choice.event_map:
            numbers.append((_EVENT, choice.event_map.payload_type))
        mux = self.local.rtcp_mux and choice.media.attribute("rtcp-mux") is not None
        agreed = self._agreed(offer, choice, dict(numbers), direction, rtcp_mux=mux)
        ours = self._audio(numbers, agreed.ptime_ms, agreed.direction, rtcp_mux=mux)
        self.media = agreed
        self._numbers.update(numbers)
        self._offered = None
        self._active = choice.index
        self._lines = tuple(
            ours if index == choice.index else _refused(line)
            for index, line in enumerate(offer.media)
        )
        return self._described(self._lines)

    def accept(self, answer: SessionDescription) -> NegotiatedMedia:
        """Takes the far end's answer to our last `offer()`; `media` is new afterwards. Raises
        `Rejection` 488 when the answer refuses the stream or does not fit the offer, and
        IllegalTransition when nothing was offered."""
        offered = self._offered
        if offered is None:
            raise IllegalTransition("an answer without an offer")
        ours = offered.media[self._active]
        ours_by_name = {entry.encoding: entry.payload_type for entry in ours.rtpmaps()}
        choice = (
            self._usable(self._active, answer.media[self._active])
            if len(answer.media) > self._active
            else None
        )
        if choice is None or choice.codec not in ours_by_name:
            raise Rejection(488)
        mux = ours.attribute("rtcp-mux") is not None and (
            choice.media.attribute("rtcp-mux") is not None
        )
        self.media = self._agreed(
            answer, choice, ours_by_name, _direction(offered, ours), rtcp_mux=mux
        )
        self._offered = None
        self._lines = offered.media
        return self.media

    def _choose(self, offer: SessionDescription) -> _Choice | None:
        """The first m-line that we can use; the one already in use before the others."""
        lines = list(enumerate(offer.media))
        if self._active < len(lines):
            lines.insert(0, lines.pop(self._active))
        choices = (self._usable(index, media) for index, media in lines)
        return next((choice for choice in choices if choice), None)

    def _usable(self, index: int, media: MediaDescription) -> _Choice | None:
        if media.media != "audio" or media.protocol != "RTP/AVP" or media.port == 0:
            return None
        if ip_address(media.address) is None:
            return None
        maps = [entry for entry in media.rtpmaps() if entry.clock_rate == 8000]
        events = [entry for entry in maps if entry.encoding == _EVENT]
        event = events[0] if events and self.local.telephone_event else None
        for entry in maps:
            for codec in self.local.codecs:
                if entry.encoding == codec and entry.parameters in {"", "1"}:
                    return _Choice(index, media, codec, entry, event)
        return None

    def _agreed(
        self,
        theirs: SessionDescription,
        choice: _Choice,
        ours: dict[str, int],
        wanted: Direction,
        *,
        rtcp_mux: bool,
    ) -> NegotiatedMedia:
        media = choice.media
        direction = _meet(_REVERSED[_direction(theirs, media)], wanted)
        if media.address in _UNSPECIFIED:
            direction = _meet(direction, "recvonly")
        event = choice.event_map if _EVENT in ours else None
        return NegotiatedMedia(
            remote_address=media.address,
            remote_port=media.port,
            remote_rtcp_port=media.port if rtcp_mux else _rtcp_port(media),
            codec=choice.codec,
            payload_type_send=choice.codec_map.payload_type,
            payload_type_receive=ours[choice.codec],
            event_payload_type_send=event.payload_type if event else None,
            event_payload_type_receive=ours[_EVENT] if event else None,
            ptime_ms=_ptime(media, self.local.ptime_ms),
            direction=direction,
            rtcp_mux=rtcp_mux,
        )

    def _audio(
        self,
        numbers: list[tuple[str, int]],
        ptime_ms: int,
        direction: Direction,
        *,
        rtcp_mux: bool,
    ) -> MediaDescription:
        attributes: list[tuple[str, str]] = []
        for name, number in numbers:
            encoding = name.lower() if name == _EVENT else name
            attributes.append(("rtpmap", f"{number} {encoding}/8000"))
            if name == _EVENT:
                attributes.append(("fmtp", f"{number} 0-15"))
        attributes += [("ptime", str(ptime_ms)), (direction, "")]
        if rtcp_mux:
            attributes.append(("rtcp-mux", ""))
        formats = tuple(str(number) for _, number in numbers)
        return MediaDescription(
            "audio",
            self.local.port,
            "RTP/AVP",
            formats,
            self.local.address,
            tuple(attributes),
        )

    def _described(self, lines: tuple[MediaDescription, ...]) -> SessionDescription:
        """Our next description: the same version when nothing changed, else one more."""
        address = self.local.address
        last = self._last
        version = last.origin.version if last else 1
        made = SessionDescription(replace(self._origin, version=version), address, lines)
        if last and last != made:
            made = replace(made, origin=replace(self._origin, version=version + 1))
        self._last = made
        return made


def _refused(line: MediaDescription) -> MediaDescription:
    """The m-line with port 0 (section 6)."""
    return MediaDescription(line.media, 0, line.protocol, line.formats)


def _direction(description: SessionDescription, media: MediaDescription) -> Direction:
    """The direction attribute of the m-line, of the session, or "sendrecv"."""
    for level in (media, description):
        for direction in _DIRECTIONS:
            if level.attribute(direction) is not None:
                return direction
    return "sendrecv"


def _meet(one: Direction, other: Direction) -> Direction:
    """What both directions allow."""
    send = all(direction in {"sendrecv", "sendonly"} for direction in (one, other))
    receive = all(direction in {"sendrecv", "recvonly"} for direction in (one, other))
    return {
        (True, True): _DIRECTIONS[0],
        (True, False): _DIRECTIONS[1],
        (False, True): _DIRECTIONS[2],
        (False, False): _DIRECTIONS[3],
    }[send, receive]


def _rtcp_port(media: MediaDescription) -> int:
    """`a=rtcp:` (RFC 3605), or the port after RTP's."""
    port = (media.attribute("rtcp") or "").partition(" ")[0]
    if port.isdecimal() and len(port) <= 5 and 0 < int(port) < 65536:
        return int(port)
    return min(media.port + 1, 65535)


def _ptime(media: MediaDescription, default_ms: int) -> int:
    """How long our packets are: what the far end likes, no longer than it can take, and in what
    G.711 senders do: 10 to 60 ms in steps of 10."""

    def milliseconds(name: str) -> int | None:
        text = (media.attribute(name) or "").partition(".")[0].strip()
        return int(text) if text.isdecimal() and 0 < len(text) <= 4 else None

    wanted = milliseconds("ptime") or default_ms
    longest = milliseconds("maxptime") or 60
    return max(10, min(wanted, longest, 60) // 10 * 10)
