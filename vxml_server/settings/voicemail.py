"""[voicemail], [mail]: messages that callers leave, and how people are told of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    PositiveFloat,
    SecretStr,
    model_validator,
)

from vxml_server.settings.fields import (
    MIB,
    RetentionDays,
    Section,
    is_address,
    is_long_enough,
    like,
)


class VoicemailSettings(Section):
    """[voicemail]: messages in boxes."""

    retention_days: RetentionDays = 60.0
    """How long messages are kept in boxes that do not say it."""
    attach: bool = True
    """Whether the audio of a message goes with the mail that tells of it."""
    max_attachment: int = Field(default=4 * MIB, ge=0)
    """Octets of audio that go with a mail at most; a minute has a million. Much more would be felt
    by those who are on the telephone: a mail is brought into form for its way in one piece."""
    webhook_secret: Annotated[SecretStr, AfterValidator(is_long_enough)] | None = None
    """What webhooks are signed with; none signs nothing."""


class MailSettings(Section):
    """[mail]: the server that takes mail from us. Without one no mail is sent."""

    host: Annotated[str, AfterValidator(is_address)] | None = None
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """None is 587 with `starttls`, 465 with `tls`, 25 with `none`."""
    tls: Literal["starttls", "tls", "none"] = "starttls"
    """How the connection is encrypted: after it has begun, from its beginning, not at all."""
    ca: Path | None = None
    """A file with certificates of authorities that are trusted besides the system's."""
    user: str = ""
    password: SecretStr | None = None
    sender: Annotated[str, like(r"[!-?A-~]+@[A-Za-z0-9.-]+", "an address")] | None = None
    """Who mail is from."""
    timeout: PositiveFloat = 30.0
    """Seconds that the server may take for a step."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.host is not None and self.sender is None:
            raise ValueError("expected a sender, whom mail is from")
        if bool(self.user) != (self.password is not None):
            raise ValueError("expected user and password, or neither")
        if self.user and self.tls == "none":
            raise ValueError("expected tls, for a password is not sent in the clear")
        return self
