"""The engines of speech and of recognition, started as the settings say."""

from __future__ import annotations

import asyncio

from vxml_server.app.errors import CannotStart
from vxml_server.asr import Recogniser, recogniser_of
from vxml_server.clock import Clock
from vxml_server.events import VoiceXmlEvent
from vxml_server.settings import AsrSettings, TtsSettings
from vxml_server.tts import Voices, voices


async def start_voices(settings: TtsSettings, clock: Clock) -> Voices:
    """The engines of speech, ready. Raises `CannotStart` for one that cannot speak here."""
    try:
        made = voices(settings, clock)
        try:
            await made.start()
        except BaseException:
            await made.close()
            raise
    except VoiceXmlEvent as event:
        raise CannotStart(f"tts: {event.message}") from event
    return made


def start_ears(
    settings: AsrSettings, clock: Clock, loop: asyncio.AbstractEventLoop
) -> Recogniser | None:
    """The engines of recognition, which load their models beside us; None when there are none.

    Raises `CannotStart` for one that is unknown, not installed, or badly set.
    """
    try:
        made = recogniser_of(settings, clock, loop.call_soon_threadsafe)
    except VoiceXmlEvent as event:
        raise CannotStart(f"asr: {event.message}") from event
    if made is not None:
        made.load()
    return made
