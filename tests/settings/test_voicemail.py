"""[voicemail] and [mail]."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from vxml_server.settings import MailSettings, Settings, VoicemailSettings


def test_without_a_word_nobody_is_mailed_and_nothing_signed() -> None:
    settings = Settings()
    assert settings.mail.host is None
    assert settings.mail.tls == "starttls"
    assert settings.voicemail.webhook_secret is None
    assert settings.voicemail.retention_days == 60


def test_a_mail_server_as_most_have_one() -> None:
    mail = MailSettings.model_validate(
        {"host": "smtp.example.org", "user": "pbx", "password": "secret", "sender": "pbx@h.example"}
    )
    assert "secret" not in repr(mail)
    assert mail.port is None, "that of starttls"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"host": "smtp.example.org"}, "expected a sender"),
        ({"user": "pbx"}, "expected user and password, or neither"),
        ({"password": "secret"}, "expected user and password, or neither"),
        ({"user": "a", "password": "b", "tls": "none"}, "a password is not sent in the clear"),
        ({"sender": "somebody"}, "expected an address"),
        ({"sender": "a@b\r\nBcc: c@d"}, "expected an address"),
        ({"host": "a host"}, "expected an IP address or a host name"),
        ({"port": 0}, "greater than or equal to 1"),
        ({"tls": "perhaps"}, "'starttls', 'tls' or 'none'"),
        ({"timeout": 0}, "greater than 0"),
    ],
)
def test_a_mail_server_that_makes_no_sense_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as refused:
        MailSettings.model_validate(given)
    assert told in str(refused.value)


@pytest.mark.parametrize("days", [0, 36_501, float("inf"), float("nan")])
def test_a_time_for_messages_that_never_ends_is_refused(days: float) -> None:
    with pytest.raises(ValidationError, match="retention_days"):
        VoicemailSettings.model_validate({"retention_days": days})


def test_a_secret_that_can_be_guessed_is_refused() -> None:
    with pytest.raises(ValidationError, match="at least 16 characters"):
        VoicemailSettings.model_validate({"webhook_secret": "short"})
