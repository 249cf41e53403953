"""RTP: one thread and one 20 ms tick for the audio of all calls (RFC 3550, 3551, 4733).

The engine owns a matrix of audio, a row for each channel, and in every tick does each step for all
of them at once: receive, decode, detect, mix, encode, send. Nothing here knows of SIP or VoiceXML.

Sending never pauses. A channel that has nothing to play sends silence, because a NAT forgets a
mapping that is not used, and recorders and jitter buffers at the far end do best with an unbroken
stream; so timestamps run with the wall clock by themselves. The marker bit is set as RFC 3551
section 4.1 has it: on a packet before which packets were *not* sent contiguously (the first one,
the first after a hold or after ticks that were skipped), and on no other.
"""

from vxml_server.media.channel import Channel, ChannelListener, KeySource
from vxml_server.media.engine import MediaEngine
from vxml_server.media.pairs import StereoTap
from vxml_server.media.play import GrowingSound, Playback, Sound
from vxml_server.media.ports import NoPortsLeft
from vxml_server.media.statistics import ChannelStatistics, EngineStatistics
from vxml_server.media.stream import Codec, Direction, Stream
from vxml_server.media.termination import Tap

__all__ = [
    "Channel",
    "ChannelListener",
    "ChannelStatistics",
    "Codec",
    "Direction",
    "EngineStatistics",
    "GrowingSound",
    "KeySource",
    "MediaEngine",
    "NoPortsLeft",
    "Playback",
    "Sound",
    "StereoTap",
    "Stream",
    "Tap",
]
