"""[store], [record], [recording]: what is kept, where, and for how long."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    model_validator,
)

from vxml_server.settings import values
from vxml_server.settings.fields import (
    Items,
    RetentionDays,
    Section,
    Table,
    is_application,
    is_database,
    is_number_pattern,
    like,
)


class StoreSettings(Section):
    """[store]: the database."""

    url: Annotated[str, AfterValidator(is_database)] = Field(
        default="sqlite+aiosqlite:///var/vxml-server.db", repr=False
    )
    """May hold a password. A relative path of SQLite is relative to the working directory."""
    worker: Annotated[str, like(r"[A-Za-z0-9_-]{1,64}", "letters, digits, - and _")] = "main"
    """Name of this process among those that share the database; keeps it over a restart."""


class RecordSettings(Section):
    """[record]: what callers say into <record>."""

    spool: Path = Path("var/spool")
    """Folder on a local disk for recordings while their call lasts; processes may share it."""


class RecordingKey(Section):
    """[[recording.keys]]: what recordings are encrypted with; the first encrypts."""

    id: Annotated[str, like(r"[A-Za-z0-9_.-]{1,64}", "letters, digits, ., - and _")]
    """Its name, which stands in every file that it has encrypted."""
    key: SecretStr | None = None
    """32 octets in base64."""
    file: Path | None = None
    """A file that has it, as 32 octets or in base64."""

    @model_validator(mode="after")
    def _is_one_key(self) -> Self:
        if (self.key is None) == (self.file is None):
            raise ValueError("expected either key or file")
        if self.key is not None:
            values.parse_key(self.key.get_secret_value().encode())
        return self


class RecordingRule(Section):
    """[[recording.rules]]: conversations that are recorded: all that is given must fit."""

    name: Annotated[str, like(r"[A-Za-z0-9_.-]{1,64}", "letters, digits, ., - and _")]
    """How records and the log call it."""
    numbers: Annotated[tuple[Annotated[str, AfterValidator(is_number_pattern)], ...], Items] = ()
    """Numbers dialled by the caller or for him; a final `*` makes one a prefix."""
    queues: Annotated[tuple[str, ...], Items] = ()
    agents: Annotated[tuple[str, ...], Items] = ()
    applications: Annotated[tuple[str, ...], Items] = ()
    """URIs of first documents; a final `*` makes one a prefix."""
    direction: Literal["", "inbound", "outbound"] = ""
    """Inbound comes to an agent of a queue; outbound goes out to where a transfer calls."""
    percent: float = Field(default=100.0, ge=0, le=100)
    """Of the conversations that fit, so many are recorded; the others are not."""
    on_request: bool = False
    """Announced like the others, but recorded only when the API says so."""


class FormerTarget(Section):
    """[[recording.former_targets]]: where recordings were brought to before, and may still be."""

    target: str = Field(min_length=1, max_length=1024, repr=False)
    target_options: Annotated[Mapping[str, SecretStr], Table] = Field(default_factory=dict)


class RecordingSettings(Section):
    """[recording]: conversations of callers with agents and with other telephones."""

    rules: Annotated[tuple[RecordingRule, ...], Table] = ()
    """The first that fits decides. None records nothing."""
    spool: Path = Path("var/recording")
    """Folder on a local disk for recordings until the target has them; processes may share it."""
    target: str = Field(default="var/recordings", min_length=1, max_length=1024, repr=False)
    """Folder, or URL that fsspec knows (`s3://bucket/folder`), where they are kept."""
    target_options: Annotated[Mapping[str, SecretStr], Table] = Field(default_factory=dict)
    """What the library of the URL is told: `key`, `secret`, `endpoint_url`."""
    former_targets: Annotated[tuple[FormerTarget, ...], Table] = ()
    """URLs that were the target before, for what is still there; folders need not be named."""
    format: Literal["flac", "wav", "opus"] = "flac"
    keys: Annotated[tuple[RecordingKey, ...], Table] = ()
    """Keys; the first encrypts, all decrypt. None keeps recordings in the clear."""
    mask_keys: bool = True
    """Take the tones of keys out of what is recorded."""
    pause_keys: Annotated[str, like(r"[0-9*#A-D]{0,4}", "up to four keys")] = ""
    """Keys by which an agent pauses a recording, and goes on; none means that he cannot."""
    refuse_key: Annotated[str, like(r"[0-9*#]", "one key")] = "2"
    """The key by which a caller refuses to be recorded."""
    notices: Annotated[Mapping[str, Annotated[str, AfterValidator(is_application)]], Table] = Field(
        default_factory=dict
    )
    """Language -> URI or path of the VoiceXML document that says so, where ours will not do."""
    retention_days: RetentionDays = 60.0
    """How long recordings are kept."""
    retention: Annotated[Mapping[str, RetentionDays], Table] = Field(default_factory=dict)
    """Queue -> days, where it is another time."""

    @model_validator(mode="after")
    def _names_are_told_apart(self) -> Self:
        for names in ([rule.name for rule in self.rules], [key.id for key in self.keys]):
            for name in names:
                if names.count(name) > 1:
                    raise ValueError(f"expected each name once, got {name!r} again")
        return self
