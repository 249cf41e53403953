"""The built-in grammar types of VoiceXML 2.0 appendix P."""

from __future__ import annotations

from vxml_server.grammar.grammar import Grammar
from vxml_server.grammar.rules import Mode


def builtin(uri: str, lang: str = "", mode: Mode | None = None) -> Grammar:
    """The built-in grammar of `uri`: `builtin:dtmf/digits?minlength=4;maxlength=6`,
    `builtin:grammar/boolean?y=7;n=9`; or of a `<field type>` (`"digits?length=4"`) with `mode`.

    Raises `error.unsupported.builtin` for an unknown type (or a type not spoken in `lang`) and
    `error.badfetch` for bad parameters.
    """
    raise NotImplementedError
