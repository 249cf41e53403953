"""Mail on its way to the operator's server (RFC 5321, RFC 3207, RFC 4954).

The rules that must hold: unless the operator says otherwise nothing goes over a connection that is
not encrypted, or to a server whose certificate is not its own; what a server refuses for good is
not tried again.
"""

from __future__ import annotations

import ssl
from pathlib import Path

import aiosmtplib

from vxml_server.settings import MailSettings
from vxml_server.voicemail.notices import NotSent

_PORTS = {"starttls": 587, "tls": 465, "none": 25}


class Smtp:
    """The server of `[mail]`. One connection a mail: there are few."""

    def __init__(self, settings: MailSettings) -> None:
        """Raises OSError when the file of certificates cannot be used."""
        self._settings = settings
        self._context = _context(settings.ca)

    async def submit(self, sender: str, recipient: str, octets: bytes) -> None:
        """Returns when the server has taken it; raises `NotSent`."""
        settings = self._settings
        password = settings.password
        try:
            await aiosmtplib.send(
                octets,
                sender=sender,
                recipients=[recipient],
                hostname=settings.host,
                port=settings.port or _PORTS[settings.tls],
                use_tls=settings.tls == "tls",
                start_tls=settings.tls == "starttls",
                tls_context=self._context,
                username=settings.user or None,
                password=None if password is None else password.get_secret_value(),
                timeout=settings.timeout,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            refused = error.recipients[0]
            raise _refusal(refused) from error
        except aiosmtplib.SMTPDataError as error:
            raise _refusal(error) from error
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise NotSent(f"{type(error).__name__}: {error}") from error


def _refusal(error: aiosmtplib.SMTPResponseException) -> NotSent:
    """A refusal of this mail, for now (4xx) or for good (5xx; RFC 5321 section 4.2.1)."""
    return NotSent(f"{error.code} {error.message}", is_final=error.code >= 500)


def _context(ca: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca is not None:
        context.load_verify_locations(ca)
    return context
