"""The default voice: libespeak-ng, through the wheel `espeakng_loader`, by ctypes.

The library is one big global state, so there is one of it in a process, behind one lock, and a
thread of its own works for it: C code runs without the GIL and the loop never waits.

It has faults, and this module is where they end:

- what a prompt leaves behind (an unclosed prosody, a rate, bent formants) would be heard in later
  prompts: every piece sets all parameters again, prosody tags are flat and always closed, and the
  voice is loaded anew after any;
- its flutter of pitch, roughness, echo and breath noise go on from prompt to prompt, so that a
  prompt never sounds the same twice: voices are loaded from files of ours, which are the library's
  own with these four turned off at the end (`STEADY`);
- `<break>` is scaled by the rate and knows no fractions of a second: pauses are made here, as
  samples;
- `<voice>`, `<say-as>`, `<desc>` and nesting go wrong in various ways: they never reach it. The
  only markup that does is `<prosody>` within a breath, and `<mark>` with names of ours.

Level: all of its voices speak at much the same level, so one fixed gain puts them at about -20 dBFS
active level, and what then comes near full scale (a prompt with `volume="x-loud"`) is bent and not
cut. A gain adapted to each prompt would make neighbouring prompts pump. The library itself is kept
6 dB down, for near full scale it turns its own level down, into the next prompt.
"""

from __future__ import annotations

import asyncio
import ctypes
import math
import shutil
import tempfile
import threading
import unicodedata
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from xml.sax.saxutils import escape

import espeakng_loader
import numpy as np
import numpy.typing as npt

from vxml_server.audio import Resampler
from vxml_server.events import VoiceXmlEvent
from vxml_server.tts.plan import Item, MarkPoint, Pause, Plan, Style, Text
from vxml_server.tts.speech import RATE, Mark, Speech, SpeechRequest
from vxml_server.tts.ssml import parse
from vxml_server.tts.words import normalise

# speak_lib.h
SYNCHRONOUS = 2
DO_NOT_EXIT = 0x8000
CHARS_UTF8 = 1
SSML = 0x10
EVENT_END_OF_LIST = 0
EVENT_MARK = 3
PARAMETER_RATE, PARAMETER_VOLUME, PARAMETER_PITCH, PARAMETER_RANGE = 1, 2, 3, 4
NORMAL_RATE = 175  # words a minute
NORMAL_VOLUME = 50
MAX_VOLUME = 100
NORMAL_PITCH = 50
NORMAL_RANGE = 50
# One step of the pitch parameter, measured: 25 steps up are a factor of 1.32.
PITCH_STEP = 0.0112

BUFFER_MS = 100  # a prompt can be abandoned after each
SEED = 1
FEMALE_VARIANT = "f2"
# What would carry state from one prompt to the next. A roughness of 8 is beyond the library's
# table, which is how none is had.
STEADY = ("flutter 0", "roughness 8", "echo 0 0", "breath 0 0 0 0 0 0 0 0")

GAIN_DB = 7.2
KNEE = 0.7  # of full scale: above it loudness is bent towards the ceiling
CEILING = 0.9  # ... which leaves room for the overshoot of the resampling filter
SILENCE = 30  # int16: below it is silence that may be trimmed
EDGE_SECONDS = 0.01  # ... but for this much
VOICE_CHANGE_PAUSE = 0.06

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
    """The prompt was abandoned while it was made."""


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
        self._variants = frozenset(path.name for path in (self._data / "voices" / "!v").iterdir())
        self._names: dict[str, str] = {}  # of our voice files, by what `voice()` gave
        self._loaded = ""

    def voice(self, lang: str, names: Sequence[str] = (), gender: str = "") -> str:
        """The voice for a language, as 'identifier' or 'identifier+variant'.

        Of `names` the first that is a variant (`f3`) or a language with one (`fr+f3`) counts, and
        unknown ones do not: SSML wants the best that there is. Raises `VoiceXmlEvent`
        `error.unsupported.language`.
        """
        for name in names:
            base, _, variant = name.rpartition("+")
            if variant in self._variants and (found := self._language(base or lang)):
                return f"{found}+{variant}"
        identifier = self._language(lang)
        if not identifier:
            raise VoiceXmlEvent("error.unsupported.language", f"there is no voice for {lang!r}")
        return f"{identifier}+{FEMALE_VARIANT}" if gender == "female" else identifier

    def speak(
        self, markup: str, voice: str, parameters: Parameters, cancelled: threading.Event
    ) -> Utterance:
        """Speaks markup by a voice that `voice()` named. Raises `Cancelled`."""
        data = markup.encode("utf-8", "replace")
        with self._lock:
            self._load(voice)
            self._chunks, self._marks, self._cancelled = [], [], cancelled
            self._set(parameters)
            self._lib.espeak_ng_SetRandSeed(SEED)
            status = self._lib.espeak_Synth(
                data, len(data) + 1, 0, 1, 0, CHARS_UTF8 | SSML, None, None
            )
            # A changed pitch bends the formants of the loaded voice, and they do not come back.
            if parameters != NORMAL or "<prosody" in markup or cancelled.is_set():
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
            if (self._data / "lang" / identifier).is_file():
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


@cache
def _worker() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="espeak")


class EspeakSynthesizer:
    """`Synthesizer` by libespeak-ng."""

    def __init__(self, *, gain_db: float = GAIN_DB) -> None:
        self._library = library()
        self._gain = 10 ** (gain_db / 20)
        self.identity = f"espeak-ng {self._library.version} {gain_db:+g} dB"

    async def synthesize(self, request: SpeechRequest) -> Speech:
        """As the protocol says; a cancelled call stops within one buffer of speech."""
        cancelled = threading.Event()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(_worker(), self._speech, request, cancelled)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    def _speech(self, request: SpeechRequest, cancelled: threading.Event) -> Speech:
        """All of it, on the worker's thread."""
        plan = parse(request)
        recording = _Recording()
        for breath in _breaths(plan):
            if cancelled.is_set():
                raise Cancelled
            if isinstance(breath, Pause):
                recording.pause(breath.seconds)
            else:
                self._speak(breath, recording, cancelled)
        return Speech(recording.pcm(), tuple(recording.marks), plan.warnings)

    def _speak(
        self, breath: Sequence[Text | MarkPoint], recording: _Recording, cancelled: threading.Event
    ) -> None:
        texts = [item for item in breath if isinstance(item, Text)]
        names = [item.name for item in breath if isinstance(item, MarkPoint)]
        spoken = [item.style for item in texts if _is_spoken(item.text)]
        if not spoken:
            recording.mark(names)
            return
        style = next((style for style in spoken if not style.silent), spoken[0])
        voice = self._library.voice(*style.voice)
        said = self._library.speak(_markup(breath, style), voice, _parameters(style), cancelled)
        start, end = 0, len(said.pcm)
        if not any(style.silent for style in spoken):  # what is silent is meant to take its time
            start, end = _spoken_part(said.pcm, self._library.rate)
        gain = 0.0 if style.silent else self._gain * 10 ** (style.gain_db / 20)
        floats = said.pcm[start:end].astype(np.float32) * np.float32(gain / 32768)
        resampler = Resampler(self._library.rate, RATE)
        pcm = np.concatenate((resampler.feed(_bend(floats)), resampler.finish()))
        places = dict(said.marks)
        ratio = RATE / self._library.rate
        # A mark that the library drops is at the end of what it was to follow.
        at = [
            min(max(0.0, (places.get(number, end) - start) * ratio), float(len(pcm)))
            for number in range(len(names))
        ]
        recording.speech(pcm, voice, list(zip(names, at, strict=True)))


class _Recording:
    """Samples and marks as they come."""

    def __init__(self) -> None:
        self.marks: list[Mark] = []
        self._parts: list[Samples] = []
        self._length = 0
        self._voice = ""  # of the speech directly before, '' after a pause

    def pause(self, seconds: float) -> None:
        self._append(np.zeros(round(seconds * RATE), np.int16))
        self._voice = ""

    def mark(self, names: Iterable[str]) -> None:
        self.marks += [Mark(name, self._length / RATE) for name in names]

    def speech(self, pcm: Samples, voice: str, marks: list[tuple[str, float]]) -> None:
        if self._voice and self._voice != voice:
            self.pause(VOICE_CHANGE_PAUSE)
        self.marks += [Mark(name, (self._length + place) / RATE) for name, place in marks]
        self._append(pcm)
        self._voice = voice

    def pcm(self) -> Samples:
        return np.concatenate(self._parts) if self._parts else np.zeros(0, np.int16)

    def _append(self, pcm: Samples) -> None:
        self._parts.append(pcm)
        self._length += len(pcm)


Breath = list[Text | MarkPoint]


def _breaths(plan: Plan) -> Iterable[Breath | Pause]:
    """Runs of one voice between pauses: what is spoken in one go."""
    breath: Breath = []
    voice: tuple[str, tuple[str, ...], str] | None = None
    for item in plan.items:
        if breath and _parts(item, voice):
            yield breath
            breath, voice = [], None
        if isinstance(item, Pause):
            yield item
            continue
        breath.append(item)
        if isinstance(item, Text):
            voice = item.style.voice
    if breath:
        yield breath


def _parts(item: Item, voice: tuple[str, tuple[str, ...], str] | None) -> bool:
    """Whether `item` ends a breath of `voice`."""
    if isinstance(item, Pause):
        return True
    return isinstance(item, Text) and voice is not None and item.style.voice != voice


def _is_spoken(text: str) -> bool:
    """Punctuation alone is not: a full stop left over after a break would be read out."""
    return any(unicodedata.category(character)[0] not in "PZC" for character in text)


def _parameters(style: Style, gain_db: float = 0.0) -> Parameters:
    """Of a style whose level is to be `gain_db` above normal."""
    pitch = NORMAL_PITCH + math.log(style.pitch) / PITCH_STEP
    volume = 0 if style.silent else round(NORMAL_VOLUME * 10 ** (gain_db / 20))
    return Parameters(
        rate=round(NORMAL_RATE * style.rate),
        volume=min(volume, MAX_VOLUME),
        pitch=min(max(0, round(pitch)), 99),
        pitch_range=min(max(0, round(NORMAL_RANGE * style.pitch_range)), 99),
    )


def _markup(breath: Sequence[Text | MarkPoint], base: Style) -> str:
    """The library's SSML: flat prosody where a style is not the base, marks by number.

    The base style's volume is no matter of the library's; others are relative to it.
    """
    parts: list[str] = []
    number = 0
    for item in breath:
        if isinstance(item, MarkPoint):
            parts.append(f'<mark name="{number}"/>')
            number += 1
            continue
        text = escape(normalise(item.text, item.style.lang))
        if item.style == base or not text.strip():
            parts.append(text)
        else:
            own = _parameters(item.style, item.style.gain_db - base.gain_db)
            # A rate is a share of the current one; the others are values of the parameter.
            rate = round(100 * item.style.rate / base.rate)
            parts.append(
                f'<prosody rate="{rate}%" volume="{own.volume}"'
                f' pitch="{own.pitch}" range="{own.pitch_range}">{text}</prosody>'
            )
    return "".join(parts)


def _spoken_part(pcm: Samples, rate: int) -> tuple[int, int]:
    """(start, end) of what is not silence at the ends, and a little more."""
    loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) > SILENCE)
    if not len(loud):
        return 0, len(pcm)
    edge = round(rate * EDGE_SECONDS)
    return max(0, int(loud[0]) - edge), min(len(pcm), int(loud[-1]) + 1 + edge)


def _bend(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Saturation with a soft knee: unchanged below it, never beyond the ceiling."""
    size = np.abs(samples)
    if not len(size) or float(size.max()) <= KNEE:
        return samples
    room = np.float32(CEILING - KNEE)
    bent = KNEE + room * np.tanh((size - np.float32(KNEE)) / room)
    curved: npt.NDArray[np.float32] = np.where(size > KNEE, np.sign(samples) * bent, samples)
    return curved.astype(np.float32)
