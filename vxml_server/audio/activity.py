"""Whether somebody speaks, 20 ms at a time.

Two witnesses have to agree: WebRTC's detector, which knows what speech looks like, and the level
over the noise of the line, which knows how loud this caller's surroundings are. Each alone is
fooled, the first by babble and by the beginning of any noise, the second by whatever is loud.

Of the noise two levels are followed. The floor is the quietest there is: it goes down at once and
up slowly, so that a talker's gaps keep it down. What stays equally loud for longer than any vowel
is noise as well: a ventilator that starts, a tone. The usual level is what is heard while nobody
speaks to us: voices in the background rise far over their own floor, but not over what they usually
are. What is heard first is taken for noise until something quieter comes. Once speech has begun the
floor alone counts, so that the quiet end of a word belongs to it. Clicks are shorter than
`ONSET_FRAMES` and are no speech.

The rule that must hold: `feed` costs a few microseconds, since it is called in the media thread.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import webrtcvad

from vxml_server.audio.level import SILENCE_DBFS

RATE = 8000
FRAME = 160
FRAME_SECONDS = 0.02
ONSET_FRAMES = 3
# Frames that have to be loud for speech that has begun to go on: one alone is a click.
_GOING_ON_FRAMES = 2
# How long speech may pause and still be taken up by a quieter sound than it began with: 500 ms.
_HOLD_FRAMES = 25

# By sensitivity 0, 0.5 and 1 (section 6.3.2): dB over the floor, dB over the usual level, and the
# quietest speech (dBFS).
_SENSITIVITIES = (0.0, 0.5, 1.0)
_OVER_FLOOR_DB = (16.0, 10.0, 5.0)
_OVER_USUAL_DB = (14.0, 9.0, 5.0)
_QUIETEST_DBFS = (-38.0, -48.0, -58.0)
# How much quieter speech may become once it has begun: against the floor, and the usual level.
_EASIER_DB = 3.0
_EASIER_USUAL_DB = 6.0

_LEAST_NOISE_DBFS = -75.0
# How fast the floor rises, in dB a frame: while it may be speech, and where it is certainly not.
_RISE_DB = 0.04
_FAST_RISE_DB = 0.4
# Which part of the way the usual level goes in a frame: up, up while there is speech, and down.
_UP, _UP_IN_SPEECH, _DOWN = 0.06, 0.002, 0.015
# What stays within so many dB for so many frames (3 s) is no speech.
_STEADY_DB = 3.0
_STEADY_FRAMES = 150
_FULL_SCALE_DB = 10 * math.log10(FRAME * 32768.0**2)


class SpeechActivity:
    """Follows one voice on one line.

    `sensitivity` is the property of VoiceXML 2.0 section 6.3.2, from 0 (deaf to all but loud
    speech) to 1; it may be changed at any time. What was learnt of the line's noise stays.
    """

    def __init__(self, sensitivity: float = 0.5) -> None:
        self._detector = webrtcvad.Vad()
        self._floor: float | None = None
        self._usual = SILENCE_DBFS
        self._loud = 0
        self._held = 0
        self._steady_level = SILENCE_DBFS
        self._steady = 0
        self.sensitivity = sensitivity

    @property
    def sensitivity(self) -> float:
        return self._sensitivity

    @sensitivity.setter
    def sensitivity(self, sensitivity: float) -> None:
        self._sensitivity = sensitivity = min(1.0, max(0.0, sensitivity))
        self._over_floor = float(np.interp(sensitivity, _SENSITIVITIES, _OVER_FLOOR_DB))
        self._over_usual = float(np.interp(sensitivity, _SENSITIVITIES, _OVER_USUAL_DB))
        self._quietest = float(np.interp(sensitivity, _SENSITIVITIES, _QUIETEST_DBFS))
        # The detector's modes go from 0, which takes nearly everything for speech, to 3.
        self._detector.set_mode(3 - min(3, int(sensitivity * 4)))

    @property
    def noise_dbfs(self) -> float:
        """The floor of the line's noise as far as it is known."""
        return SILENCE_DBFS if self._floor is None else self._floor

    def feed(self, frame: npt.NDArray[np.int16], floor_dbfs: float = SILENCE_DBFS) -> bool:
        """Whether there is speech in these 160 samples, the frames before taken into account.

        What is quieter than `floor_dbfs` is neither speech, whatever it sounds like, nor noise to
        be learnt: the echo of what we play.
        """
        wide = frame.astype(np.float32)
        power = float(wide @ wide)
        level = 10 * math.log10(power) - _FULL_SCALE_DB if power > 0 else SILENCE_DBFS
        sounds_like_speech = self._detector.is_speech(frame.tobytes(), RATE)
        if self._floor is None:
            self._floor = self._usual = max(level, _LEAST_NOISE_DBFS)
        least = max(self._floor + self._over_floor, self._quietest)
        usual = self._usual + self._over_usual
        needed = ONSET_FRAMES
        if self._held:
            least, usual = least - _EASIER_DB, usual - _EASIER_USUAL_DB
            needed = _GOING_ON_FRAMES
        is_loud = sounds_like_speech and level >= max(least, usual, floor_dbfs)
        self._loud = self._loud + 1 if is_loud else 0
        is_speech = self._loud >= needed
        self._held = _HOLD_FRAMES if is_speech else max(0, self._held - 1)
        if level >= floor_dbfs or level < self._floor:
            rise = _RISE_DB if sounds_like_speech else _FAST_RISE_DB
            self._floor = max(_LEAST_NOISE_DBFS, min(level, self._floor + rise))
            self._learn_usual(level)
            self._learn_steady(level)
        return is_speech

    def _learn_usual(self, level: float) -> None:
        up = _UP_IN_SPEECH if self._held else _UP
        way = level - self._usual
        self._usual = max(self.noise_dbfs, self._usual + way * (up if way > 0 else _DOWN))

    def _learn_steady(self, level: float) -> None:
        way = level - self._steady_level
        if abs(way) > _STEADY_DB:
            self._steady_level, self._steady = level, 0
            return
        self._steady_level += 0.1 * way
        self._steady += 1
        if self._steady >= _STEADY_FRAMES:
            self._floor = max(self.noise_dbfs, self._steady_level - 1.0)
            self._usual = max(self._usual, self._steady_level)
