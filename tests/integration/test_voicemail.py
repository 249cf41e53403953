"""Voicemail with a real mail server and a real database that several workers share."""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiosmtpd import smtp
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.integration.ports import free_ports
from tests.integration.postgresql import PostgreSql, postgresql
from tests.integration.voicemail_worker import BOX, CALLERS, SECONDS
from tests.voicemail.world import KEY, SALES, World, heard, said, tone, world_of
from tests.waiting import until
from vxml_server.queues import Box
from vxml_server.settings import MailSettings
from vxml_server.voicemail import BoxFull, Counts, Message
from vxml_server.voicemail.mail import Mailer
from vxml_server.voicemail.notices import News, Notice, NotSent
from vxml_server.voicemail.smtp import Smtp

__all__ = ["postgresql"]

pytestmark = pytest.mark.integration

LEFT_AT = datetime(2026, 3, 12, 14, 30, tzinfo=UTC)
SECRET = "a password"


@dataclass
class Post:
    """What a mail server takes, and whom it knows."""

    answer: str = "250 taken"
    recipient: str = "250 known"
    taken: list[tuple[str, list[str], EmailMessage]] = field(default_factory=list)
    is_encrypted: list[bool] = field(default_factory=list)
    port: int = 0
    ca: Path | None = None

    async def handle_RCPT(  # noqa: N802 (the name that aiosmtpd asks for)
        self, server: smtp.SMTP, session: Session, envelope: Envelope, address: str, _: list[str]
    ) -> str:
        if self.recipient.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.recipient

    async def handle_DATA(  # noqa: N802
        self, server: smtp.SMTP, session: Session, envelope: Envelope
    ) -> str:
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=SMTP)
        self.taken.append((str(envelope.mail_from), envelope.rcpt_tos, mail))
        assert server.transport is not None
        self.is_encrypted.append(server.transport.get_extra_info("ssl_object") is not None)
        return self.answer

    def settings(self, **changes: Any) -> MailSettings:
        given = {
            "host": "127.0.0.1",
            "port": self.port,
            "sender": "pbx@example.org",
            "ca": self.ca,
            "timeout": 30.0,
        }
        return MailSettings.model_validate(given | changes)


def _authenticates(
    server: object, session: object, envelope: object, mechanism: str, data: object
) -> AuthResult:
    assert isinstance(data, LoginPassword)
    is_right = (data.login, data.password) == (b"pbx", SECRET.encode())
    return AuthResult(success=is_right, handled=False)


@asynccontextmanager
async def mail_server(
    folder: Path, *, tls: str = "starttls", **options: Any
) -> AsyncIterator[Post]:
    certificate = _certificate(folder)
    post = Post(port=free_ports(), ca=certificate)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    given: dict[str, Any] = {"ready_timeout": 30.0, **options}
    if tls == "starttls":
        given |= {"tls_context": context, "require_starttls": True}
    elif tls == "tls":
        given |= {"ssl_context": context}
    controller = Controller(post, hostname="127.0.0.1", port=post.port, **given)
    await asyncio.to_thread(controller.start)
    try:
        yield post
        # A connection that is cut off with its loop is never closed, and is found unclosed in
        # whichever test runs then.
        await until(lambda: not _is_connected(post.port))
    finally:
        await asyncio.to_thread(controller.stop)


def _is_connected(port: int) -> bool:
    """Whether somebody has a connection to it open, there or here."""
    lines = Path("/proc/self/net/tcp").read_text("ascii").splitlines()[1:]
    rows = [line.split() for line in lines]
    return any(
        f":{port:04X}" in address[-5:] and state != "0A" and inode != "0"
        for _, here, there, state, _, _, _, _, _, inode, *_ in rows
        for address in (here, there)
    )


def _certificate(folder: Path) -> Path:
    """A file with the certificate of 127.0.0.1, that nobody but itself has signed, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


def mailer(settings: MailSettings) -> Mailer:
    assert settings.sender is not None
    return Mailer(
        Smtp(settings).submit,
        sender=settings.sender,
        language="fr",
        zone=UTC,
        attach=True,
        max_attachment=10_000_000,
    )


async def audio() -> bytes:
    return said(30.0)


def news(address: str = "ann@example.org") -> News:
    message = Message("m1", "sales", "call-1", "Émile\r\nBcc: x@y", LEFT_AT, 30.0)
    notice = Notice("m1", 0, "mail", address, LEFT_AT)
    return News(notice, message, Box("sales"), new=1, at=LEFT_AT, audio=audio)


@pytest.mark.parametrize("tls", ["starttls", "tls", "none"])
async def test_a_mail_arrives_with_audio_that_plays(tmp_path: Path, tls: str) -> None:
    async with mail_server(tmp_path, tls=tls) as post:
        await mailer(post.settings(tls=tls)).send(news())
    [(sender, recipients, mail)] = post.taken
    assert (sender, recipients) == ("pbx@example.org", ["ann@example.org"])
    assert mail["Subject"] == "Nouveau message vocal : Émile Bcc: x@y, 0:30"
    assert mail["Bcc"] is None
    [attached] = list(mail.iter_attachments())
    wav = attached.get_payload(decode=True)
    assert isinstance(wav, bytes)
    assert np.array_equal(heard(wav), tone(30.0))
    assert post.is_encrypted == [tls != "none"]


async def test_who_has_to_sign_in_does_so(tmp_path: Path) -> None:
    async with mail_server(tmp_path, authenticator=_authenticates, auth_required=True) as post:
        await mailer(post.settings(user="pbx", password=SECRET)).send(news())
        with pytest.raises(NotSent, match="535") as error:
            await mailer(post.settings(user="pbx", password="another")).send(news())
        assert not error.value.is_final, "the operator may put it right"
        assert "another" not in str(error.value)
    assert len(post.taken) == 1


@pytest.mark.parametrize(
    ("recipient", "answer", "is_final"),
    [
        ("550 nobody", "250 taken", True),
        ("450 later", "250 taken", False),
        ("250 known", "552 too much", True),
        ("250 known", "451 later", False),
    ],
)
async def test_what_a_server_refuses_for_good_is_final(
    tmp_path: Path, recipient: str, answer: str, is_final: bool
) -> None:
    async with mail_server(tmp_path) as post:
        post.recipient, post.answer = recipient, answer
        with pytest.raises(NotSent) as error:
            await mailer(post.settings()).send(news())
    assert error.value.is_final is is_final


async def test_a_server_with_the_certificate_of_nobody_gets_nothing(tmp_path: Path) -> None:
    for tls in ("starttls", "tls"):
        async with mail_server(tmp_path, tls=tls) as post:
            with pytest.raises(NotSent, match="certificate"):
                await mailer(post.settings(tls=tls, ca=None)).send(news())
            with pytest.raises(NotSent, match="certificate"):
                await mailer(post.settings(tls=tls, host="localhost")).send(news())
        assert post.taken == []


async def test_a_server_that_does_not_encrypt_gets_nothing(tmp_path: Path) -> None:
    async with mail_server(tmp_path, tls="none") as post:
        with pytest.raises(NotSent, match="STARTTLS"):
            await mailer(post.settings(tls="starttls")).send(news())
    assert post.taken == []


async def test_a_server_that_is_not_there_is_tried_again(tmp_path: Path) -> None:
    settings = Post(port=free_ports(), ca=_certificate(tmp_path)).settings()
    with pytest.raises(NotSent) as error:
        await mailer(settings).send(news())
    assert not error.value.is_final


# Several workers on PostgreSQL ------------------------------------------------------------------


@asynccontextmanager
async def workers(folder: Path, url: str, box: Box, count: int) -> AsyncIterator[list[World]]:
    """Workers that share a database, a clock and what they keep."""
    made: list[World] = []
    contexts = []
    try:
        for number in range(count):
            clock = made[0].clock if made else None
            context = world_of(folder, box, url=url, worker=f"w{number}", clock=clock, runs=False)
            made.append(await context.__aenter__())
            contexts.append(context)
        yield made
    finally:
        for context in reversed(contexts):
            await context.__aexit__(None, None, None)


async def test_of_many_workers_a_box_takes_as_many_messages_as_it_may(
    tmp_path: Path, postgresql: PostgreSql
) -> None:
    box = Box("sales", max_messages=7)
    async with workers(tmp_path, postgresql.url(), box, 3) as made:
        leaving = [world.leave(seconds=1) for _ in range(5) for world in made]
        results = await asyncio.gather(*leaving, return_exceptions=True)
        assert sum(isinstance(result, Message) for result in results) == 7
        assert sum(isinstance(result, BoxFull) for result in results) == 8
        assert await made[0].voicemail.counts("sales") == Counts(7, 0)


async def test_of_many_workers_one_tells_of_a_message(
    tmp_path: Path, postgresql: PostgreSql
) -> None:
    box = Box("sales", email=("a@example.org", "b@example.org"), webhook="http://h.example/")
    async with workers(tmp_path, postgresql.url(), box, 3) as made:
        left = [await world.leave(seconds=1) for _ in range(4) for world in made]
        for message in left:
            await made[0].stored(message)
        await asyncio.gather(*(world.tell() for world in made * 3))
        told = [
            news.notice.id for world in made for news in (*world.mail.told, *world.webhook.told)
        ]
        assert sorted(told) == sorted(f"{message.id}.{n}" for message in left for n in range(3))
        for message in left:
            assert await made[0].notified(message) == "sent"


async def test_messages_are_heard_and_deleted_by_many_workers_once(
    tmp_path: Path, postgresql: PostgreSql
) -> None:
    async with workers(tmp_path, postgresql.url(), SALES, 3) as made:
        left = await made[0].leave(seconds=1)
        await made[0].stored(left)
        ask = [world.voicemail.heard(left.id, "ann") for world in made]
        assert len({message.heard_at for message in await asyncio.gather(*ask)}) == 1
        wav = await made[2].voicemail.audio(left.id, "ann")
        assert np.array_equal(heard(wav), tone(1.0))
        await made[1].voicemail.set_pin("sales", "4711")
        assert await made[2].voicemail.check_pin("sales", "4711")
        delete = [world.voicemail.delete(left.id, "ann") for world in made]
        results = await asyncio.gather(*delete, return_exceptions=True)
        assert sum(isinstance(result, Message) for result in results) == 1
        assert await made[0].told() == ["left", "heard", "deleted"]
        assert made[0].kept() == []


# A process that is killed ------------------------------------------------------------------------


@pytest.mark.parametrize("keys", ["plain", "encrypted"])
async def test_of_a_process_that_is_killed_every_message_that_was_kept_is_there(
    tmp_path: Path, keys: str
) -> None:
    kept: list[str] = []
    for messages in (2, 15):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.integration.voicemail_worker", str(tmp_path), keys),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(120):
                read = process.stdout.readuntil
                kept += [_kept(await read(b"\n")) for _ in range(messages)]
        finally:
            process.kill()
            rest = await process.stdout.read()
            await process.wait()
        # The last line may have been cut off.
        kept += map(_kept, rest.split(b"\n")[:-1])
    given = [KEY] if keys == "encrypted" else []
    async with world_of(tmp_path, BOX, runs=False, keys=given) as world:
        found = (await world.voicemail.messages("sales", limit=10_000)).messages
        assert set(kept) <= {message.id for message in found}
        assert len(found) - len(kept) <= 3 * CALLERS, "stored, and nobody was told"
        for message in found:
            wav = await world.voicemail.audio(message.id, "ann")
            assert np.array_equal(heard(wav), tone(SECONDS))
            await world.stored(message)
        told = [fact.data["message"] for fact in await world.facts()]
        assert sorted(map(str, told)) == sorted(message.id for message in found)


def _kept(line: bytes) -> str:
    return line.decode().strip()
