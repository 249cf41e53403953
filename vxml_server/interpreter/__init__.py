"""VoiceXML 2.1: a session interprets an application on a platform that carries the call.

No sockets, no audio and no clock: everything outside comes through `Platform` and a fetcher.
"""

from vxml_server.interpreter.compiler import compile_document
from vxml_server.interpreter.document import Document
from vxml_server.interpreter.grammars import GrammarStore
from vxml_server.interpreter.keys import KeyCollector, KeyOutcome
from vxml_server.interpreter.objects import (
    ObjectCall,
    ObjectParameter,
    Objects,
    ObjectValue,
    PlatformObject,
)
from vxml_server.interpreter.platform import (
    ActiveGrammar,
    AudioSegment,
    InputKind,
    InputProperties,
    InputResult,
    Json,
    ListenRequest,
    Platform,
    Prompt,
    Recognition,
    RecordedAudio,
    RecordEnding,
    RecordRequest,
    RecordResult,
    Segment,
    SpeechSegment,
    TransferRequest,
    TransferResult,
    Waiting,
)
from vxml_server.interpreter.recording import RecordKeys
from vxml_server.interpreter.session import (
    Connection,
    DocumentStore,
    Limits,
    Outcome,
    Redirection,
    Session,
)
from vxml_server.interpreter.statics import (
    StaticPrompt,
    platform_prompts,
    static_links,
    static_prompts,
)
from vxml_server.interpreter.trace import Observer, ignore

__all__ = [
    "ActiveGrammar",
    "AudioSegment",
    "Connection",
    "Document",
    "DocumentStore",
    "GrammarStore",
    "InputKind",
    "InputProperties",
    "InputResult",
    "Json",
    "KeyCollector",
    "KeyOutcome",
    "Limits",
    "ListenRequest",
    "ObjectCall",
    "ObjectParameter",
    "ObjectValue",
    "Objects",
    "Observer",
    "Outcome",
    "Platform",
    "PlatformObject",
    "Prompt",
    "Recognition",
    "RecordEnding",
    "RecordKeys",
    "RecordRequest",
    "RecordResult",
    "RecordedAudio",
    "Redirection",
    "Segment",
    "Session",
    "SpeechSegment",
    "StaticPrompt",
    "TransferRequest",
    "TransferResult",
    "Waiting",
    "compile_document",
    "ignore",
    "platform_prompts",
    "static_links",
    "static_prompts",
]
