"""The model, the front end and the words of PocketSphinx."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.voices import voice
from vxml_server.asr import RecognitionProperties
from vxml_server.asr.sphinx import Judgement, SphinxEngine, speaks
from vxml_server.asr.sphinx_features import Bands, norm_of
from vxml_server.asr.sphinx_model import LINE, band_edges, bend
from vxml_server.asr.sphinx_words import Pronunciations, arpabet
from vxml_server.grammar import load

NOISE = np.random.default_rng(1).normal(0, 2000, 8000).astype(np.int16)


def test_the_bands_that_are_used_are_those_of_a_telephone() -> None:
    edges = band_edges()
    assert edges[0] == 130
    assert 3400 < edges[LINE.bands] < edges[LINE.bands + 1] < 4000


def test_a_spectrum_without_form_has_none_in_the_narrow_band_either() -> None:
    means, variances = np.zeros((1, 3, 2, 13)), np.ones((1, 3, 2, 13))
    means[..., 0] = 10.0
    bent, spread = bend(means, variances)
    assert bent.shape == spread.shape == (1, 3, 2, LINE.cepstra)
    np.testing.assert_allclose(bent[..., 0], 10.0 * np.sqrt(LINE.bands / 25))
    np.testing.assert_allclose(bent[..., 1:], 0, atol=1e-9)
    assert (spread > 0).all()


@given(st.lists(st.integers(1, 3000), max_size=8))
def test_bands_do_not_depend_on_how_the_audio_is_cut(cuts: list[int]) -> None:
    whole, pieces = Bands(), Bands()
    whole.feed(NOISE)
    for piece in np.split(NOISE, np.minimum(np.cumsum(cuts), len(NOISE)).astype(int)):
        pieces.feed(piece)
    np.testing.assert_allclose(pieces.frames, whole.frames, rtol=1e-4)


def test_how_much_silence_there_is_around_a_word_does_not_matter() -> None:
    quiet = np.zeros(8000, np.int16)
    means = []
    for silence in (quiet[:3200], quiet):
        bands = Bands()
        bands.feed(np.concatenate((silence, NOISE, silence)))
        norm = norm_of(bands.frames)
        assert norm is not None
        means.append(norm.mean)
    np.testing.assert_allclose(means[0], means[1], atol=1.0)


def test_there_is_nothing_in_digital_silence() -> None:
    bands = Bands()
    bands.feed(np.zeros(8000, np.int16))
    assert norm_of(bands.frames) is None
    assert norm_of(Bands().frames) is None


def test_words_of_the_dictionary_have_all_their_pronunciations() -> None:
    words = Pronunciations()
    assert words.of("Seven") == ("S EH V AH N",)
    assert words.of("the") == ("DH AH", "DH IY")


def test_phones_are_those_of_the_model() -> None:
    assert arpabet("z_ˈuː_ɹ_ɪ_tʃ") == "Z UW R IH CH"
    assert arpabet("f_ˈɔːɹ  _q_ ") == "F AO R"


def test_a_better_fit_with_less_that_is_unexplained_scores_higher() -> None:
    good = Judgement(fit=-1.5, unexplained=0.0, filled=0.8, lead=0.1)
    assert good.score > Judgement(-3.5, 0.0, 0.8, 0.1).score
    assert good.score > Judgement(-1.5, 0.3, 0.8, 0.1).score
    assert good.score > Judgement(-1.5, 0.0, 0.8, -0.5).score


def test_english_is_spoken_whatever_the_region() -> None:
    assert speaks("en")
    assert speaks("en-GB")
    assert not speaks("fr")


class _NoLattice:
    """A decoder that has a best path, of which it has no lattice."""

    hypstr, score, word, start_frame, end_frame, ascore = "w0", 0.5, "w0", 0, 90, 0.9

    def start_utt(self) -> None: ...

    def end_utt(self) -> None: ...

    def process_cep(self, cepstra: bytes, *, no_search: bool) -> None: ...

    def hyp(self) -> _NoLattice:
        return self

    def seg(self) -> list[_NoLattice]:
        return [self]

    def nbest(self) -> None:
        return None


def test_without_a_lattice_there_is_the_best_path_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = SphinxEngine(tmp_path)
    monkeypatch.setattr(engine, "_decoder", lambda written: _NoLattice())
    grammar = load(
        b'<grammar xmlns="http://www.w3.org/2001/06/grammar" version="1.0" xml:lang="en" root="r">'
        b'<rule id="r"><item>yes</item></rule></grammar>'
    )
    utterance = engine.start([grammar], RecognitionProperties("en", max_nbest=3))
    utterance.feed(voice("seven"))
    assert [one.text for one in utterance.result()] == ["yes"]
    utterance.close()
