"""The settings as frozen models: one class a section of the file, every key with its safe default.

An unknown key is an error, so that a misspelt one is never silently ignored. Defaults are closed:
nothing trusted, nothing dialled, nothing private fetched, only loopback listened on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    model_validator,
)

from vxml_server.settings import dialling, values

_MIB = 1024 * 1024

Items = BeforeValidator(values.split_items)
Table = BeforeValidator(values.read_table)


def _sip_listen(value: object) -> values.Listen:
    return _listen(value, ("udp", "tcp", "tls", "ws", "wss"))


def _web_listen(value: object) -> values.Listen:
    return _listen(value, ("http",))


def _listen(value: object, schemes: tuple[str, ...]) -> values.Listen:
    if isinstance(value, values.Listen):
        return value
    return values.parse_listen(value if isinstance(value, str) else repr(value), schemes)


def _is_address(text: str) -> str:
    if not values.is_host(text):
        raise ValueError(f"expected an IP address or a host name, got {text!r}")
    return text


def _is_number_pattern(text: str) -> str:
    if not text or any(c.isspace() for c in text) or "*" in text[1:-1]:
        raise ValueError(f'expected a number, a prefix such as "+331*", or "*", got {text!r}')
    return text


def _is_application(text: str) -> str:
    scheme, colon, _ = text.partition(":")
    # A single letter is a drive of another system's paths, not a scheme.
    if not text.strip() or (
        colon and len(scheme) > 1 and scheme.isalpha() and scheme not in {"http", "https", "file"}
    ):
        raise ValueError(f"expected an http:, https: or file: URI, or a path, got {text!r}")
    if scheme in {"http", "https"}:
        try:
            parts = urlsplit(text)
            values.parse_origin(f"{parts.scheme}://{parts.netloc}")
        except ValueError:
            raise ValueError(f"expected a URI with a host, got {text!r}") from None
    return text


def _like(pattern: str, expected: str) -> AfterValidator:
    """Text of a pattern, which the operator is told in words."""

    def check(text: str) -> str:
        if re.fullmatch(pattern, text) is None:
            raise ValueError(f"expected {expected}, got {text!r}")
        return text

    return AfterValidator(check)


def _is_service(url: str) -> str:
    """A URL whose origin is fixed, with names in braces that are known."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or "{" in parts.netloc:
        raise ValueError("expected an http: or https: URL with its host written out")
    if unknown := sorted(set(re.findall(r"\{(\w*)\}", url)) - values.SPEECH_NAMES):
        raise ValueError(
            f"expected {{{'}, {'.join(sorted(values.SPEECH_NAMES))}}} only, got {{{unknown[0]}}}"
        )
    return url


def _is_database(url: str) -> str:
    if not url.startswith(("sqlite+aiosqlite://", "postgresql+asyncpg://")):
        raise ValueError("expected sqlite+aiosqlite:///path or postgresql+asyncpg://user@host/name")
    return url


def _is_long_enough(token: SecretStr) -> SecretStr:
    if len(token.get_secret_value()) < 16:
        raise ValueError("expected at least 16 characters")
    return token


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class RegistrarSettings(_Section):
    """[sip.registrar]: telephones that register with us, as one of [sip] users."""

    domains: Annotated[tuple[str, ...], Items] = ()
    """Domains that telephones may name us by, beside our addresses and the realm."""
    min_expires: PositiveInt = 60
    """Seconds; a telephone that wants to register for less is told so."""
    max_expires: PositiveInt = 3600
    """Seconds that a registration lasts at most."""
    expires: PositiveInt = 3600
    """Seconds that it lasts when the telephone does not say."""
    max_contacts: PositiveInt = 10
    """Telephones of one user."""
    keep_alive: float = Field(default=30.0, ge=0, allow_inf_nan=False)
    """Seconds between two questions (OPTIONS) whether a telephone is there; 0 asks none."""
    trusted: bool = False
    """Trusted networks register any name without a password."""

    @model_validator(mode="after")
    def _times_fit(self) -> Self:
        if not self.min_expires <= self.expires <= self.max_expires:
            raise ValueError("expected min_expires <= expires <= max_expires")
        return self


class TrunkSettings(_Section):
    """[[trunks]]: somebody else's exchange that we register with."""

    name: Annotated[str, _like(r"[A-Za-z0-9_.-]{1,64}", "letters, digits, ., - and _")]
    """How metrics, the log and the API call it."""
    registrar: Annotated[str, AfterValidator(dialling.check_uri)]
    """Its SIP URI: `sip:provider.example`, with `;transport=tcp` for TCP."""
    user: str = Field(min_length=1)
    password: SecretStr
    expires: int = Field(default=600, ge=60)
    """Seconds that we ask for."""


class SipSettings(_Section):
    """[sip]: where SIP is spoken, and with whom."""

    listen: Annotated[
        tuple[Annotated[values.Listen, PlainValidator(_sip_listen)], ...],
        Items,
        Field(min_length=1),
    ] = (values.Listen("udp", "127.0.0.1", 5060), values.Listen("tcp", "127.0.0.1", 5060))
    """udp://, tcp://, tls://, ws:// and wss:// with address and port."""
    trusted: Annotated[
        tuple[Annotated[IPv4Network | IPv6Network, PlainValidator(values.parse_network)], ...],
        Items,
    ] = ()
    """Sources that may call without authentication; others get digest or silence."""
    users: Annotated[Mapping[str, SecretStr], Table] = Field(default_factory=dict)
    """Name -> password of those who authenticate by digest."""
    realm: str = Field(default="vxml-server", min_length=1)
    """The realm of our digest challenges."""
    algorithms: Annotated[
        tuple[Literal["MD5", "SHA-256"], ...], Items, Field(min_length=1, max_length=2)
    ] = ("MD5", "SHA-256")
    """Of our digest challenges, one challenge each, in this order."""
    registrar: RegistrarSettings = RegistrarSettings()


class MediaSettings(_Section):
    """[media]: RTP."""

    address: Annotated[str, AfterValidator(_is_address)] = "127.0.0.1"
    """The address that SDP announces."""
    bind: Annotated[str, AfterValidator(_is_address)] | None = None
    """The address that sockets are bound to, when it is not `address` (behind a NAT)."""
    ports: Annotated[range, PlainValidator(values.parse_ports)] = range(20000, 30000)
    """UDP ports, written "first-last"; a call takes an even one for RTP and the next for RTCP."""
    mute_keys: bool = False
    """Take the tones of keys out of what bridged parties hear and of what is recorded."""


class WebToken(_Section):
    """[[web.tokens]]: a token with some rights."""

    name: str = Field(min_length=1)
    """Who has it; the log names whoever gets a recording."""
    token: Annotated[SecretStr, AfterValidator(_is_long_enough)]
    rights: Annotated[
        tuple[
            Literal[
                "all",
                "recordings.read",
                "recordings.listen",
                "recordings.delete",
                "recordings.control",
            ],
            ...,
        ],
        Items,
        Field(min_length=1),
    ]


class WebSettings(_Section):
    """[web]: HTTP."""

    listen: Annotated[values.Listen, PlainValidator(_web_listen)] = values.Listen(
        "http", "127.0.0.1", 8080
    )
    token: Annotated[SecretStr, AfterValidator(_is_long_enough)] | None = None
    """Bearer token of /api. Without one, /api answers only while listening on loopback."""
    tokens: Annotated[tuple[WebToken, ...], Table] = ()
    """Further tokens, with some of the rights that `token` has."""
    apps: Path | None = Path("apps")
    """Folder served below /apps; none serves nothing."""


class StoreSettings(_Section):
    """[store]: the database."""

    url: Annotated[str, AfterValidator(_is_database)] = Field(
        default="sqlite+aiosqlite:///var/vxml-server.db", repr=False
    )
    """May hold a password. A relative path of SQLite is relative to the working directory."""
    worker: Annotated[str, _like(r"[A-Za-z0-9_-]{1,64}", "letters, digits, - and _")] = "main"
    """Name of this process among those that share the database; keeps it over a restart."""


class NumberRule(_Section):
    """[[numbers]]: which application answers a number."""

    number: Annotated[str, AfterValidator(_is_number_pattern)]
    """User part of the request URI; a final `*` makes it a prefix, `*` alone is everything else."""
    application: Annotated[str, AfterValidator(_is_application)]
    """URI or file path of the application's first document."""


class Credential(_Section):
    """What we answer a digest challenge with."""

    user: str = Field(min_length=1)
    password: SecretStr


class DialSettings(_Section):
    """[dial]: where calls of our own may go. Nothing is allowed unless a rule says so."""

    allow: Annotated[tuple[Annotated[str, AfterValidator(dialling.check_rule)], ...], Items] = ()
    """Rules such as `sip:*@127.0.0.1`; see `dialling.allows`."""
    caller: Annotated[str, AfterValidator(dialling.check_uri)] = Field(
        default="sip:anonymous@anonymous.invalid", alias="from"
    )
    """The From URI of calls that an application does not name another for."""
    route: Annotated[str, AfterValidator(dialling.check_route)] | None = None
    """Where tel: URIs and bare numbers go: `sip:{number}@10.0.0.1`."""
    credentials: Annotated[Mapping[str, Credential], Table] = Field(default_factory=dict)
    """Host (of the request URI) -> user and password for its digest challenges."""


class FetchSettings(_Section):
    """[fetch]: bringing documents, grammars, scripts and audio."""

    timeout: PositiveFloat = 15.0
    """Seconds for a whole fetch, when the document gives no fetchtimeout."""
    max_bytes: PositiveInt = 10 * _MIB
    """Largest resource, counted after decompression."""
    max_redirects: int = Field(default=10, ge=0)
    max_connections: PositiveInt = 100
    cache_bytes: int = Field(default=64 * _MIB, ge=0)
    """Bytes of responses kept in memory."""
    allow: Annotated[tuple[Annotated[str, AfterValidator(values.parse_origin)], ...], Items] = ()
    """Origins that may be fetched from although their address is private or this machine's; `*` is
    every origin, for a server whose documents are all its own."""
    files: Annotated[tuple[Path, ...], Items] = ()
    """Folders that file: URIs and paths may reach. The applications of [[numbers]] add theirs."""
    user_agent: Annotated[str, _like(r"[\x20-\x7e]+", "printable ASCII")] | None = None
    """User-Agent header; none is `vxml-server/<version>`."""


class ScriptSettings(_Section):
    """[script]: what the ECMAScript of one session may use."""

    memory_bytes: PositiveInt = 16 * _MIB
    seconds: PositiveFloat = 0.2
    """CPU seconds of one evaluation: a script runs on the event loop, and others wait for it."""


class PiperVoice(_Section):
    """One of [tts.piper] voices: a file, or what it says of itself put right."""

    file: str = Field(min_length=1)
    """Path of the .onnx file, its .json beside it; or `package:<name>` of a Python package."""
    name: str = ""
    """What `<voice name>` calls it; empty is the file's name without .onnx."""
    gender: Literal["", "male", "female", "neutral"] = ""
    speaker: str = ""
    """Of a file with several speakers."""


def _as_piper_voice(value: object) -> object:
    return {"file": value} if isinstance(value, str) else value


class PiperSettings(_Section):
    """[tts.piper]: neural voices from files."""

    voices: Annotated[
        tuple[Annotated[PiperVoice, BeforeValidator(_as_piper_voice)], ...], Items
    ] = ()
    """Files, best first."""
    threads: PositiveInt = 1
    """Sentences that are spoken at once."""
    cores: PositiveInt = 1
    """Processor cores for one sentence."""


class Pyttsx3Settings(_Section):
    """[tts.pyttsx3]: the voices of the operating system."""

    driver: str = ""
    """`sapi5`, `nsss`, `avspeech`, `espeak`; empty is the system's own."""


class ServiceVoice(_Section):
    """[[tts.services.<name>.voices]]: a voice of a service."""

    name: str = Field(min_length=1)
    """What `<voice name>` calls it, and what `{voice}` becomes."""
    lang: str = Field(min_length=1)
    """Its language, such as `fr-FR`; `*` for one that speaks all."""
    gender: Literal["", "male", "female", "neutral"] = ""


class ServiceSettings(_Section):
    """[tts.services.<name>]: something that answers HTTP requests with audio."""

    url: Annotated[str, AfterValidator(_is_service)] = Field(repr=False)
    """May hold {text} {lang} {voice} {gender} {rate} {rate_percent} {pitch} {pitch_percent}."""
    method: Literal["GET", "POST"] = "GET"
    body: str = ""
    """Of a POST; the same names, and {ssml}, written as the type of the body needs it."""
    body_type: str = "application/json"
    headers: Annotated[Mapping[str, SecretStr], Table] = Field(default_factory=dict)
    """Header -> value; values are secrets."""
    voices: tuple[ServiceVoice, ...] = Field(min_length=1)
    audio_type: str = ""
    """Type of the audio, where the answer's Content-Type is wrong: `audio/L16;rate=16000`."""
    max_bytes: PositiveInt = 10 * _MIB
    """Largest answer, for one sentence."""
    connections: PositiveInt = 8
    """Requests at once."""


_BUILT_IN = ("espeak", "piper", "pyttsx3")


class TtsSettings(_Section):
    """[tts]: speech synthesis."""

    engines: Annotated[tuple[str, ...], Items, Field(min_length=1)] = ("espeak",)
    """Best first: `espeak`, `piper`, `pyttsx3`, a name of [tts.services], or of a plug-in."""
    timeout: PositiveFloat = 10.0
    """Seconds that an engine has for one sentence before the next engine is asked."""
    isolated: Annotated[tuple[str, ...], Items] = ("espeak",)
    """Engines that run in a process of their own, so that a crash is not the server's."""
    piper: PiperSettings = PiperSettings()
    pyttsx3: Pyttsx3Settings = Pyttsx3Settings()
    services: Annotated[Mapping[str, ServiceSettings], Table] = Field(default_factory=dict)
    """Name -> a service that is asked over HTTP."""
    plugins: Annotated[Mapping[str, Mapping[str, object]], Table] = Field(default_factory=dict)
    """Name of a plug-in -> its own settings."""
    packs: Annotated[Mapping[str, Path], Table] = Field(default_factory=dict)
    """Language -> the folder of a phrase pack: recorded numbers, dates, letters for <say-as>."""
    cache_bytes: int = Field(default=64 * _MIB, ge=0)
    """Bytes of rendered prompts kept in memory."""
    cache_folder: Path | None = None
    """Folder in which prompts outlast the process; none writes nothing. Processes may share it."""
    cache_folder_bytes: PositiveInt = 1024 * _MIB
    """Bytes of rendered prompts kept there."""
    cache_calls: bool = True
    """Whether what calls ask for is written there too, and not only by `prompts render`."""
    loudness: float = Field(default=-20.0, ge=-40.0, le=-10.0)
    """LUFS (ITU-R BS.1770) of speech, and of audio files if they are levelled."""
    level_audio: bool = True
    """Bring the audio files of documents to `loudness`."""
    voices: Annotated[Mapping[str, str], Table] = Field(default_factory=dict)
    """Language (`fr`, `fr-CA`) -> the engine's voice, where its own choice will not do."""

    @model_validator(mode="after")
    def _engines_are_told_apart(self) -> Self:
        if len(set(self.engines)) < len(self.engines):
            raise ValueError("expected each engine once")
        for name in self.services:
            if name in _BUILT_IN:
                raise ValueError(f"expected another name for a service than {name!r}")
        for name in self.isolated:
            if name in self.services:
                raise ValueError(f"expected engines that are no services, got {name!r}")
        return self


class RecordSettings(_Section):
    """[record]: what callers say into <record>."""

    spool: Path = Path("var/spool")
    """Folder on a local disk for recordings while their call lasts; processes may share it."""


class RecordingKey(_Section):
    """[[recording.keys]]: what recordings are encrypted with; the first encrypts."""

    id: Annotated[str, _like(r"[A-Za-z0-9_.-]{1,64}", "letters, digits, ., - and _")]
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


class RecordingRule(_Section):
    """[[recording.rules]]: conversations that are recorded: all that is given must fit."""

    name: Annotated[str, _like(r"[A-Za-z0-9_.-]{1,64}", "letters, digits, ., - and _")]
    """How records and the log call it."""
    numbers: Annotated[tuple[Annotated[str, AfterValidator(_is_number_pattern)], ...], Items] = ()
    """Numbers dialled by the caller or for him; a final `*` makes one a prefix."""
    queues: Annotated[tuple[str, ...], Items] = ()
    agents: Annotated[tuple[str, ...], Items] = ()
    applications: Annotated[tuple[str, ...], Items] = ()
    """URIs of first documents; a final `*` makes one a prefix."""
    direction: Literal["", "inbound", "outbound"] = ""
    percent: float = Field(default=100.0, ge=0, le=100)
    """Of the conversations that fit, so many are recorded; the others are not."""
    on_request: bool = False
    """Announced like the others, but recorded only when the API says so."""


class RecordingSettings(_Section):
    """[recording]: conversations of callers with agents and with other telephones."""

    rules: Annotated[tuple[RecordingRule, ...], Table] = ()
    """The first that fits decides. None records nothing."""
    spool: Path = Path("var/recording")
    """Folder on a local disk for recordings until the target has them; processes may share it."""
    target: str = Field(default="var/recordings", min_length=1, repr=False)
    """Folder, or URL that fsspec knows (`s3://bucket/folder`), where they are kept."""
    target_options: Annotated[Mapping[str, SecretStr], Table] = Field(default_factory=dict)
    """What the library of the URL is told: `key`, `secret`, `endpoint_url`."""
    format: Literal["flac", "wav", "opus"] = "flac"
    keys: Annotated[tuple[RecordingKey, ...], Table] = ()
    """Keys; the first encrypts, all decrypt. None keeps recordings in the clear."""
    mask_keys: bool = True
    """Take the tones of keys out of what is recorded."""
    pause_keys: Annotated[str, _like(r"[0-9*#A-D]{0,4}", "up to four keys")] = ""
    """Keys by which an agent pauses a recording, and goes on; none means that he cannot."""
    refuse_key: Annotated[str, _like(r"[0-9*#]", "one key")] = "2"
    """The key by which a caller refuses to be recorded."""
    notices: Annotated[Mapping[str, Annotated[str, AfterValidator(_is_application)]], Table] = (
        Field(default_factory=dict)
    )
    """Language -> URI or path of the VoiceXML document that says so, where ours will not do."""
    retention_days: PositiveFloat = 60.0
    """How long recordings are kept."""
    retention: Annotated[Mapping[str, PositiveFloat], Table] = Field(default_factory=dict)
    """Queue -> days, where it is another time."""

    @model_validator(mode="after")
    def _names_are_told_apart(self) -> Self:
        for names in ([rule.name for rule in self.rules], [key.id for key in self.keys]):
            for name in names:
                if names.count(name) > 1:
                    raise ValueError(f"expected each name once, got {name!r} again")
        return self


class AsrSettings(_Section):
    """[asr]: speech recognition."""

    engines: Annotated[tuple[str, ...], Items] = ("pocketsphinx",)
    """Best first: `pocketsphinx`, `vosk`, `whisper`, or a plug-in's name; none hears no voice."""
    languages: Annotated[Mapping[str, Annotated[tuple[str, ...], Items]], Table] = Field(
        default_factory=dict
    )
    """Language (`fr`, `fr-CA`) -> engines that are asked first, where `engines` will not do."""
    models: Annotated[Mapping[str, Mapping[str, str]], Table] = Field(default_factory=dict)
    """Engine -> language (`*` for all) -> the folder of a model, or a package that holds it."""
    recognitions: PositiveInt = 8
    """Callers who may speak at once."""
    waiting: int = Field(default=16, ge=0)
    """Callers who may speak beyond that, and are understood when their turn comes."""
    deadline: PositiveFloat = 8.0
    """Seconds that an engine has for one step before what was said is given up."""
    processes: PositiveInt = 2
    """Child processes of each engine that needs them, or its threads."""

    @model_validator(mode="after")
    def _engines_are_known(self) -> Self:
        if len(set(self.engines)) < len(self.engines):
            raise ValueError("expected each engine once")
        for name in (*self.models, *(name for names in self.languages.values() for name in names)):
            if name not in self.engines:
                raise ValueError(f"expected one of engines, got {name!r}")
        return self


class VoiceXmlSettings(_Section):
    """[voicexml]: the interpreter."""

    language: Annotated[
        str, _like(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*", "a language tag such as fr-FR")
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


class QueueSettings(_Section):
    """[queues]: callers who wait for agents."""

    definitions: Path | None = None
    """A TOML file with [[agents]], [[groups]] and [[queues]]; what it says only it may change."""
    zone: Annotated[str, AfterValidator(_is_zone)] = "UTC"
    """Time zone of the contact centre: where the day of the agents' counters begins."""


class LogSettings(_Section):
    """[log]: what is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    as_json: bool = Field(default=False, alias="json")
    """One JSON object a line instead of text for people."""


class Settings(_Section):
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
