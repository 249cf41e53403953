"""Speech synthesis: an SSML document becomes samples and the times of its marks.

`Synthesizer` is the seam: engines stand behind it, a cache may stand before it, and `synthesizer`
builds the whole from settings. `ssml` reads documents into a plan that says everything in plain
words, so that an engine needs to know little more than how to speak a sentence.
"""

from vxml_server.tts.cache import CachingSynthesizer
from vxml_server.tts.engine import Abilities, Engine, Offer, Spoken, Utterance, Voice, choose
from vxml_server.tts.engines import ENGINES, synthesizer, voices
from vxml_server.tts.lexicon import Lexicon
from vxml_server.tts.lexicon import load as load_lexicon
from vxml_server.tts.selection import Voices
from vxml_server.tts.speech import (
    Chunk,
    Mark,
    Speech,
    SpeechRequest,
    Synthesizer,
    joined,
    speech_of,
)

__all__ = [
    "ENGINES",
    "Abilities",
    "CachingSynthesizer",
    "Chunk",
    "Engine",
    "Lexicon",
    "Mark",
    "Offer",
    "Speech",
    "SpeechRequest",
    "Spoken",
    "Synthesizer",
    "Utterance",
    "Voice",
    "Voices",
    "choose",
    "joined",
    "load_lexicon",
    "speech_of",
    "synthesizer",
    "voices",
]
