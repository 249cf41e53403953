"""Keys, however they come: tones in the audio, RFC 4733 events, SIP INFO.

Each way has its own module and they know nothing of each other: `detector` hears tones in the
samples of many channels at once, `rfc4733` reads and makes telephone-event payloads, `info` reads
and makes the bodies of SIP INFO, `generator` makes the tones. `merger` makes one press of what
several of them tell, and `remover` takes keys out of audio that others will hear. All are plain
objects that are fed and answer; none has a clock or a thread of its own.
"""

from vxml_server.dtmf.detector import DtmfBank, DtmfDetector
from vxml_server.dtmf.generator import dial, silence, tone
from vxml_server.dtmf.info import BadDtmfInfo, KeyPress, build_info, parse_info
from vxml_server.dtmf.keys import COLUMNS, KEYS, ROWS
from vxml_server.dtmf.merger import KeyMerger
from vxml_server.dtmf.remover import ToneMute, ToneRemover
from vxml_server.dtmf.rfc4733 import (
    EventPacket,
    EventReceiver,
    event_packets,
    long_event_packets,
)

__all__ = [
    "COLUMNS",
    "KEYS",
    "ROWS",
    "BadDtmfInfo",
    "DtmfBank",
    "DtmfDetector",
    "EventPacket",
    "EventReceiver",
    "KeyMerger",
    "KeyPress",
    "ToneMute",
    "ToneRemover",
    "build_info",
    "dial",
    "event_packets",
    "long_event_packets",
    "parse_info",
    "silence",
    "tone",
]
