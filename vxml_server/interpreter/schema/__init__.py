"""The schema of VoiceXML: whether a document is valid, and in words why not.

`vxml.rng` is the authority. `is_valid` is libxml2's judgement by it; `problems` explains what that
refuses, from tables read out of the same file (see `model`).
"""

from vxml_server.interpreter.schema.model import ANYTHING, TEXT, Type, model
from vxml_server.interpreter.schema.problems import (
    SRGS,
    VXML,
    Kind,
    Problem,
    attribute_problems,
    is_valid,
    problems,
)

__all__ = [
    "ANYTHING",
    "SRGS",
    "TEXT",
    "VXML",
    "Kind",
    "Problem",
    "Type",
    "attribute_problems",
    "is_valid",
    "model",
    "problems",
]
