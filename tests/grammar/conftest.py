"""What the grammar tests share: a grammar written as the inside of its `<grammar>` element."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar import Grammar, load

SRGS = "http://www.w3.org/2001/06/grammar"


def document(inside: str, attributes: str = 'root="r" xml:lang="en"') -> bytes:
    return f'<grammar xmlns="{SRGS}" version="1.0" {attributes}>{inside}</grammar>'.encode()


def voice(inside: str, attributes: str = "") -> Grammar:
    return load(document(inside, f'root="r" xml:lang="en" {attributes}'))


def dtmf(inside: str, attributes: str = "") -> Grammar:
    return load(document(inside, f'root="r" mode="dtmf" {attributes}'))


def refused(make: Callable[[], object]) -> VoiceXmlEvent:
    """The event with which `make` refuses."""
    with pytest.raises(VoiceXmlEvent) as caught:
        make()
    return caught.value
