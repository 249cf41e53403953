"""What the channels' listeners are told: gathered in a tick, delivered at its end.

The rules that must hold: a tick calls the loop once at most, and no listener in the media thread; a
channel that was closed meanwhile is told of no key and of no media any more, only what became of
its playbacks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress

from vxml_server.media.channel import Channel, KeySource
from vxml_server.media.play import Ended

_log = logging.getLogger(__name__)


class Reports:
    """What has happened since the last `deliver`."""

    def __init__(self, call_soon: Callable[[Callable[[], None]], object]) -> None:
        """`call_soon` brings a callback to the listeners' thread."""
        self._call_soon = call_soon
        self._reports: list[Callable[[], None]] = []

    def key(self, channel: Channel, key: str, source: KeySource, at: float) -> None:
        """A key was pressed."""

        def report() -> None:
            if not channel.closed:
                channel.listener.key(key, source, at)

        self._reports.append(report)

    def ended(self, channel: Channel, ended: Sequence[Ended]) -> None:
        """Playbacks have ended."""

        def report() -> None:
            for one in ended:
                channel.listener.playback_ended(one.playback, one.samples_played, one.finished)

        self._reports.append(report)

    def media(self, channel: Channel, *, is_lost: bool, seconds: float) -> None:
        """Media has stopped for so long, or has come back."""

        def report() -> None:
            if channel.closed:
                return
            if is_lost:
                channel.listener.media_lost(seconds)
            else:
                channel.listener.media_resumed()

        self._reports.append(report)

    def deliver(self) -> None:
        """Tells all of it, in the order in which it happened."""
        if not self._reports:
            return
        reports, self._reports = self._reports, []

        def deliver() -> None:
            for report in reports:
                try:
                    report()
                except Exception:
                    # One listener's defect must not keep the others from hearing.
                    _log.exception("a channel's listener failed")

        # A loop that is closed listens to nobody any more.
        with suppress(RuntimeError):
            self._call_soon(deliver)
