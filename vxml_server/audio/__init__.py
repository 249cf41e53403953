"""Samples: the telephone's two codes, files, rates and levels.

Everything a caller hears or says passes through here as int16 samples, mono, 8 kHz, in numpy
arrays. The room knows sample formats and nothing else: no channel, no packet, no prompt. All of it
is pure and may be called from any thread; untrusted files end in a `VoiceXmlEvent`.
"""

from vxml_server.audio.activity import FRAME_SECONDS, ONSET_FRAMES, SpeechActivity
from vxml_server.audio.echo import EchoGuard
from vxml_server.audio.files import MAX_DURATION, RATE, Audio, decode, encode, encode_wav
from vxml_server.audio.g711 import decode_alaw, decode_ulaw, encode_alaw, encode_ulaw
from vxml_server.audio.level import active_level_dbfs, rms_dbfs
from vxml_server.audio.loudness import SILENCE_LUFS, levelled, loudness_lufs
from vxml_server.audio.resample import Resampler, resample, to_int16

__all__ = [
    "FRAME_SECONDS",
    "MAX_DURATION",
    "ONSET_FRAMES",
    "RATE",
    "SILENCE_LUFS",
    "Audio",
    "EchoGuard",
    "Resampler",
    "SpeechActivity",
    "active_level_dbfs",
    "decode",
    "decode_alaw",
    "decode_ulaw",
    "encode",
    "encode_alaw",
    "encode_ulaw",
    "encode_wav",
    "levelled",
    "loudness_lufs",
    "resample",
    "rms_dbfs",
    "to_int16",
]
