"""Speech recognition: a caller's voice becomes words that a grammar allows, and how sure we are.

`Recogniser` is what a server has: it makes a `Listening` of each wait for voice, which hears where
speech begins and ends and what it means. `SpeechEngine` is the seam: engines stand behind it.
"""

from vxml_server.asr.engines import ENGINES, Engines, EngineSettings, build
from vxml_server.asr.listening import Listening
from vxml_server.asr.pool import LATENCIES, EngineCounters, RecognitionPool
from vxml_server.asr.recogniser import Recogniser, recogniser_of
from vxml_server.asr.recognition import (
    RATE,
    RecognitionProperties,
    Samples,
    SpeechEngine,
    Utterance,
)
from vxml_server.asr.voice import (
    Attention,
    SpeechBegan,
    SpeechPassedOver,
    Understood,
    VoiceBusy,
    VoiceEnding,
    VoiceEvent,
    VoiceFailed,
    VoiceRefused,
    VoiceRequest,
    VoiceResult,
)
from vxml_server.asr.workers import ThreadWorkers

__all__ = [
    "ENGINES",
    "LATENCIES",
    "RATE",
    "Attention",
    "EngineCounters",
    "EngineSettings",
    "Engines",
    "Listening",
    "Recogniser",
    "RecognitionPool",
    "RecognitionProperties",
    "Samples",
    "SpeechBegan",
    "SpeechEngine",
    "SpeechPassedOver",
    "ThreadWorkers",
    "Understood",
    "Utterance",
    "VoiceBusy",
    "VoiceEnding",
    "VoiceEvent",
    "VoiceFailed",
    "VoiceRefused",
    "VoiceRequest",
    "VoiceResult",
    "build",
    "recogniser_of",
]
