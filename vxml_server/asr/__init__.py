"""Speech recognition: a caller's voice becomes words that a grammar allows, and how sure we are.

`SpeechEngine` is the seam: engines stand behind it.
"""

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

__all__ = [
    "RATE",
    "Attention",
    "RecognitionProperties",
    "Samples",
    "SpeechBegan",
    "SpeechEngine",
    "SpeechPassedOver",
    "Understood",
    "Utterance",
    "VoiceBusy",
    "VoiceEnding",
    "VoiceEvent",
    "VoiceFailed",
    "VoiceRefused",
    "VoiceRequest",
    "VoiceResult",
]
