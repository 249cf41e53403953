"""What the keys of settings have in common: their kinds, and what is expected of each."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
)

from vxml_server.settings import values

MIB = 1024 * 1024

Items = BeforeValidator(values.split_items)

Table = BeforeValidator(values.read_table)

RetentionDays = Annotated[float, Field(gt=0, le=36_500)]
"""How long something is kept; a hundred years are a date that every database knows."""


def sip_listen(value: object) -> values.Listen:
    return _listen(value, ("udp", "tcp", "tls", "ws", "wss"))


def web_listen(value: object) -> values.Listen:
    return _listen(value, ("http",))


def _listen(value: object, schemes: tuple[str, ...]) -> values.Listen:
    if isinstance(value, values.Listen):
        return value
    return values.parse_listen(value if isinstance(value, str) else repr(value), schemes)


def is_address(text: str) -> str:
    if not values.is_host(text):
        raise ValueError(f"expected an IP address or a host name, got {text!r}")
    return text


def is_number_pattern(text: str) -> str:
    if not text or any(c.isspace() for c in text) or "*" in text[1:-1]:
        raise ValueError(f'expected a number, a prefix such as "+331*", or "*", got {text!r}')
    return text


def is_application(text: str) -> str:
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


def like(pattern: str, expected: str) -> AfterValidator:
    """Text of a pattern, which the operator is told in words."""

    def check(text: str) -> str:
        if re.fullmatch(pattern, text) is None:
            raise ValueError(f"expected {expected}, got {text!r}")
        return text

    return AfterValidator(check)


def is_service(url: str) -> str:
    """A URL whose origin is fixed, with names in braces that are known."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or "{" in parts.netloc:
        raise ValueError("expected an http: or https: URL with its host written out")
    if unknown := sorted(set(re.findall(r"\{(\w*)\}", url)) - values.SPEECH_NAMES):
        raise ValueError(
            f"expected {{{'}, {'.join(sorted(values.SPEECH_NAMES))}}} only, got {{{unknown[0]}}}"
        )
    return url


def is_database(url: str) -> str:
    if not url.startswith(("sqlite+aiosqlite://", "postgresql+asyncpg://")):
        raise ValueError("expected sqlite+aiosqlite:///path or postgresql+asyncpg://user@host/name")
    return url


def is_long_enough(token: SecretStr) -> SecretStr:
    if len(token.get_secret_value()) < 16:
        raise ValueError("expected at least 16 characters")
    return token


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
