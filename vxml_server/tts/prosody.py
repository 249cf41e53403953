"""Values of `<prosody>` and `<emphasis>` (SSML 1.0 sections 3.2.2 and 3.2.4) as changes of a style.

All of them are hints to a processor, which is to do its best: what a voice cannot do is clipped to
what it can (`*_LIMITS`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from vxml_server.tts.plan import Item, Pause, Style, Text

RATES = {
    "x-slow": 0.5,
    "slow": 0.75,
    "medium": 1.0,
    "default": 1.0,
    "fast": 1.35,
    "x-fast": 1.75,
}
PITCHES = {
    "x-low": 0.75,
    "low": 0.87,
    "medium": 1.0,
    "default": 1.0,
    "high": 1.15,
    "x-high": 1.35,
}
RANGES = {"x-low": 0.25, "low": 0.6, "medium": 1.0, "default": 1.0, "high": 1.4, "x-high": 1.8}
GAINS = {"x-soft": -12.0, "soft": -6.0, "medium": 0.0, "default": 0.0, "loud": 3.0, "x-loud": 6.0}
# Emphasis as what a reader does: slower, higher, louder, or the contrary.
EMPHASIS = {
    "strong": (0.88, 1.12, 3.0),
    "moderate": (0.94, 1.06, 1.5),
    "none": (1.0, 1.0, 0.0),
    "reduced": (1.06, 0.96, -2.0),
}
RATE_LIMITS = (0.3, 3.0)
PITCH_LIMITS = (0.5, 2.0)
RANGE_LIMITS = (0.0, 2.0)
GAIN_LIMITS = (-40.0, 6.0)
# A pitch in hertz says nothing about the voice it is for; these are what voices are by themselves.
NORMAL_HERTZ = {"female": 190.0}
DEFAULT_HERTZ = 105.0

# Characters a second of an ordinary voice, by which the time of a text is foreseen (espeak says 24
# of French and 18 of English).
NORMAL_PACE = 20.0
MAX_CONTOUR = 32  # targets

_NUMBER = r"(?:\d{1,12}(?:\.\d{0,12})?|\.\d{1,12})"
_SIGNED = re.compile(rf"([+-]?)({_NUMBER})(%|st|Hz|dB)?", re.IGNORECASE | re.ASCII)
_TIME = re.compile(rf"\+?({_NUMBER})(ms|s)", re.IGNORECASE | re.ASCII)
_TARGET = re.compile(r"\(\s*([+-]?[\d.]{1,12})%\s*,\s*([^\s()]{1,24})\s*\)", re.ASCII)


def changed(style: Style, attributes: Mapping[str, str]) -> tuple[Style, list[str]]:
    """The style within a `<prosody>`, and the names of its attributes whose values are none."""
    hertz = NORMAL_HERTZ.get(style.gender, DEFAULT_HERTZ)
    changes: dict[str, Callable[[Style, str], Style | None]] = {
        "rate": _with_rate,
        "pitch": lambda style, value: _with_pitch(style, value, hertz),
        "range": lambda style, value: _with_range(style, value, hertz),
        "volume": _with_volume,
    }
    wrong = []
    for attribute, change in changes.items():
        value = attributes.get(attribute, "").strip()
        result = change(style, value) if value else style
        if result is None:
            wrong.append(attribute)
        else:
            style = result
    return style, wrong


def emphasised(style: Style, level: str) -> Style | None:
    """None for a level that is none."""
    if level not in EMPHASIS:
        return None
    rate, pitch, gain = EMPHASIS[level]
    return replace(
        style,
        rate=_clip(style.rate * rate, RATE_LIMITS),
        pitch=_clip(style.pitch * pitch, PITCH_LIMITS),
        gain_db=_clip(style.gain_db + gain, GAIN_LIMITS),
    )


def contour(value: str, style: Style) -> tuple[tuple[float, float], ...] | None:
    """'(0%,+20Hz) (50%,high)' as (place from 0 to 1, factor of the pitch of `style`), by place.

    None when there is no target in it, or something that is none.
    """
    if len(value) > 60 * MAX_CONTOUR or _TARGET.sub("", value).strip():
        return None
    hertz = NORMAL_HERTZ.get(style.gender, DEFAULT_HERTZ)
    targets: dict[float, float] = {}
    for match in _TARGET.finditer(value):
        pitched = _with_pitch(style, match[2], hertz)
        place = _number(match[1])
        if pitched is None or place is None:
            return None
        if 0 <= place <= 100:  # what is outside of the text is left out, says the recommendation
            targets[place / 100] = pitched.pitch / style.pitch
    return tuple(sorted(targets.items())[:MAX_CONTOUR]) or None


def along(items: Sequence[Item], targets: Sequence[tuple[float, float]]) -> list[Item]:
    """The items with the pitch of each of their words as the contour has it at its middle."""
    total = sum(len(item.text) for item in items if isinstance(item, Text)) or 1
    places = [place for place, _ in targets]
    factors = [factor for _, factor in targets]
    bent: list[Item] = []
    before = 0
    for item in items:
        if not isinstance(item, Text):
            bent.append(item)
            continue
        for piece in re.findall(r"\s*\S+\s*", item.text) if item.is_plain else [item.text]:
            middle = (before + len(piece) / 2) / total
            factor = round(float(np.interp(middle, places, factors)), 2)
            before += len(piece)
            style = replace(item.style, pitch=_clip(item.style.pitch * factor, PITCH_LIMITS))
            last = bent[-1] if bent else None
            if isinstance(last, Text) and last.is_plain and item.is_plain and last.style == style:
                bent[-1] = replace(last, text=last.text + piece)
            else:
                bent.append(replace(item, text=piece, style=style))
    return bent


def within(items: Sequence[Item], time: float) -> list[Item]:
    """The items at the rate at which they take that time, as far as it can be foreseen.

    Pauses keep theirs.
    """
    texts = [item for item in items if isinstance(item, Text)]
    spoken = sum(len(item.text.strip()) / (NORMAL_PACE * item.style.rate) for item in texts)
    paused = sum(item.seconds for item in items if isinstance(item, Pause))
    factor = spoken / max(time - paused, 0.05)
    return [
        replace(item, style=replace(item.style, rate=_clip(item.style.rate * factor, RATE_LIMITS)))
        if isinstance(item, Text)
        else item
        for item in items
    ]


def seconds(time: str) -> float | None:
    """A time designation of CSS2 in seconds."""
    if not (match := _TIME.fullmatch(time)):
        return None
    return float(match[1]) / (1000 if match[2].lower() == "ms" else 1)


def _clip(value: float, limits: tuple[float, float]) -> float:
    return min(max(value, limits[0]), limits[1])


def _relative(value: str, current: float) -> float | None:
    """`current` changed by '+10%', '-2st'; None when it is no such change."""
    match = _SIGNED.fullmatch(value)
    if not match or not match[1]:
        return None
    amount = float(match[1] + match[2])
    unit = (match[3] or "").lower()
    if unit == "%":
        return current * (1 + amount / 100)
    if unit == "st":
        return float(current * 2 ** (_clip(amount, (-48, 48)) / 12))
    return None


def _with_rate(style: Style, value: str) -> Style | None:
    """Section 3.2.4: a label, a multiplier of the default, or a change of the current rate."""
    rate = RATES.get(value)
    match = _SIGNED.fullmatch(value)
    if rate is None and match and not match[1] and match[3] in {None, "%"}:
        rate = float(match[2]) / (100 if match[3] else 1)
    if rate is None:
        rate = _relative(value, style.rate)
    return None if rate is None else replace(style, rate=_clip(rate, RATE_LIMITS))


def _with_pitch(style: Style, value: str, hertz: float) -> Style | None:
    pitch = PITCHES.get(value)
    match = _SIGNED.fullmatch(value)
    if pitch is None and match and (match[3] or "").lower() == "hz":
        amount = float(match[1] + match[2]) / hertz
        pitch = style.pitch + amount if match[1] else amount
    if pitch is None:
        pitch = _relative(value, style.pitch)
    return None if pitch is None else replace(style, pitch=_clip(pitch, PITCH_LIMITS))


def _with_range(style: Style, value: str, hertz: float) -> Style | None:
    """A label, a change, or hertz: an ordinary voice moves within half of its pitch."""
    width = RANGES.get(value)
    match = _SIGNED.fullmatch(value)
    if width is None and match and (match[3] or "").lower() == "hz":
        amount = float(match[1] + match[2]) / (hertz / 2)
        width = style.pitch_range + amount if match[1] else amount
    if width is None:
        width = _relative(value, style.pitch_range)
    return None if width is None else replace(style, pitch_range=_clip(width, RANGE_LIMITS))


def _with_volume(style: Style, value: str) -> Style | None:
    """A label; 0 to 100 of the normal amplitude, or a change of it; or decibels (SSML 1.1)."""
    if value == "silent":
        return replace(style, silent=True)
    gain = GAINS.get(value)
    match = _SIGNED.fullmatch(value)
    if gain is None and match:
        unit = (match[3] or "").lower()
        amount = float(match[1] + match[2])
        if unit == "db":
            gain = style.gain_db + amount
        elif unit in {"", "%"}:
            percent = amount + 100 * 10 ** (style.gain_db / 20) if match[1] else amount
            if percent <= 0:
                return replace(style, silent=True)
            gain = _decibels(percent / 100)
    if gain is None:
        return None
    return replace(style, gain_db=_clip(gain, GAIN_LIMITS), silent=False)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _decibels(factor: float) -> float:
    return 20 * math.log10(factor)
