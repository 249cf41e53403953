"""The acoustic model that comes with PocketSphinx, made fit for a telephone line.

The model is of speech at 16 kHz: 13 cepstra of 25 mel bands from 130 to 6800 Hz, of which a
telephone carries the lower 19. Stretching 8 kHz audio to 16 kHz leaves the other six bands empty,
which no vowel of the model looks like. Instead the model is bent: cepstra are a linear map of log
mel energies, so a Gaussian over 13 cepstra of 25 bands has its counterpart over 10 cepstra of 19
bands, exactly but for the detail that 13 of 25 cepstra never held. Nothing is trained, and nothing
has to be resampled. (Real prompts at 8 kHz, seven small vocabularies, in all 129 words: 101 right
at 16 kHz, 120 so.)

`LINE` must agree with the front end (`sphinx_features`), which computes those cepstra.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pocketsphinx

LIFTER = 22
_MODEL_BANDS, _MODEL_CEPSTRA = 25, 13
_MODEL_LOWEST, _MODEL_HIGHEST = 130.0, 6800.0  # Hz

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Band:
    """The part of the model's mel bands that is used, and the cepstra that are made of it."""

    bands: int
    cepstra: int


LINE = Band(bands=19, cepstra=10)
"""The bands below 3.8 kHz. More cepstra than 13 * 19 / 25 would be detail the model has not got."""

_MAGIC = 0x11223344  # in front of the numbers of a Sphinx 3 parameter file
_MEANS, _VARIANCES, _FEATURES = "means", "variances", "feat.params"


def band_edges() -> Matrix:
    """The corners of the model's triangular mel filters in Hz: filter i is i, i + 1, i + 2."""

    def mel(hertz: float) -> float:
        return float(2595 * np.log10(1 + hertz / 700))

    points = np.linspace(mel(_MODEL_LOWEST), mel(_MODEL_HIGHEST), _MODEL_BANDS + 2)
    edges: Matrix = 700 * (10 ** (points / 2595) - 1)
    return edges


def cosines(bands: int, cepstra: int) -> Matrix:
    """The orthonormal cosine transform, [cepstra, bands]."""
    order, place = np.arange(cepstra)[:, None], np.arange(bands)[None]
    transform: Matrix = np.cos(np.pi / bands * order * (place + 0.5)) * np.sqrt(2 / bands)
    transform[0] /= np.sqrt(2)
    return transform


def lifter(cepstra: int) -> Matrix:
    """The weight of each cepstrum."""
    weights: Matrix = 1 + LIFTER / 2 * np.sin(np.arange(cepstra) * np.pi / LIFTER)
    return weights


def bend(means: Matrix, variances: Matrix) -> tuple[Matrix, Matrix]:
    """Gaussians [..., streams, densities, 13] of the wide band as those of `LINE`.

    The cepstra from the 14th on, which the model has not got, have the mean 0 and the variance of
    the last three that it has.
    """
    wide = cosines(_MODEL_BANDS, _MODEL_BANDS)
    narrow = lifter(LINE.cepstra)[:, None] * cosines(LINE.bands, LINE.cepstra)
    known = wide[:_MODEL_CEPSTRA, : LINE.bands].T / lifter(_MODEL_CEPSTRA)
    unknown = narrow @ wide[_MODEL_CEPSTRA:, : LINE.bands].T
    flat = variances[..., -3:] / lifter(_MODEL_CEPSTRA)[-3:] ** 2
    rest = flat.mean(axis=(0, 2, 3))[:, None, None]
    transform = narrow @ known
    return (
        means @ transform.T,
        variances @ (transform**2).T + rest * (unknown**2).sum(axis=1),
    )


def prepare(folder: Path) -> dict[str, str | float | bool]:
    """Writes the bent model into `folder` where it is not yet, and gives a decoder's settings."""
    source = Path(pocketsphinx.get_model_path("en-us/en-us"))
    if not (folder / _FEATURES).exists():
        means, variances = bend(_read(source / _MEANS), _read(source / _VARIANCES))
        _put(folder / _MEANS, _parameters(means))
        _put(folder / _VARIANCES, _parameters(variances))
        _put(folder / _FEATURES, _features().encode())
    return {
        "hmm": str(folder),
        "mdef": str(source / "mdef"),
        "tmat": str(source / "transition_matrices"),
        "sendump": str(source / "sendump"),
        "fdict": str(source / "noisedict"),
    }


def _features() -> str:
    """The model's own settings: cepstra come from elsewhere, deltas are made by the decoder."""
    streams = "/".join(
        f"{stream * LINE.cepstra}-{(stream + 1) * LINE.cepstra - 1}" for stream in range(3)
    )
    return (
        f"-samprate 8000\n-upperf 3800\n-ncep {LINE.cepstra}\n-ceplen {LINE.cepstra}\n"
        f"-svspec {streams}\n-feat 1s_c_d_dd\n-model ptm\n-cmn none\n-agc none\n-varnorm no\n"
    )


def _read(path: Path) -> Matrix:
    """The parameters [codebooks, streams, densities, coefficients] of a Sphinx 3 file."""
    content = path.read_bytes()
    begin = content.index(b"endhdr\n") + len(b"endhdr\n")
    magic, codebooks, streams, densities, length = np.frombuffer(content, "<i4", 5, begin)
    assert magic == _MAGIC
    numbers = np.frombuffer(content, "<f4", offset=begin + 4 * (5 + int(streams)))
    # Behind the numbers stands a checksum.
    count = int(codebooks) * int(streams) * int(densities) * int(length)
    return numbers[:count].reshape(codebooks, streams, densities, length).astype(np.float64)


def _parameters(parameters: Matrix) -> bytes:
    """What `_read` reads."""
    codebooks, streams, densities, length = parameters.shape
    head = [_MAGIC, codebooks, streams, densities, *[length] * streams, parameters.size]
    numbers = parameters.astype("<f4").tobytes()
    return b"s3\nversion 1.0\nendhdr\n" + np.array(head, "<i4").tobytes() + numbers


def _put(path: Path, content: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content)
    Path(file.name).replace(path)  # other threads may be looking
