"""The settings as frozen models: one class a section of the file, every key with its safe default.

An unknown key is an error, so that a misspelt one is never silently ignored. Defaults are closed:
nothing trusted, nothing dialled, nothing private fetched, only loopback listened on.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    Field,
    PlainValidator,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    model_validator,
)

from vxml_server.settings import values
from vxml_server.settings.fields import (
    MIB,
    Items,
    Section,
    Table,
    is_long_enough,
    like,
    web_listen,
)
from vxml_server.settings.keeping import (
    RecordingSettings,
    RecordSettings,
    StoreSettings,
)
from vxml_server.settings.speech import (
    AsrSettings,
    TtsSettings,
)
from vxml_server.settings.telephony import (
    DialSettings,
    MediaSettings,
    NumberRule,
    SipSettings,
    TrunkSettings,
)
from vxml_server.settings.voicemail import MailSettings, VoicemailSettings


class WebToken(Section):
    """[[web.tokens]]: a token with some rights."""

    name: str = Field(min_length=1)
    """Who has it; the log names whoever gets a recording."""
    token: Annotated[SecretStr, AfterValidator(is_long_enough)]
    rights: Annotated[
        tuple[
            Literal[
                "all",
                "recordings.read",
                "recordings.listen",
                "recordings.delete",
                "recordings.control",
                "voicemail.read",
                "voicemail.listen",
                "voicemail.write",
            ],
            ...,
        ],
        Items,
        Field(min_length=1),
    ]


class WebSettings(Section):
    """[web]: HTTP."""

    listen: Annotated[values.Listen, PlainValidator(web_listen)] = values.Listen(
        "http", "127.0.0.1", 8080
    )
    token: Annotated[SecretStr, AfterValidator(is_long_enough)] | None = None
    """Bearer token of /api. Without one, /api answers only while listening on loopback."""
    tokens: Annotated[tuple[WebToken, ...], Table] = ()
    """Further tokens, with some of the rights that `token` has."""
    apps: Path | None = Path("apps")
    """Folder served below /apps; none serves nothing."""


class FetchSettings(Section):
    """[fetch]: bringing documents, grammars, scripts and audio."""

    timeout: PositiveFloat = 15.0
    """Seconds for a whole fetch, when the document gives no fetchtimeout."""
    max_bytes: PositiveInt = 10 * MIB
    """Largest resource, counted after decompression."""
    max_redirects: int = Field(default=10, ge=0)
    max_connections: PositiveInt = 100
    cache_bytes: int = Field(default=64 * MIB, ge=0)
    """Bytes of responses kept in memory."""
    allow: Annotated[tuple[Annotated[str, AfterValidator(values.parse_origin)], ...], Items] = ()
    """Origins that may be fetched from although their address is private or this machine's; `*` is
    every origin, for a server whose documents are all its own."""
    files: Annotated[tuple[Path, ...], Items] = ()
    """Folders that file: URIs and paths may reach. The applications of [[numbers]] add theirs."""
    user_agent: Annotated[str, like(r"[\x20-\x7e]+", "printable ASCII")] | None = None
    """User-Agent header; none is `vxml-server/<version>`."""


class ScriptSettings(Section):
    """[script]: what the ECMAScript of one session may use."""

    memory_bytes: PositiveInt = 16 * MIB
    seconds: PositiveFloat = 0.2
    """CPU seconds of one evaluation: a script runs on the event loop, and others wait for it."""


class VoiceXmlSettings(Section):
    """[voicexml]: the interpreter."""

    language: Annotated[
        str, like(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*", "a language tag such as fr-FR")
    ] = "en"
    """Language of documents without xml:lang."""
    max_transitions: PositiveInt = 1000
    """Form items and documents a call may visit without input before it is ended as a loop."""
    strict: bool = False
    """Refuse documents that are not as the recommendation says, instead of making sense of them."""
    properties: Annotated[Mapping[str, str], Table] = Field(default_factory=dict)
    """The platform's values of VoiceXML properties (section 6.3) under every document."""


def _is_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"expected a time zone such as Europe/Paris, got {name!r}") from None
    return name


class QueueSettings(Section):
    """[queues]: callers who wait for agents."""

    definitions: Path | None = None
    """A TOML file with [[agents]], [[groups]], [[queues]] and [[boxes]]; what it says only it may
    change."""
    zone: Annotated[str, AfterValidator(_is_zone)] = "UTC"
    """Time zone of the contact centre: where the day of the agents' counters begins."""


class LogSettings(Section):
    """[log]: what is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    as_json: bool = Field(default=False, alias="json")
    """One JSON object a line instead of text for people."""


class Settings(Section):
    """Everything the operator decides. `settings.load()` makes it."""

    drain_seconds: float = Field(default=30.0, ge=0, allow_inf_nan=False)
    """How long running calls may go on after SIGTERM."""
    sip: SipSettings = SipSettings()
    media: MediaSettings = MediaSettings()
    web: WebSettings = WebSettings()
    store: StoreSettings = StoreSettings()
    numbers: Annotated[tuple[NumberRule, ...], Table] = ()
    dial: DialSettings = DialSettings()
    trunks: Annotated[tuple[TrunkSettings, ...], Table] = ()
    fetch: FetchSettings = FetchSettings()
    script: ScriptSettings = ScriptSettings()
    tts: TtsSettings = TtsSettings()
    asr: AsrSettings = AsrSettings()
    record: RecordSettings = RecordSettings()
    recording: RecordingSettings = RecordingSettings()
    voicexml: VoiceXmlSettings = VoiceXmlSettings()
    queues: QueueSettings = QueueSettings()
    voicemail: VoicemailSettings = VoicemailSettings()
    mail: MailSettings = MailSettings()
    log: LogSettings = LogSettings()

    def fetching(self, *shipped: Path) -> FetchSettings:
        """`fetch` with what naming a document allows by itself: its origin, or its folder.

        `shipped` are folders of documents of the server's own.
        """
        origins, folders = list(self.fetch.allow), [*self.fetch.files, *shipped]
        named = (rule.application for rule in self.numbers)
        for document in (*named, *self.recording.notices.values()):
            uri = urlsplit(document)
            if uri.scheme in {"http", "https"}:
                origins.append(values.parse_origin(f"{uri.scheme}://{uri.netloc}"))
            else:
                path = unquote(uri.path) if uri.scheme == "file" else document
                folders.append(Path(path).absolute().parent)
        return self.fetch.model_copy(
            update={
                "allow": tuple(dict.fromkeys(origins)),
                "files": tuple(dict.fromkeys(folders)),
            }
        )

    @model_validator(mode="after")
    def _each_trunk_once(self) -> Self:
        names = [trunk.name for trunk in self.trunks]
        hosts = [trunk.registrar.partition(";")[0].lower() for trunk in self.trunks]
        for name in (*names, *hosts):
            if names.count(name) + hosts.count(name) > 1:
                raise ValueError(f"expected each trunk once, got {name!r} again")
        return self

    @model_validator(mode="after")
    def _each_number_once(self) -> Self:
        seen: set[str] = set()
        for rule in self.numbers:
            if rule.number in seen:
                raise ValueError(f"expected each number once, got {rule.number!r} again")
            seen.add(rule.number)
        return self
