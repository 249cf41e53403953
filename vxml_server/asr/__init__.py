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

__all__ = ["RATE", "RecognitionProperties", "Samples", "SpeechEngine", "Utterance"]
