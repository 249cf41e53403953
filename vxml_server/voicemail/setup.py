"""The room put together from the settings."""

from __future__ import annotations

import random
from datetime import tzinfo

from vxml_server.clock import Clock
from vxml_server.fetch import HttpClient
from vxml_server.queues import Board
from vxml_server.recording import Archive
from vxml_server.settings import MailSettings, VoicemailSettings
from vxml_server.store import Store
from vxml_server.voicemail.mail import Mailer
from vxml_server.voicemail.notices import Way, WayName
from vxml_server.voicemail.smtp import Smtp
from vxml_server.voicemail.voicemail import Voicemail
from vxml_server.voicemail.webhook import MAX_ANSWER, MAX_CONNECTIONS, Webhooks


def make_voicemail(
    settings: VoicemailSettings,
    mail: MailSettings,
    *,
    board: Board,
    store: Store,
    archive: Archive,
    clock: Clock,
    random: random.Random,
    allow: frozenset[str],
    language: str,
    zone: tzinfo,
) -> Voicemail:
    """Voicemail for the boxes of a board.

    `allow` are the origins whose address may be private (`[fetch] allow`); `language` is that of
    boxes that have none, `zone` is that of times in mails. Raises OSError when the certificates of
    `mail` cannot be read.
    """
    secret = settings.webhook_secret
    client = HttpClient(max_bytes=MAX_ANSWER, max_connections=MAX_CONNECTIONS, allow=allow)
    ways: dict[WayName, Way] = {
        "webhook": Webhooks(client, clock, "" if secret is None else secret.get_secret_value())
    }
    if mail.host is not None and mail.sender is not None:
        ways["mail"] = Mailer(
            Smtp(mail).submit,
            sender=mail.sender,
            language=language,
            zone=zone,
            attach=settings.attach,
            max_attachment=settings.max_attachment,
        )
    return Voicemail(
        *(board, store, archive, clock, random),
        retention_days=settings.retention_days,
        ways=ways,
    )
