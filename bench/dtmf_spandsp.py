"""libspandsp's DTMF receiver through ctypes: what `bench/dtmf.py` compares with.

It is the receiver of FreeSWITCH, with its default settings. Debian has it as libspandsp2.
"""

from __future__ import annotations

import ctypes
import ctypes.util

import numpy as np
import numpy.typing as npt

FRAME = 160
NAMES = ("libspandsp.so.2", "libspandsp.so.3")
MOST = 128  # digits that it keeps


class Missing(Exception):
    """There is no libspandsp on this machine."""


def load() -> ctypes.CDLL:
    """The library with the types of the functions used here. Raises `Missing`."""
    for name in (*NAMES, ctypes.util.find_library("spandsp")):
        try:
            library = ctypes.CDLL(name) if name else None
        except OSError:
            continue
        if library is None:
            continue
        library.dtmf_rx_init.restype = ctypes.c_void_p
        library.dtmf_rx_init.argtypes = [ctypes.c_void_p] * 3
        library.dtmf_rx_free.argtypes = [ctypes.c_void_p]
        library.dtmf_rx.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int]
        library.dtmf_rx_fillin.argtypes = [ctypes.c_void_p, ctypes.c_int]
        library.dtmf_rx_get.restype = ctypes.c_size_t
        library.dtmf_rx_get.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
        return library
    raise Missing("libspandsp is not installed (Debian: apt-get install libspandsp2)")


class Bank:
    """One receiver a channel, fed by C calls alone."""

    def __init__(self, library: ctypes.CDLL, n: int) -> None:
        self._library = library
        self._states = [library.dtmf_rx_init(None, None, None) for _ in range(n)]
        self._buffer = ctypes.create_string_buffer(MOST + 1)

    def close(self) -> None:
        for state in self._states:
            self._library.dtmf_rx_free(state)
        self._states = []

    def listen(
        self, samples: npt.NDArray[np.int16], lost: npt.NDArray[np.bool_] | None
    ) -> list[str]:
        """The keys in int16 [n, frames * 160], fed by frames; `lost` frames are reported so."""
        return [
            self._listen(row, state, None if lost is None else lost[number])
            for number, (row, state) in enumerate(zip(samples, self._states, strict=True))
        ]

    def _listen(
        self, row: npt.NDArray[np.int16], state: int, lost: npt.NDArray[np.bool_] | None
    ) -> str:
        heard = ""
        address = row.ctypes.data
        for frame in range(len(row) // FRAME):
            if lost is not None and lost[frame]:
                self._library.dtmf_rx_fillin(state, FRAME)
            else:
                self._library.dtmf_rx(state, address + 2 * FRAME * frame, FRAME)
            heard += self._get(state)
        return heard

    def feed_rows(self, samples: npt.NDArray[np.int16]) -> None:
        """A row to each channel in one call each: for timing, where ctypes must not count."""
        address, length = samples.ctypes.data, samples.shape[1]
        for number, state in enumerate(self._states):
            self._library.dtmf_rx(state, address + 2 * length * number, length)

    def drain(self) -> None:
        for state in self._states:
            self._get(state)

    def _get(self, state: int) -> str:
        taken = self._library.dtmf_rx_get(state, self._buffer, MOST)
        return self._buffer.raw[:taken].decode("ascii")
