"""Mail that tells of a message, with its audio (RFC 5322, RFC 2045; RFC 3834 for what no person
has written).

The rules that must hold: whatever a caller calls himself stays text in a field of its own, and
neither becomes a field nor an address; a mail that is sent twice has the same Message-ID.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import tzinfo
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Literal

from babel.dates import format_datetime as spelt_out

from vxml_server import catalogue
from vxml_server.voicemail.notices import News

LONGEST_NAME = 80
"""Characters of what a caller or a box is called."""
OCTETS_A_SECOND = 16_000

Hint = Literal["attached", "too_long", "not_attached"]
Submit = Callable[[str, str, bytes], Awaitable[None]]
"""Brings a mail from a sender to a recipient; raises `NotSent`."""


class Mailer:
    """The way `mail`."""

    def __init__(
        self,
        submit: Submit,
        *,
        sender: str,
        language: str,
        zone: tzinfo,
        attach: bool,
        max_attachment: int,
    ) -> None:
        """`language` is that of boxes that have none; `zone` is that of times in mails."""
        self._submit = submit
        self._sender = sender
        self._language = language
        self._zone = zone
        self._attach = attach
        self._max_attachment = max_attachment

    async def send(self, news: News) -> None:
        wav, hint = await self._attached(news)
        octets = await asyncio.to_thread(self._written, news, wav, hint)
        await self._submit(self._sender, news.notice.address, octets)

    async def close(self) -> None:
        """There is no connection between two mails."""

    async def _attached(self, news: News) -> tuple[bytes, Hint]:
        """The audio that goes with a mail, and what the mail says of it."""
        if not self._attach:
            return b"", "not_attached"
        if news.message.duration_s * OCTETS_A_SECOND > self._max_attachment:
            return b"", "too_long"
        return await news.audio(), "attached"

    def _written(self, news: News, wav: bytes, hint: Hint) -> bytes:
        language = news.box.language or self._language
        mail = written(news, wav, hint, sender=self._sender, language=language, zone=self._zone)
        return mail.as_bytes()


def written(
    news: News, wav: bytes, hint: Hint, *, sender: str, language: str, zone: tzinfo
) -> EmailMessage:
    """The mail, with `wav` if there is any."""

    def text(key: str, **values: object) -> str:
        return catalogue.message(f"mail.{key}", language).format(**values)

    message, box = news.message, news.box
    caller = plain(message.caller) or text("unknown_caller")
    duration = _duration(message.duration_s)
    left_at = message.left_at.astimezone(zone)
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = news.notice.address
    mail["Subject"] = text("subject", caller=caller, duration=duration)
    mail["Date"] = format_datetime(message.left_at)
    mail["Message-ID"] = f"<{news.notice.id}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(
        text(
            "body",
            box=plain(box.description) or box.name,
            caller=caller,
            left_at=spelt_out(left_at, "long", locale=catalogue.language(language)),
            duration=duration,
            new=news.new,
            hint=text(hint),
        )
    )
    mail["Content-Language"] = catalogue.language(language)
    if wav:
        name = f"{left_at:%Y%m%d-%H%M%S}.wav"
        mail.add_attachment(wav, maintype="audio", subtype="wav", filename=name)
    return mail


def plain(text: str) -> str:
    """Text of a caller's in one line: what is no character to be seen is a space.

    Nothing in it is an encoded word (RFC 2047): what one stands for may hold the end of a line, and
    a field after that.
    """
    seen = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(seen.replace("=?", "= ?").split())[:LONGEST_NAME]


def _duration(seconds: float) -> str:
    """Minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
