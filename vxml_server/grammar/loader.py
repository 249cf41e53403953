"""Reading a grammar and everything it refers to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from vxml_server.grammar.grammar import Grammar
from vxml_server.grammar.rules import Mode


def load(
    source: str | bytes,
    *,
    base_uri: str = "",
    media_type: str = "",
    read: Callable[[str], bytes] | None = None,
    mode: Mode | None = None,
    lang: str = "",
    rule: str = "",
    line_offset: int = 0,
) -> Grammar:
    """The grammar at a URI or path (a `str`), or in `bytes` that were found at `base_uri`.

    External rule references are read through `read` (absolute URI -> bytes; default: local files
    only). `media_type` is the declared type, "" to look at the content. `mode` and `lang` are what
    holds where the grammar does not say (VoiceXML gives both to an inline grammar); without a
    `lang` a voice grammar must declare its own. `rule` picks a rule other than the root, as does
    the fragment of a `str` source. `line_offset` is added to lines in errors: the number of lines
    of the document before an inline grammar. An inline `<grammar>` may be in the SRGS, the
    VoiceXML or no namespace, and may lack version and root.

    Raises `VoiceXmlEvent`: `error.badfetch` for a grammar that is wrong or refers to one that
    cannot be had, `error.unsupported.format` for a format not known here,
    `error.unsupported.builtin` for an unknown `builtin:` reference.
    """
    raise NotImplementedError


async def load_async(
    source: str | bytes,
    *,
    fetch: Callable[[str], Awaitable[bytes]],
    base_uri: str = "",
    media_type: str = "",
    mode: Mode | None = None,
    lang: str = "",
    rule: str = "",
    line_offset: int = 0,
) -> Grammar:
    """`load` for the event loop: what is wanted comes through `fetch`, an absolute URI at a time.

    What `fetch` raises as a `VoiceXmlEvent` is passed on unchanged.
    """
    raise NotImplementedError
