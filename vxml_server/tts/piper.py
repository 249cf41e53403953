"""Neural voices by piper: any voice file, an .onnx with its .json beside it.

Words become phonemes in a process of their own (`phonemizer`), and phonemes speech in threads,
`threads` sentences at once, each with `cores` cores; ONNX Runtime runs without the GIL. Piper
chooses the rate; pitch is done to the samples. It has no times of words, so that marks within a
sentence are estimated from the letters before them; at the ends they are exact.

Voices have a noise of their own: the same sentence is not the same samples twice.

The rule: what is needed for speech is bounded, whatever a document says. A network takes memory by
the length of what it says in one go, so that is bounded (`LONGEST`); and what a run took beyond
the first is given back at its end (`_Session`).
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import importlib.metadata
import importlib.resources
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from vxml_server.audio import to_int16
from vxml_server.clock import Clock
from vxml_server.events import VoiceXmlEvent
from vxml_server.settings import PiperSettings, PiperVoice
from vxml_server.tts.engine import Abilities, Offer, Spoken, Utterance, Voice, choose
from vxml_server.tts.phonemizer import PRONUNCIATION, Phonemizer
from vxml_server.tts.plan import Text

if TYPE_CHECKING:
    import onnxruntime
    import piper

PACKAGE = "package:"
SILENCE = Spoken(np.zeros(800, np.int16), 8000)
# Phonemes said in one go, at the normal rate: about 12 s, for which a network of "medium" size
# takes 22 MB each second.
LONGEST = 200
VOWEL_THRESHOLD = 0.8  # piper's own
BREATHS = frozenset(",;:.!?")  # phonemes after which a reader takes breath


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Loaded:
    voice: Voice
    model: piper.PiperVoice
    speaker: int | None
    digest: str
    vowels: Callable[[str], str] | None
    """What writes the vowels that a text of this language leaves out."""


class PiperEngine:
    """`Engine` by piper-tts."""

    name = "piper"
    abilities = Abilities(rate=True)

    def __init__(self, settings: PiperSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._loaded: dict[str, _Loaded] = {}
        self._voices: tuple[Voice, ...] = ()
        self._workers = ThreadPoolExecutor(settings.threads, thread_name_prefix="piper")
        self._phonemizer: Phonemizer | None = None
        self.identity = "piper"

    @property
    def pid(self) -> int | None:
        """Of the phonemizer's process, while there is one."""
        return self._phonemizer.pid if self._phonemizer else None

    @property
    def starts(self) -> int:
        """Processes of the phonemizer started so far."""
        return self._phonemizer.starts if self._phonemizer else 0

    async def start(self) -> None:
        """Loads the voice files: a second each. Raises `error.noresource` for one that is none."""
        if not self._settings.voices:
            raise VoiceXmlEvent("error.noresource", "piper has no voices: set [tts.piper] voices")
        try:
            version = importlib.metadata.version("piper-tts")
        except importlib.metadata.PackageNotFoundError:
            raise VoiceXmlEvent(
                "error.noresource", "piper-tts is not installed: pip install vxml-server[piper]"
            ) from None
        loop = asyncio.get_running_loop()
        for settings in self._settings.voices:
            loaded = await loop.run_in_executor(
                self._workers, _load, settings, self._settings.cores
            )
            if loaded.voice.name in self._loaded:
                raise VoiceXmlEvent(
                    "error.noresource", f"there are two piper voices {loaded.voice.name!r}"
                )
            self._loaded[loaded.voice.name] = loaded
        if any(_asks_espeak(loaded.model) for loaded in self._loaded.values()):
            self._phonemizer = Phonemizer(_folder(), self._clock)
            await self._phonemizer.start()
        self._voices = tuple(loaded.voice for loaded in self._loaded.values())
        voices = ",".join(f"{name}:{loaded.digest}" for name, loaded in self._loaded.items())
        self.identity = f"piper {version} {voices}"

    async def close(self) -> None:
        self._workers.shutdown(wait=False, cancel_futures=True)
        if self._phonemizer is not None:
            await self._phonemizer.close()

    async def voice(self, lang: str, names: tuple[str, ...], gender: str) -> Offer | None:
        return choose(self._voices, lang, names, gender)

    async def speak(self, utterance: Utterance, voice: str) -> Spoken:
        loaded = self._loaded[voice]
        sentences = await self._phonemes(loaded, words(utterance))
        rate = utterance.style.rate
        return await self._beside(partial(_speak, loaded, sentences, rate))

    async def _phonemes(self, loaded: _Loaded, text: str) -> list[list[str]]:
        """Of each sentence. Voices that do not ask espeak have phonemizers in Python."""
        model = loaded.model
        if self._phonemizer is None or not _asks_espeak(model):
            return await self._beside(partial(model.phonemize, text))
        parts = PRONUNCIATION.split(text)
        if (vowels := loaded.vowels) is not None:
            parts[::2] = await self._beside(lambda: [vowels(part) for part in parts[::2]])
        config = model.config
        return await self._phonemizer.phonemes(
            parts, config.espeak_voice, config.vowel_clusters or ()
        )

    async def _beside(self, work: Callable[[], T]) -> T:
        """What a worker makes of it; raises `error.noresource` for whatever libraries raise.

        A worker goes on to the end even if this is cancelled.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(self._workers, work)
        except Exception as error:  # whatever a model from elsewhere makes the libraries raise
            raise VoiceXmlEvent("error.noresource", f"{type(error).__name__}: {error}") from error


class _Session:
    """What piper asks of the session of a model.

    Its arena is faster than an allocation for each tensor, and grows with the longest sentence;
    each run ends with giving back what it had to add.
    """

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._options = importlib.import_module("onnxruntime").RunOptions()
        self._options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")

    def run(
        self, outputs: Sequence[str] | None, inputs: Mapping[str, npt.NDArray[np.generic]]
    ) -> list[npt.NDArray[np.float32]]:
        results: list[npt.NDArray[np.float32]] = self._session.run(outputs, inputs, self._options)
        return results


def _speak(loaded: _Loaded, sentences: Sequence[list[str]], rate: float) -> Spoken:
    """On a thread."""
    from piper import SynthesisConfig  # noqa: PLC0415 - an optional dependency

    model = loaded.model
    scale = model.config.length_scale / rate
    how = SynthesisConfig(speaker_id=loaded.speaker, length_scale=scale, normalize_audio=False)
    parts = []
    for sentence in sentences:
        for phonemes in in_pieces(sentence, max(1, round(LONGEST / scale))):
            audio = model.phoneme_ids_to_audio(model.phonemes_to_ids(phonemes), how)
            parts.append(np.atleast_1d(audio[0] if isinstance(audio, tuple) else audio))
    if not parts:
        return SILENCE  # letters that this language has no sound for
    pcm = to_int16(np.concatenate(parts).astype(np.float32))
    return Spoken(pcm, model.config.sample_rate)


def in_pieces(phonemes: list[str], most: int) -> Iterator[list[str]]:
    """Phonemes of a sentence in pieces of at most so many, and of a quarter of that at least, for
    crumbs do not sound as words do.

    Cut where a reader takes breath, or else between words, as near as may be to equal pieces.
    """
    while len(phonemes) > most:
        even = math.ceil(len(phonemes) / math.ceil(len(phonemes) / most))
        places = range(even // 2, min(most, len(phonemes) - even // 2))
        ends = [place for place in places if phonemes[place] in BREATHS] or [
            place for place in places if phonemes[place] == " "
        ]
        cut = min((end + 1 for end in ends), key=lambda end: abs(end - even), default=even)
        yield phonemes[:cut]
        phonemes = phonemes[cut:]
    yield phonemes


def _asks_espeak(model: piper.PiperVoice) -> bool:
    return model.config.phoneme_type.value == "espeak"


def _folder() -> Path:
    """Of the package piper."""
    return Path(str(importlib.resources.files("piper")))


def words(utterance: Utterance) -> str:
    """The words, with `[[...]]` around a pronunciation in IPA and nowhere else."""
    parts = []
    for item in utterance.items:
        if isinstance(item, Text):
            if item.phonemes is not None and item.phonemes.alphabet == "ipa":
                notation = item.phonemes.notation.replace("[", "").replace("]", "")
                parts.append(f" [[{notation}]] ")
            else:
                parts.append(item.text.replace("[", " ").replace("]", " "))
    return "".join(parts).strip()


def _load(settings: PiperVoice, cores: int) -> _Loaded:
    onnxruntime = importlib.import_module("onnxruntime")
    from piper import PiperVoice as Model  # noqa: PLC0415
    from piper.config import PiperConfig  # noqa: PLC0415

    file = voice_file(settings.file)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores
    options.inter_op_num_threads = 1
    # Sentences are of all lengths: a plan of memory for one is of no use to the others.
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    try:
        described = json.loads(Path(f"{file}.json").read_text("utf-8"))
        config = PiperConfig.from_dict(described)
        session = onnxruntime.InferenceSession(
            str(file), sess_options=options, providers=["CPUExecutionProvider"]
        )
        vowels = _vowels() if config.espeak_voice == "ar" else None
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()[:16]
    except OSError as error:
        raise VoiceXmlEvent("error.noresource", f"piper voice {file}: {error.strerror}") from error
    except Exception as error:  # a damaged file: each library raises its own
        raise VoiceXmlEvent(
            "error.noresource", f"piper voice {file}: {type(error).__name__}: {error}"
        ) from error
    speaker = config.speaker_id_map.get(settings.speaker) if settings.speaker else None
    if settings.speaker and speaker is None:
        known = ", ".join(sorted(config.speaker_id_map)) or "none"
        raise VoiceXmlEvent(
            "error.noresource",
            f"piper voice {file}: no speaker {settings.speaker!r}, it has {known}",
        )
    name = settings.name or "-".join(filter(None, (file.stem, settings.speaker)))
    return _Loaded(
        Voice(name, _language(described, config.espeak_voice), settings.gender),
        Model(session=_Session(session), config=config),
        speaker,
        digest if speaker is None else f"{digest}/{speaker}",
        vowels,
    )


def _vowels() -> Callable[[str], str]:
    """Arabic is written without most of its vowels, and espeak says only what is written."""
    from piper.tashkeel import TashkeelDiacritizer  # noqa: PLC0415

    return partial(TashkeelDiacritizer(), taskeen_threshold=VOWEL_THRESHOLD)


def _language(described: dict[str, object], espeak_voice: str) -> str:
    language = described.get("language")
    code = language.get("code") if isinstance(language, dict) else None
    return str(code or espeak_voice).replace("_", "-")


def voice_file(text: str) -> Path:
    """The .onnx file of a path, or of the Python package in `package:<name>` (the first it has)."""
    if not text.startswith(PACKAGE):
        return Path(text)
    package = text.removeprefix(PACKAGE)
    try:
        root = importlib.resources.files(package)
    except (ImportError, ValueError):
        raise VoiceXmlEvent("error.noresource", f"there is no package {package!r}") from None
    found = sorted(Path(str(root)).rglob("*.onnx"))
    if not found:
        raise VoiceXmlEvent("error.noresource", f"the package {package!r} has no .onnx file")
    return found[0]
