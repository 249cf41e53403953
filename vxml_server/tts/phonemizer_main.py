"""The process of `phonemizer.Phonemizer`: answers frames (`wire`) until its input ends.

    python -I phonemizer_main.py <folder of the piper package> <folder for what it writes>

It is run as a file and imports nothing of the server, nor the package piper itself, which would
load ONNX Runtime: so it is there in 50 ms, in 13 MiB.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import types
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Callable

LENGTHS = struct.Struct(">II")  # as in `wire`


def main() -> None:
    requests = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)  # whatever libraries print
    package = types.ModuleType("piper")
    package.__path__ = [sys.argv[1]]
    sys.modules["piper"] = package
    from piper.phonemize_espeak import EspeakPhonemizer  # noqa: PLC0415 - of that package

    try:
        serve(requests, answers, EspeakPhonemizer().phonemize)
    finally:
        import shutil  # noqa: PLC0415 - not before there is time for it

        shutil.rmtree(sys.argv[2], ignore_errors=True)


def serve(
    requests: BinaryIO,
    answers: BinaryIO,
    phonemize: Callable[[str, str, set[tuple[str, ...]] | None], list[list[str]]],
) -> None:
    """Answers each request in its turn."""
    while len(head := requests.read(LENGTHS.size)) == LENGTHS.size:
        length, size = LENGTHS.unpack(head)
        asked = json.loads(requests.read(length))["phonemize"]
        requests.read(size)
        clusters = {tuple(cluster) for cluster in asked["clusters"]} or None
        answer: dict[str, object]
        try:
            said = [phonemize(asked["voice"], text, clusters) for text in asked["texts"]]
            answer = {"phonemized": {"texts": said}}
        except Exception as error:  # an extension module's
            message = f"{type(error).__name__}: {error}"
            answer = {"failed": {"event": "error.noresource", "message": message}}
        header = json.dumps(answer).encode()
        answers.write(LENGTHS.pack(len(header), 0) + header)
        answers.flush()


if __name__ == "__main__":
    main()
