"""SIP messages cut out of a byte stream (RFC 3261 section 18.3), keep-alives of RFC 5626.

Plain data in, data out: the framer knows no socket. The rule: it never holds more than one
message's worth of bytes, and a stream whose next message cannot be found is `broken` for good.
"""

from __future__ import annotations

import re

from vxml_server.sip.message import MAX_MESSAGE

KEEP_ALIVE = b""
"""What `feed` returns for a ping (two line breaks between messages, RFC 5626 section 4.4.1)."""

_LENGTH = re.compile(rb"\r\n(?:content-length|l)[ \t]*:\s*([^\r\n]*)", re.IGNORECASE)


class StreamFramer:
    """Collects bytes and gives back whole messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0
        self.broken = False

    @property
    def partial(self) -> bool:
        """Whether a message has begun and not ended."""
        return bool(self._buffer.strip(b"\r\n"))

    def feed(self, data: bytes) -> list[bytes]:
        """Takes what was received; returns the messages that are complete now, in order. After a
        message whose length cannot be told (it is returned without body, so that it can be
        answered) or that is too long, `broken` is set and everything else is ignored."""
        messages: list[bytes] = []
        if not self.broken:
            self._buffer += data
            while not self.broken and (message := self._next()) is not None:
                messages.append(message)
        return messages

    def _next(self) -> bytes | None:
        buffer = self._buffer
        if buffer.startswith(b"\r\n\r\n"):
            del buffer[:4]
            return KEEP_ALIVE
        if buffer.startswith(b"\r\n") and len(buffer) > 3:
            del buffer[:2]
        head_end = buffer.find(b"\r\n\r\n", max(0, self._scanned - 3))
        if head_end < 0:
            self._scanned = len(buffer)
            self.broken = len(buffer) > MAX_MESSAGE
            return None
        head = bytes(buffer[: head_end + 4])
        match = _LENGTH.search(head)
        digits = match[1].strip() if match else b"0"
        if not digits.isdigit() or len(digits) > 9:
            self.broken = True
            return head
        total = len(head) + int(digits)
        if total > MAX_MESSAGE:
            self.broken = True
            return None
        if len(buffer) < total:
            # The head is looked for again with the next bytes, from here.
            self._scanned = head_end
            return None
        message = bytes(buffer[:total])
        del buffer[:total]
        self._scanned = 0
        return message
