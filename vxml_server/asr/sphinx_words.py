"""How English words are pronounced, in the phones of PocketSphinx's model (ARPAbet).

First the dictionary of the wheel, which is CMU's, then eSpeak NG, which reads anything aloud:
names, numbers, what an author made up. eSpeak is one global state per process, so `Pronunciations`
belongs into a process that does not speak: the child in which the recogniser runs.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import espeakng_loader
import pocketsphinx

MAX_PRONUNCIATIONS = 4
MAX_WORD = 80
"""Characters of a word that are read aloud."""
MAX_PHONES = 60

_SYNCHRONOUS, _DO_NOT_EXIT = 2, 0x8000
_UTF8, _IPA, _SEPARATOR = 1, 0x02, "_"

# The International Phonetic Alphabet as eSpeak's American English writes it.
_ARPABET = {
    "ɑː": "AA", "ɑ": "AA", "a": "AA", "æ": "AE", "ʌ": "AH", "ə": "AH", "ɐ": "AH", "ᵻ": "IH",
    "ɔ": "AO", "ɔː": "AO", "oː": "AO", "aʊ": "AW", "aɪ": "AY", "ɛ": "EH", "e": "EH", "ɚ": "ER",
    "ɜː": "ER", "ɜ": "ER", "eɪ": "EY", "ɪ": "IH", "i": "IY", "iː": "IY", "oʊ": "OW", "o": "OW",
    "ɔɪ": "OY", "ʊ": "UH", "u": "UW", "uː": "UW", "ɑːɹ": "AA R", "ɔːɹ": "AO R", "oːɹ": "AO R",
    "ɛɹ": "EH R", "ɪɹ": "IH R", "ʊɹ": "UH R", "iə": "IY AH", "aɪɚ": "AY ER", "aɪə": "AY AH",
    "əl": "AH L", "n̩": "AH N", "l̩": "AH L", "m̩": "AH M",
    "b": "B", "tʃ": "CH", "d": "D", "ð": "DH", "f": "F", "ɡ": "G", "h": "HH", "dʒ": "JH", "k": "K",
    "l": "L", "ɫ": "L", "m": "M", "n": "N", "ŋ": "NG", "p": "P", "ɹ": "R", "r": "R", "s": "S",
    "ʃ": "SH", "t": "T", "ɾ": "T", "ʔ": "T", "θ": "TH", "v": "V", "w": "W", "j": "Y", "z": "Z",
    "ʒ": "ZH", "x": "K", "ç": "HH", "ɬ": "L", "ɲ": "N Y", "ø": "ER", "y": "UW",
}  # fmt: skip


class Pronunciations:
    """Words to phones; the dictionary is read when the first word is asked for."""

    def __init__(self) -> None:
        self._dictionary: dict[str, list[str]] = {}
        self._reader: _Reader | None = None

    def of(self, word: str) -> tuple[str, ...]:
        """Each pronunciation as phones with spaces between; none for what nobody could say."""
        if not self._dictionary:
            self._dictionary = _dictionary()
        plain = word.strip().lower()
        found = self._dictionary.get(plain) or self._dictionary.get(plain.strip("'\".,;:!?()"))
        if found:
            return tuple(found[:MAX_PRONUNCIATIONS])
        if self._reader is None:
            self._reader = _Reader()
        spoken = self._reader.phones(plain[:MAX_WORD])
        return (spoken,) if spoken else ()


def _dictionary() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    path = Path(pocketsphinx.get_model_path("en-us/cmudict-en-us.dict"))
    for line in path.read_text("utf-8").splitlines():
        word, _, phones = line.partition(" ")
        found.setdefault(re.sub(r"\(\d+\)$", "", word), []).append(phones)
    return found


def arpabet(ipa: str) -> str:
    """Phones of the model for phones of eSpeak, which are separated by `_` or space.

    What has no counterpart is left out, and so are stress and length where they make none.
    """
    phones: list[str] = []
    for part in re.split(r"[_\s]+", re.sub("[ˈˌ]", "", ipa)):
        phones += _phones(part)
    return " ".join(phones[:MAX_PHONES])


def _phones(part: str) -> Iterator[str]:
    while part:
        for length in range(min(3, len(part)), 0, -1):
            if known := _ARPABET.get(part[:length]):
                yield from known.split()
                part = part[length:]
                break
        else:
            part = part[1:]


class _Reader:
    """eSpeak NG, asked only what it would say."""

    def __init__(self) -> None:
        self._lib = ctypes.CDLL(espeakng_loader.get_library_path())
        data = str(espeakng_loader.get_data_path()).encode()
        self._works = self._lib.espeak_Initialize(_SYNCHRONOUS, 0, data, _DO_NOT_EXIT) > 0
        self._lib.espeak_SetVoiceByName(b"en-us")
        self._lib.espeak_TextToPhonemes.restype = ctypes.c_char_p
        pointer = ctypes.POINTER(ctypes.c_char_p)
        self._lib.espeak_TextToPhonemes.argtypes = (pointer, ctypes.c_int, ctypes.c_int)
        self.phones = lru_cache(maxsize=20_000)(self._phones)

    def _phones(self, text: str) -> str:
        # Only what is written: its commands for other voices and phonemes are not for authors.
        words = re.sub(r"[^\w'.,+&%$€£@ -]", " ", text).replace("_", " ")
        if not self._works or not words.strip():
            return ""
        at = ctypes.c_char_p(words.encode())
        found: list[str] = []
        while at.value is not None and len(found) < MAX_WORD:
            mode = _IPA | ord(_SEPARATOR) << 8
            heard = self._lib.espeak_TextToPhonemes(ctypes.byref(at), _UTF8, mode)
            found.append((heard or b"").decode("utf-8", "replace"))
        return arpabet(" ".join(found))
