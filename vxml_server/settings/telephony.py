"""[sip], [media], [dial], [[numbers]], [[trunks]]: whom we speak with on the telephone, and how."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    PlainValidator,
    PositiveInt,
    SecretStr,
    model_validator,
)

from vxml_server.settings import dialling, values
from vxml_server.settings.fields import (
    Items,
    Section,
    Table,
    is_address,
    is_application,
    is_number_pattern,
    like,
    sip_listen,
)


class RegistrarSettings(Section):
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


class TrunkSettings(Section):
    """[[trunks]]: somebody else's exchange that we register with."""

    name: Annotated[str, like(r"[A-Za-z0-9_.-]{1,64}", "letters, digits, ., - and _")]
    """How metrics, the log and the API call it."""
    registrar: Annotated[str, AfterValidator(dialling.check_uri)]
    """Its SIP URI: `sip:provider.example`, with `;transport=tcp` for TCP."""
    user: str = Field(min_length=1)
    password: SecretStr
    expires: int = Field(default=600, ge=60)
    """Seconds that we ask for."""


class SipSettings(Section):
    """[sip]: where SIP is spoken, and with whom."""

    listen: Annotated[
        tuple[Annotated[values.Listen, PlainValidator(sip_listen)], ...],
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


class MediaSettings(Section):
    """[media]: RTP."""

    address: Annotated[str, AfterValidator(is_address)] = "127.0.0.1"
    """The address that SDP announces."""
    bind: Annotated[str, AfterValidator(is_address)] | None = None
    """The address that sockets are bound to, when it is not `address` (behind a NAT)."""
    ports: Annotated[range, PlainValidator(values.parse_ports)] = range(20000, 30000)
    """UDP ports, written "first-last"; a call takes an even one for RTP and the next for RTCP."""
    mute_keys: bool = False
    """Take the tones of keys out of what bridged parties hear and of what is recorded."""


class NumberRule(Section):
    """[[numbers]]: which application answers a number."""

    number: Annotated[str, AfterValidator(is_number_pattern)]
    """User part of the request URI; a final `*` makes it a prefix, `*` alone is everything else."""
    application: Annotated[str, AfterValidator(is_application)]
    """URI or file path of the application's first document."""


class Credential(Section):
    """What we answer a digest challenge with."""

    user: str = Field(min_length=1)
    password: SecretStr


class DialSettings(Section):
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
