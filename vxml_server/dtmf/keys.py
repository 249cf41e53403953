"""The sixteen keys of ITU-T Q.23, their frequencies, and the level they are measured in."""

from __future__ import annotations

RATE = 8000

ROWS = (697.0, 770.0, 852.0, 941.0)  # Hz, the low group
COLUMNS = (1209.0, 1336.0, 1477.0, 1633.0)  # Hz, the high group
KEYS = "123A456B789C*0#D"  # row by row

# A sine that just fills G.711's mu-law is +3.17 dBm0 (G.711 table 2); A-law's +3.14 is as good.
OVERLOAD_DBM0 = 3.17
FULL_SCALE = 32768.0


def frequencies(key: str) -> tuple[float, float]:
    """(low, high) in Hz of one of `KEYS`."""
    row, column = divmod(KEYS.index(key), 4)
    return ROWS[row], COLUMNS[column]


def amplitude(level_dbm0: float) -> float:
    """Peak value, in int16 units, of a sine of that level."""
    return float(FULL_SCALE * 10 ** ((level_dbm0 - OVERLOAD_DBM0) / 20))
