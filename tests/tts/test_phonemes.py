from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vxml_server.tts.phonemes import read, to_espeak, x_sampa_to_ipa
from vxml_server.tts.plan import Phonemes


@pytest.mark.parametrize(
    ("x_sampa", "ipa"),
    [
        ("b2nZuR", "bønʒuʁ"),
        ("bO~.ZuR", "bɔ\u0303.ʒuʁ"),
        ('%In.t@"n{S@n@l', "ˌɪn.təˈnæʃənəl"),
        ("tSIp", "tʃɪp"),
        ("sE~", "sɛ\u0303"),
        ("3:", "ɜː"),
        ("r\\", "ɹ"),
    ],
)
def test_x_sampa_is_ipa_in_other_letters(x_sampa: str, ipa: str) -> None:
    assert x_sampa_to_ipa(x_sampa) == ipa


@pytest.mark.parametrize("alphabet", ["", "ipa", "IPA"])
def test_ipa_is_the_alphabet_that_is_meant_where_none_is_named(alphabet: str) -> None:
    assert read(" tɔ.ma.to ", alphabet) == Phonemes("tɔ.ma.to")


@pytest.mark.parametrize(
    ("notation", "alphabet"),
    [
        ("", "ipa"),
        ("ˈˌ", "ipa"),
        ("жи", "ipa"),
        ("<b>", "ipa"),
        ("a" * 501, "ipa"),
        ("a", "x-microsoft-sapi"),
        ("\u00e6", "x-sampa"),
        ("a]]b", "x-espeak"),
        ("a[[b", "x-espeak"),
        ("é", "x-espeak"),
    ],
)
def test_what_is_not_wholly_understood_is_no_pronunciation(notation: str, alphabet: str) -> None:
    assert read(notation, alphabet) is None


@pytest.mark.parametrize(
    ("ipa", "lang", "mnemonics"),
    [
        ("bɔ̃ʒuʁ", "fr-FR", "bO~Zur"),
        ("yit", "fr", "yit"),
        ("vɛ̃", "fr", "vE~"),
        ("təˈmeɪtoʊ", "en-US", "t@'meItoU"),
        ("t͡ʃɜːt͡ʃ", "en-GB", "tS3:tS"),
        ("θɪŋ", "en", "TIN"),
        ("aɪˈdi.ə", "en", "aI'di|@"),
        ("nɪəli", "en", "ni@li"),
    ],
)
def test_ipa_is_written_as_espeak_has_it(ipa: str, lang: str, mnemonics: str) -> None:
    assert to_espeak(Phonemes(unicodedata.normalize("NFD", ipa)), lang) == mnemonics


def test_a_sound_that_the_voice_does_not_have_is_none() -> None:
    assert to_espeak(Phonemes("ǃa"), "fr") is None
    assert to_espeak(Phonemes("a\u0334"), "fr") is None


def test_espeaks_own_notation_is_kept() -> None:
    phonemes = read("b'o~ZuR", "x-espeak")
    assert phonemes is not None
    assert to_espeak(phonemes, "fr") == "b'o~ZuR"


@given(st.text(max_size=20), st.sampled_from(["ipa", "x-sampa", "x-espeak", "other"]))
def test_any_notation_is_read_or_not_and_never_ends_espeaks(text: str, alphabet: str) -> None:
    phonemes = read(text, alphabet)
    if phonemes is not None and (mnemonics := to_espeak(phonemes, "fr")) is not None:
        assert "[" not in mnemonics
        assert "]" not in mnemonics
