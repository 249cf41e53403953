"""The voices of the operating system, by pyttsx3: SAPI on Windows, NSSpeech on macOS, eSpeak.

pyttsx3 keeps global state and has crashed with threads, so this engine is only ever run in a child
process (`child`), one sentence at a time. All that could last from one sentence to the next is set
for each; rate and pitch are done to the samples. It has no times of words: marks within a sentence
are estimated.
"""

from __future__ import annotations

import importlib.metadata
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from vxml_server.audio import RATE, decode
from vxml_server.clock import Clock
from vxml_server.events import VoiceXmlEvent
from vxml_server.settings import Pyttsx3Settings
from vxml_server.tts.engine import Abilities, Offer, Spoken, Utterance, Voice, choose

if TYPE_CHECKING:
    import pyttsx3

MAX_SECONDS = 180.0
ATTEMPTS = 3
EMPTY_BYTES = 44  # a WAV file without samples
POLL_SECONDS = 0.002


class Pyttsx3Engine:
    """`Engine` by pyttsx3; blocks, and is for a process of its own."""

    name = "pyttsx3"
    # Rates of drivers have scales of their own, and some are set too late to count.
    abilities = Abilities()

    def __init__(self, settings: Pyttsx3Settings, clock: Clock) -> None:
        self._clock = clock
        self._driver = settings.driver or None
        self._engine: pyttsx3.Engine | None = None
        self._voices: tuple[Voice, ...] = ()
        self._ids: dict[str, str] = {}
        self._rate = 200
        self.identity = "pyttsx3"

    async def start(self) -> None:
        """Raises `error.noresource` where the system has no voices that pyttsx3 can use."""
        try:
            import pyttsx3  # noqa: PLC0415 - an optional dependency, and one that may not load
        except ImportError:
            raise VoiceXmlEvent(
                "error.noresource", "pyttsx3 is not installed: pip install vxml-server[pyttsx3]"
            ) from None
        try:
            self._engine = pyttsx3.init(self._driver)
            self._rate = int(self._engine.getProperty("rate"))
            for system_voice in self._engine.getProperty("voices"):
                voice = _voice(system_voice)
                self._ids.setdefault(voice.name, system_voice.id)
                self._voices += (voice,)
        except Exception as error:  # drivers raise whatever their system does
            raise VoiceXmlEvent(
                "error.noresource",
                f"the system has no voices that pyttsx3 can use: {type(error).__name__}: {error}",
            ) from error
        version = importlib.metadata.version("pyttsx3")
        self.identity = f"pyttsx3 {version} {self._driver or ''} {len(self._voices)} voices"

    async def close(self) -> None:
        """Nothing: the process ends."""

    async def voice(self, lang: str, names: tuple[str, ...], gender: str) -> Offer | None:
        return choose(self._voices, lang, names, gender)

    async def speak(self, utterance: Utterance, voice: str) -> Spoken:
        for _ in range(ATTEMPTS):
            data = await self._say(utterance, voice)
            if len(data) > EMPTY_BYTES:
                audio = decode(data, "audio/wav", max_duration=MAX_SECONDS)
                return Spoken(audio.pcm, RATE)
        raise VoiceXmlEvent("error.noresource", "the system's voice says nothing")

    async def _say(self, utterance: Utterance, voice: str) -> bytes:
        """The file that the driver writes: empty at times, when it takes the end of the sentence
        before for the end of this one."""
        engine = self._engine
        if engine is None:
            raise VoiceXmlEvent("error.noresource", "it is not started")
        with tempfile.TemporaryDirectory(prefix="vxml-server-pyttsx3-") as folder:
            file = Path(folder) / "speech.wav"
            engine.setProperty("voice", self._ids[voice])
            engine.setProperty("rate", self._rate)
            engine.setProperty("volume", 1.0)
            engine.save_to_file(utterance.text, str(file))
            try:
                engine.runAndWait()
            except Exception as error:  # drivers raise whatever their system does
                raise VoiceXmlEvent(
                    "error.noresource", f"{type(error).__name__}: {error}"
                ) from error
            # Some drivers are not done when they say so. How long that may take is the parent's to
            # decide, who ends this process when it has waited enough.
            while not is_whole(data := file.read_bytes() if file.exists() else b""):
                await self._clock.sleep(POLL_SECONDS)
        return data


def is_whole(data: bytes) -> bool:
    """Whether a file is as long as it says (RIFF, and AIFF on macOS); what is neither, is."""
    if len(data) < 12:
        return False
    kind, length = data[:4], data[4:8]
    if kind == b"RIFF":
        return len(data) >= 8 + int.from_bytes(length, "little")
    return kind != b"FORM" or len(data) >= 8 + int.from_bytes(length, "big")


def _voice(voice: pyttsx3.voice.Voice) -> Voice:
    """A voice of the system in our terms. Drivers write a language as text, or as espeak's bytes
    with a priority before it."""
    languages = voice.languages or ["*"]
    lang = languages[0]
    if isinstance(lang, bytes):
        lang = lang.decode("utf-8", "replace")
    gender = str(voice.gender or "").lower()
    return Voice(
        str(voice.name),
        "".join(c for c in lang if c.isprintable()).strip() or "*",
        next((known for known in ("female", "male", "neutral") if known in gender), ""),
    )
