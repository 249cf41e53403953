"""The C library libespeak-ng, by ctypes, from the wheel `espeakng_loader`.

The library is one big global state, so there is one `Library` in a process, behind one lock. C code
runs without the GIL: whoever calls `speak` waits, other threads do not.

What is said must not depend on what was said before, and the library does not keep that by itself:

- parameters stay as they were, so all are set for each utterance;
- a change of pitch bends the formants of the loaded voice, and they do not come back; and what it
  does depends on what the voice has said before: it is loaded anew before and after one;
- flutter of the pitch, roughness, echo and breath noise go on where they stopped: voices are loaded
  from files of ours, which are the library's own with these four turned off (`STEADY`);
- near full scale it turns its own level down, into the next utterance: `NORMAL_VOLUME` keeps it
  6 dB below its usual level.

Its buffers for names and paths are small and not checked: only short names of ours reach it.
"""

from __future__ import annotations

import ctypes
import shutil
import tempfile
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import espeakng_loader
import numpy as np
import numpy.typing as npt

from vxml_server.events import VoiceXmlEvent
from vxml_server.tts.engine import Offer

# speak_lib.h
SYNCHRONOUS = 2
DO_NOT_EXIT = 0x8000
CHARS_UTF8 = 1
SSML = 0x10
PHONEMES = 0x100  # mnemonics in the text, between [[ and ]]
EVENT_END_OF_LIST = 0
EVENT_MARK = 3
PARAMETER_RATE, PARAMETER_VOLUME, PARAMETER_PITCH, PARAMETER_RANGE = 1, 2, 3, 4
NORMAL_RATE = 175  # words a minute
NORMAL_VOLUME = 50
MAX_VOLUME = 100
NORMAL_PITCH = 50
NORMAL_RANGE = 50

BUFFER_MS = 100  # an utterance can be abandoned after each
SEED = 1
FEMALE_VARIANT = "f2"
CRASHING_VOICES = frozenset({"iro/chr"})  # with a wide range and a low pitch
LEAKING_VARIANTS = frozenset({"robosoft2"})  # heard in all that follows, whatever is loaded then
# What would carry state from one utterance to the next. A roughness of 8 is beyond the library's
# table, which is how none is had.
STEADY = ("flutter 0", "roughness 8", "echo 0 0", "breath 0 0 0 0 0 0 0 0")

Samples = npt.NDArray[np.int16]


class _EventId(ctypes.Union):
    _fields_ = (
        ("number", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("string", ctypes.c_char * 8),
    )


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


class _Voice(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class Cancelled(Exception):
    """The sentence was given up while it was made."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """The library's own, of one piece."""

    rate: int
    volume: int
    pitch: int
    pitch_range: int


NORMAL = Parameters(NORMAL_RATE, NORMAL_VOLUME, NORMAL_PITCH, NORMAL_RANGE)


@dataclass(frozen=True, slots=True)
class Utterance:
    """What the library said: int16 at its own rate, and (mark number, sample) pairs."""

    pcm: Samples
    marks: tuple[tuple[int, int], ...]


class Library:
    """The C library, loaded. All of its methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lib = ctypes.CDLL(espeakng_loader.get_library_path())
        self._lib.espeak_ng_SetRandSeed.argtypes = (ctypes.c_long,)
        self._lib.espeak_Info.restype = ctypes.c_char_p
        self._lib.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
        self._lib.espeak_TextToPhonemes.restype = ctypes.c_char_p
        self._data = Path(espeakng_loader.get_data_path())
        self._home = tempfile.TemporaryDirectory(prefix="vxml-server-espeak-")
        self._voice_files = prepare_home(self._data, Path(self._home.name))
        self.rate: int = self._lib.espeak_Initialize(
            SYNCHRONOUS, BUFFER_MS, self._home.name.encode(), DO_NOT_EXIT
        )
        if self.rate <= 0:
            raise VoiceXmlEvent("error.noresource", "libespeak-ng could not be initialised")
        self.version = str(self._lib.espeak_Info(None).decode())
        self._chunks: list[bytes] = []
        self._marks: list[tuple[int, int]] = []
        self._cancelled = threading.Event()
        self._callback = _CALLBACK(self._collect)  # kept: the library holds only the address
        self._lib.espeak_SetSynthCallback(self._callback)
        self._by_language = self._list_languages()
        variants = (self._data / "voices" / "!v").iterdir()
        self._variants = frozenset(path.name for path in variants) - LEAKING_VARIANTS
        self._names: dict[str, str] = {}  # of our voice files, by what `offer()` gave
        self._loaded = ""

    @property
    def languages(self) -> list[str]:
        """Tags of those that have a voice, in lower case."""
        return sorted(self._by_language)

    @property
    def variants(self) -> list[str]:
        """What may stand after the `+` of a voice."""
        return sorted(self._variants)

    def offer(self, lang: str, names: Sequence[str] = (), gender: str = "") -> Offer | None:
        """The voice for a language, as 'identifier' or 'identifier+variant'; None without one.

        Of `names` the first that is a variant (`f3`) or a language with one (`fr+f3`) counts, and
        unknown ones do not: SSML wants the best that there is.
        """
        for place, name in enumerate(names):
            base, _, variant = name.rpartition("+")
            if variant in self._variants and (found := self._language(base or lang)):
                return Offer(f"{found}+{variant}", place)
        identifier = self._language(lang)
        if not identifier:
            return None
        return Offer(f"{identifier}+{FEMALE_VARIANT}" if gender == "female" else identifier)

    def speak(
        self, markup: str, voice: str, parameters: Parameters, cancelled: threading.Event
    ) -> Utterance:
        """Speaks markup by a voice that `offer()` named. Raises `Cancelled`."""
        data = markup.encode("utf-8", "replace")
        is_steady = parameters == NORMAL and "<prosody" not in markup
        with self._lock:
            if not is_steady:
                self._loaded = ""
            self._load(voice)
            self._chunks, self._marks, self._cancelled = [], [], cancelled
            self._set(parameters)
            self._lib.espeak_ng_SetRandSeed(SEED)
            status = self._lib.espeak_Synth(
                data, len(data) + 1, 0, 1, 0, CHARS_UTF8 | SSML | PHONEMES, None, None
            )
            if not is_steady or cancelled.is_set():
                self._loaded = ""
            chunks, marks = self._chunks, self._marks
            self._chunks, self._marks = [], []
        if cancelled.is_set():
            raise Cancelled
        if status != 0:
            raise VoiceXmlEvent("error.noresource", f"libespeak-ng failed with status {status}")
        return Utterance(np.frombuffer(b"".join(chunks), np.int16), tuple(marks))

    def phonemes(self, text: str, voice: str) -> str:
        """Plain text as the voice pronounces it, in IPA."""
        with self._lock:
            self._load(voice)
            place = ctypes.c_char_p(text.encode("utf-8", "replace"))
            parts = []
            while place.value:
                parts.append(
                    self._lib.espeak_TextToPhonemes(ctypes.byref(place), CHARS_UTF8, 2) or b""
                )
        return " ".join(part.decode() for part in parts)

    def _collect(
        self,
        samples: ctypes._Pointer[ctypes.c_short],
        count: int,
        events: ctypes._Pointer[_Event],
    ) -> int:
        """The library's callback: 0 to go on, 1 to stop."""
        if samples and count > 0:
            self._chunks.append(ctypes.string_at(samples, count * 2))
        place = 0
        while (event := events[place]).type != EVENT_END_OF_LIST:
            if event.type == EVENT_MARK and event.id.name:
                self._marks.append((int(event.id.name), event.sample))
            place += 1
        return int(self._cancelled.is_set())

    def _set(self, parameters: Parameters) -> None:
        for number, value in (
            (PARAMETER_RATE, parameters.rate),
            (PARAMETER_VOLUME, parameters.volume),
            (PARAMETER_PITCH, parameters.pitch),
            (PARAMETER_RANGE, parameters.pitch_range),
        ):
            self._lib.espeak_SetParameter(number, value, 0)

    def _load(self, voice: str) -> None:
        """Makes `voice` the current one, from a file of ours."""
        if voice == self._loaded:
            return
        name = self._names.get(voice) or self._write(voice)
        if self._lib.espeak_SetVoiceByName(name.encode()) != 0:
            raise VoiceXmlEvent("error.noresource", f"libespeak-ng does not load {voice}")
        self._loaded = voice

    def _write(self, voice: str) -> str:
        """The file of a voice; its name is short because the library's buffers are."""
        identifier, _, variant = voice.partition("+")
        lines = (self._data / "lang" / identifier).read_text("utf-8", "replace").splitlines()
        if variant:
            file = self._data / "voices" / "!v" / variant
            own = file.read_text("utf-8", "replace").splitlines()
            lines += [line for line in own if line.split()[:1] not in (["name"], ["language"])]
        name = f"v{len(self._names)}"
        (self._voice_files / name).write_text("\n".join([*lines, *STEADY, ""]), "utf-8")
        self._names[voice] = name
        return name

    def _list_languages(self) -> dict[str, str]:
        """Language tag, in lower case, to the identifier of its best voice."""
        best: dict[str, tuple[int, str]] = {}
        voices = self._lib.espeak_ListVoices(None)
        place = 0
        while voices[place]:
            voice = voices[place].contents
            identifier = voice.identifier.decode()
            if identifier not in CRASHING_VOICES and _has_dictionary(self._data, identifier):
                for priority, language in _languages(voice.languages):
                    best[language] = min(
                        best.get(language, (256, "")), (priority, identifier), key=lambda b: b[0]
                    )
            place += 1
        return {language: identifier for language, (_, identifier) in best.items()}

    def _language(self, lang: str) -> str | None:
        """The identifier for a BCP 47 tag, less and less exactly: fr-CA, then fr."""
        tag = lang.strip().lower().replace("_", "-")
        while tag:
            if tag in self._by_language:
                return self._by_language[tag]
            tag = tag.rpartition("-")[0]
        return None


def prepare_home(data: Path, home: Path) -> Path:
    """A data folder like the library's but for its voices, where ours are put: their folder."""
    ours = home / "espeak-ng-data"
    (ours / "voices").mkdir(parents=True)
    for entry in data.iterdir():
        if entry.name == "voices":
            continue
        try:
            (ours / entry.name).symlink_to(entry)
        except OSError:  # not allowed to, as on Windows
            copy = shutil.copytree if entry.is_dir() else shutil.copyfile
            copy(entry, ours / entry.name)
    return ours / "voices"


def _has_dictionary(data: Path, identifier: str) -> bool:
    """Whether a language is there as a whole: the wheel lists some without their dictionaries."""
    file = data / "lang" / identifier
    if not file.is_file():
        return False
    lines = [line.split() for line in file.read_text("utf-8", "replace").splitlines()]
    values = {line[0]: line[1] for line in reversed(lines) if len(line) > 1}
    name = values.get("dictionary") or values.get("language", "").partition("-")[0]
    return (data / f"{name}_dict").is_file()


def _languages(address: int) -> Iterable[tuple[int, str]]:
    """(priority, tag) pairs: a byte and a C string each, a zero byte at the end."""
    while priority := ctypes.string_at(address, 1)[0]:
        tag = ctypes.string_at(address + 1)
        yield priority, tag.decode().lower()
        address += len(tag) + 2


@cache
def library() -> Library:
    """The one library of this process, loaded at the first call."""
    return Library()
