"""Neural voices by piper: any voice file, an .onnx with its .json beside it.

Sentences are spoken in threads, `threads` at once, each with `cores` cores; ONNX Runtime runs
without the GIL. Piper chooses the rate; pitch is done to the samples. It has no times of words, so
that marks within a sentence are estimated from the letters before them; at the ends they are exact.

Voices have a noise of their own: the same sentence is not the same samples twice.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import importlib.metadata
import importlib.resources
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vxml_server.audio import to_int16
from vxml_server.events import VoiceXmlEvent
from vxml_server.settings import PiperSettings, PiperVoice
from vxml_server.tts.engine import Abilities, Offer, Spoken, Utterance, Voice, choose
from vxml_server.tts.plan import Text

if TYPE_CHECKING:
    import piper

PACKAGE = "package:"
SILENCE = Spoken(np.zeros(800, np.int16), 8000)


@dataclass(frozen=True, slots=True)
class _Loaded:
    voice: Voice
    model: piper.PiperVoice
    speaker: int | None
    digest: str


class PiperEngine:
    """`Engine` by piper-tts."""

    name = "piper"
    abilities = Abilities(rate=True)

    def __init__(self, settings: PiperSettings) -> None:
        self._settings = settings
        self._loaded: dict[str, _Loaded] = {}
        self._voices: tuple[Voice, ...] = ()
        self._workers = ThreadPoolExecutor(settings.threads, thread_name_prefix="piper")
        self.identity = "piper"

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
        self._voices = tuple(loaded.voice for loaded in self._loaded.values())
        voices = ",".join(f"{name}:{loaded.digest}" for name, loaded in self._loaded.items())
        self.identity = f"piper {version} {voices}"

    async def close(self) -> None:
        self._workers.shutdown(wait=False, cancel_futures=True)

    async def voice(self, lang: str, names: tuple[str, ...], gender: str) -> Offer | None:
        return choose(self._voices, lang, names, gender)

    async def speak(self, utterance: Utterance, voice: str) -> Spoken:
        loaded = self._loaded[voice]
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._workers, partial(_speak, loaded, utterance))


def _speak(loaded: _Loaded, utterance: Utterance) -> Spoken:
    """On a thread; runs to the end of the sentence even if it is cancelled."""
    from piper import SynthesisConfig  # noqa: PLC0415 - an optional dependency

    model = loaded.model
    how = SynthesisConfig(
        speaker_id=loaded.speaker,
        length_scale=model.config.length_scale / utterance.style.rate,
        normalize_audio=False,
    )
    try:
        parts = [chunk.audio_float_array for chunk in model.synthesize(words(utterance), how)]
    except Exception as error:  # whatever a model from elsewhere makes the libraries raise
        raise VoiceXmlEvent("error.noresource", f"{type(error).__name__}: {error}") from error
    if not parts:
        return SILENCE  # letters that this language has no sound for
    pcm = to_int16(np.concatenate(parts).astype(np.float32))
    return Spoken(pcm, model.config.sample_rate)


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
    # What it keeps for sentences as long as the longest so far is of no use to the others.
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    try:
        described = json.loads(Path(f"{file}.json").read_text("utf-8"))
        config = PiperConfig.from_dict(described)
        session = onnxruntime.InferenceSession(
            str(file), sess_options=options, providers=["CPUExecutionProvider"]
        )
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
        Model(session=session, config=config),
        speaker,
        digest if speaker is None else f"{digest}/{speaker}",
    )


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
