"""Symmetric RTP: where a far end really is, and who may claim to be it.

A caller behind a NAT sends from another address than its SDP says; media goes back to where media
comes from (RFC 4961, RFC 7362). The rule: at most one address is latched, and only its packets
count. The address that was signalled latches at once. Any other shows `PROBATION` packets in
sequence, and only

- before anything else was latched;
- or after the latched one fell silent: shortly (`REBIND`) if the packets go on with the same source
  (SSRC), as when a NAT forgot a mapping; long (`ABANDON`) if they are of another one.

So who guesses a port can neither listen nor be heard while the call has media.
"""

from __future__ import annotations

from vxml_server.media.network import Address
from vxml_server.media.rtp import SEQUENCES

PROBATION = 2
"""Packets in sequence that a new source shows first, RFC 3550's MIN_SEQUENTIAL."""
REBIND = 10
"""Ticks (200 ms) of silence, after which the same source may come from elsewhere."""
ABANDON = 100
"""Ticks (2 s) of silence, after which any source may."""


class Latch:
    """The address that a channel's packets come from and go to."""

    __slots__ = ("_candidate", "_seen", "_signalled", "source")

    def __init__(self) -> None:
        self.source: Address | None = None
        """Where packets come from; None before any came."""
        self._signalled: Address | None = None
        self._candidate: tuple[Address, int, int] | None = None  # address, SSRC, next sequence
        self._seen = 0

    def expect(self, address: Address) -> None:
        """Signalling named an address. A new one forgets the latch; the same one keeps it."""
        if address != self._signalled:
            self._signalled = address
            self.source = None
            self._candidate = None

    def admits(
        self, source: Address, ssrc: int, sequence: int, *, same_ssrc: bool, silence: int
    ) -> bool:
        """Whether a packet from an address that is not latched counts; then it is latched.

        `same_ssrc` says that the packet goes on with the source heard last, `silence` how many
        ticks ago that was.
        """
        if source[:2] == self._signalled:
            self._latch(source)
            return True
        if self.source is not None and silence < (REBIND if same_ssrc else ABANDON):
            self._candidate = None
            return False
        if self._candidate == (source, ssrc, sequence):
            self._seen += 1
        else:
            self._seen = 1
        if self._seen >= PROBATION:
            self._latch(source)
            return True
        self._candidate = (source, ssrc, (sequence + 1) % SEQUENCES)
        return False

    def _latch(self, source: Address) -> None:
        self.source = source
        self._candidate = None
