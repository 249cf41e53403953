"""What a mail says, whatever a caller calls himself."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.voicemail.notices import LEFT_AT, MESSAGE, no_audio
from tests.voicemail.world import heard, said
from vxml_server.queues import Box
from vxml_server.voicemail.mail import Hint, Mailer, written
from vxml_server.voicemail.notices import News, Notice, NotSent

PARIS = ZoneInfo("Europe/Paris")
BOX = Box("sales", description="Ventes", language="fr", email=("ann@example.org",))


def news(box: Box = BOX, **changes: Any) -> News:
    notice = Notice("m1", 0, "mail", "ann@example.org", LEFT_AT)
    message = replace(MESSAGE, **changes)
    return News(notice, message, box, new=3, at=LEFT_AT, audio=no_audio)


def mail_of(given: News, wav: bytes = b"", hint: Hint = "attached") -> EmailMessage:
    """The mail as it arrives."""
    language = given.box.language or "en"
    made = written(given, wav, hint, sender="pbx@example.org", language=language, zone=PARIS)
    octets = made.as_bytes()
    assert max(map(len, octets.split(b"\r\n"))) <= 998, "RFC 5322 section 2.1.1"
    assert b"\n" not in octets.replace(b"\r\n", b"")
    return message_from_bytes(octets, policy=SMTP)


def text_of(mail: EmailMessage) -> str:
    body = mail.get_body()
    assert body is not None
    return cast(str, body.get_content()).replace("\r\n", "\n")


def test_a_mail_in_french() -> None:
    mail = mail_of(news())
    assert mail["Subject"] == "Nouveau message vocal : +33612345678, 1:15"
    assert text_of(mail) == (
        "Un message a été laissé dans la boîte Ventes.\n"
        "\n"
        "De : +33612345678\n"
        "Reçu : 12 mars 2026, 15:30:00 +0100\n"
        "Durée : 1:15\n"
        "Nouveaux messages dans cette boîte : 3\n"
        "\n"
        "Le message est joint.\n"
    )


def test_a_mail_in_english_of_nobody_known() -> None:
    mail = mail_of(news(replace(BOX, language="", description=""), caller=""), hint="too_long")
    assert mail["Subject"] == "New voice message: unknown number, 1:15"
    text = text_of(mail)
    assert "in the box sales." in text
    assert "From: unknown number\n" in text
    assert text.endswith("It is too long to be attached. Call your voicemail to hear it.\n")


def test_a_mail_says_what_it_is_to_other_programs() -> None:
    mail = mail_of(news())
    assert (mail["From"], mail["To"]) == ("pbx@example.org", "ann@example.org")
    assert mail["Message-ID"] == "<m1.0@example.org>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"].datetime == LEFT_AT
    assert mail["Content-Language"] == "fr"


def test_the_audio_is_a_file_that_plays() -> None:
    wav = said(1.5)
    [attached] = list(mail_of(news(), wav).iter_attachments())
    assert attached.get_content_type() == "audio/wav"
    assert attached.get_filename() == "20260312-153000.wav"
    assert attached.get_payload(decode=True) == wav
    assert len(heard(wav)) == 12_000


@given(st.text(max_size=300), st.text(max_size=300))
@example('Ann"\r\nBcc: all@example.org\r\n\r\nbody', "x\r\n.\r\nMAIL FROM:<a@b>")
@example("{language} {0} %s", "\u2028\u0085\x0b\0")
@example("\udcff", "=?utf-8?b?QmNj?=")
@example("é" * 300, "a" * 300)
@example("=?utf-8?q?x=0d=0aBcc:_eve@example.com?= \u00e9, y", "Ventes")
@example("==?utf-8?q?x=0d=0aBcc:_e@b?=", "Ventes")
@example("=\u200b?utf-8?q?x=0d=0aBcc:_e@b?=", "Ventes")
def test_whatever_a_caller_calls_himself_stays_in_its_place(caller: str, box: str) -> None:
    mail = mail_of(news(replace(BOX, description=box), caller=caller))
    assert set(mail.keys()) == {
        *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "Content-Language"),
        *("Content-Type", "Content-Transfer-Encoding", "MIME-Version"),
    }
    assert mail["To"] == "ann@example.org"
    assert "\n" not in mail["Subject"]
    assert mail["Subject"].startswith("Nouveau message vocal : ")
    lines = text_of(mail).split("\n")
    assert len(lines) == 9, "a caller adds no lines"


class Server:
    """A server that takes mail."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str, EmailMessage]] = []

    async def submit(self, sender: str, recipient: str, octets: bytes) -> None:
        mail = message_from_bytes(octets, policy=SMTP)
        self.taken.append((sender, recipient, mail))


def mailer(server: Server, **settings: Any) -> Mailer:
    given: dict[str, Any] = {"attach": True, "max_attachment": 1_000_000} | settings
    return Mailer(server.submit, sender="pbx@example.org", language="fr", zone=PARIS, **given)


@pytest.mark.parametrize(
    ("settings", "seconds", "files", "hint"),
    [
        ({}, 62.0, 1, "Le message est joint."),
        ({}, 63.0, 0, "Il est trop long"),
        ({"max_attachment": 0}, 1.0, 0, "Il est trop long"),
        ({"attach": False}, 1.0, 0, "Appelez votre messagerie"),
    ],
)
async def test_the_audio_goes_with_the_mail_where_the_operator_lets_it(
    settings: dict[str, Any], seconds: float, files: int, hint: str
) -> None:
    server = Server()

    async def audio() -> bytes:
        return said(seconds)

    given = replace(news(replace(BOX, language=""), duration_s=seconds), audio=audio)
    if not files:
        given = replace(given, audio=no_audio)
    await mailer(server, **settings).send(given)
    [(sender, recipient, mail)] = server.taken
    assert (sender, recipient) == ("pbx@example.org", "ann@example.org")
    assert len(list(mail.iter_attachments())) == files
    assert hint in text_of(mail)


async def test_a_server_that_does_not_take_it_is_told_of() -> None:
    async def submit(sender: str, recipient: str, octets: bytes) -> None:
        raise NotSent("451 later")

    way = Mailer(submit, sender="p@h", language="en", zone=UTC, attach=False, max_attachment=0)
    with pytest.raises(NotSent, match="451"):
        await way.send(news())
    await way.close()


def test_a_long_message_is_told_in_minutes() -> None:
    subject = mail_of(news(duration_s=timedelta(hours=1).total_seconds()))["Subject"]
    assert subject.endswith(", 60:00")
