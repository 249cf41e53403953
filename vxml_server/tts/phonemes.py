"""Pronunciations of `<phoneme>` and of lexicons (SSML 1.0 section 3.1.9), between their alphabets.

Within a plan they are IPA, which is what X-SAMPA is turned into; `x-espeak` is kept as it is. An
engine gets what it understands: `to_espeak` writes espeak's own notation.

The rule: a pronunciation that is not wholly understood is none, and the words are spoken instead.
Half a pronunciation is worse than the engine's own guess.
"""

from __future__ import annotations

import re
import unicodedata

from vxml_server.tts.plan import Phonemes

MAX_LENGTH = 500  # characters of one pronunciation

# Kinds of names that alphabets are called by.
_ALPHABETS = {
    "": "ipa",
    "ipa": "ipa",
    "x-sampa": "x-sampa",
    "x-sampa-ipa": "x-sampa",
    "xsampa": "x-sampa",
    "x-xsampa": "x-sampa",
    "x-espeak": "x-espeak",
    "x-espeak-ng": "x-espeak",
}

_IPA_LETTERS = (
    "abcdefhijklmnopqrstuvwxyz"
    "ɐɑɒɓɔɕɖɗɘəɚɛɜɝɞɟɠɡɢɣɤɥɦɧɨɪɫɬɭɮɯɰɱɲɳɴɵɶɸɹɺɻɽɾʀʁʂʃʄʈʉʊʋʌʍʎʏʐʑʒʔʕʘʙʛʜʝʟʡʢ"
    "æçðøħŋœβθχǀǁǂǃⱱ"
)
_IPA_MARKS = "ˈˌːˑ.|‖‿͡ ʰʷʲˠˤˡⁿʼ˞˥˦˧˨˩↗↘↑↓-"
_IPA = frozenset(_IPA_LETTERS + _IPA_MARKS + "g'")

_X_SAMPA = {
    # consonants
    "b_<": "ɓ", "d`": "ɖ", "d_<": "ɗ", "g_<": "ɠ", "G\\_<": "ʛ", "G\\": "ɢ", "G": "ɣ",
    "h\\": "ɦ", "H\\": "ʜ", "H": "ɥ", "j\\": "ʝ", "J\\_<": "ʄ", "J\\": "ɟ", "J": "ɲ",
    "K\\": "ɮ", "K": "ɬ", "l`": "ɭ", "l\\": "ɺ", "L\\": "ʟ", "L": "ʎ", "M\\": "ɰ", "n`": "ɳ",
    "N\\": "ɴ", "N": "ŋ", "p\\": "ɸ", "r`": "ɽ", "r\\`": "ɻ", "r\\": "ɹ", "R\\": "ʀ", "R": "ʁ",
    "s`": "ʂ", "s\\": "ɕ", "S": "ʃ", "t`": "ʈ", "T": "θ", "v\\": "ʋ", "P": "ʋ", "x\\": "ɧ",
    "X\\": "ħ", "X": "χ", "z`": "ʐ", "z\\": "ʑ", "Z": "ʒ", "B\\": "ʙ", "B": "β", "C": "ç",
    "D": "ð", "F": "ɱ", "W": "ʍ", "4": "ɾ", "5": "ɫ", "?\\": "ʕ", "?": "ʔ", ">\\": "ʡ",
    "<\\": "ʢ", "O\\": "ʘ", "|\\|\\": "ǁ", "|\\": "ǀ", "!\\": "ǃ", "=\\": "ǂ", "g": "ɡ",
    # vowels
    "A": "ɑ", "E": "ɛ", "I\\": "ɪ̈", "I": "ɪ", "M": "ɯ", "O": "ɔ", "Q": "ɒ", "U\\": "ʊ̈",
    "U": "ʊ", "V": "ʌ", "Y": "ʏ", "@`": "ɚ", "@\\": "ɘ", "@": "ə", "{": "æ", "}": "ʉ", "1": "ɨ",
    "2": "ø", "3`": "ɝ", "3\\": "ɞ", "3": "ɜ", "6": "ɐ", "7": "ɤ", "8": "ɵ", "9": "œ", "&": "ɶ",
    # what is around them
    '"': "ˈ", "%": "ˌ", ":\\": "ˑ", ":": "ː", "_~": "\u0303", "~": "\u0303", "_h": "ʰ",
    "_w": "ʷ", "_j": "ʲ", "'": "ʲ", "_0": "\u0325", "_v": "\u032c", "=": "\u0329", "_=": "\u0329",
    "_d": "\u032a", "_^": "\u032f", "_>": "ʼ", "`": "˞", "||": "‖", "|": "|", "-\\": "‿", "-": "",
    ".": ".", " ": " ", "_T": "˥", "_H": "˦", "_M": "˧", "_L": "˨", "_B": "˩",
}  # fmt: skip
_X_SAMPA_TOKEN = re.compile(
    "|".join(re.escape(token) for token in sorted(_X_SAMPA, key=len, reverse=True)) + "|[a-z]"
)

# espeak's mnemonics: first what all of its languages share, then what one calls otherwise. Its `|`
# keeps two mnemonics apart that would be read as one, as a boundary of syllables does: `i.ə`.
_ESPEAK = {
    **{letter: letter for letter in "abdefhijklmnopstuvwxz"},
    "ɡ": "g", "g": "g", "ŋ": "N", "ɲ": "n^", "ʃ": "S", "ʒ": "Z", "θ": "T", "ð": "D", "ç": "C",
    "tʃ": "tS", "dʒ": "dZ", "ʔ": "?", "ɾ": "*", "ʎ": "l^", "ɛ": "E", "ɔ": "O", "ə": "@",
    "ɪ": "I", "ʊ": "U", "ø": "Y", "œ": "W", "y": "y", "ɑ": "A", "æ": "a", "ʌ": "V",
    "ˈ": "'", "ˌ": ",", "'": "'", "ː": ":", ".": "|", "͡": "", "|": "_:", "‖": "_:", "‿": "",
    "-": "", " ": "||",
}  # fmt: skip
_ESPEAK_OF = {
    "en": {
        "r": "r", "ɹ": "r", "ɚ": "3", "ɝ": "3:", "ɜ": "3:", "ɜː": "3:", "ɑ": "A:", "ɑː": "A:",
        "ɒ": "0", "ɔː": "O:", "ɔ": "O:", "iː": "i:", "u": "u:", "uː": "u:",
        "eɪ": "eI", "aɪ": "aI", "ɔɪ": "OI", "aʊ": "aU", "oʊ": "oU", "əʊ": "oU", "o": "oU",
        "e": "E", "ɪə": "i@", "eə": "e@", "ʊə": "U@", "ɐ": "a#", "ɫ": "l", "l̩": "@L",
        "n̩": "n-", "ʍ": "w",
    },
    "fr": {
        "ʁ": "r", "r": "r", "ʀ": "r", "ɥ": "y", "ɑ̃": "A~", "ɔ̃": "O~", "ɛ̃": "E~", "œ̃": "W~",
        "ã": "A~", "õ": "O~", "ẽ": "E~", "ɑ": "a", "h": "",
    },
}  # fmt: skip
# An `x-espeak` pronunciation may hold mnemonics, and nothing that ends the notation.
_ESPEAK_NOTATION = re.compile(r"[A-Za-z0-9@&:;,'_^~|!*#?/=%.<>`\"+\- ]+")


def read(notation: str, alphabet: str) -> Phonemes | None:
    """A pronunciation of a document; None when its alphabet or a sign in it is not known."""
    notation = unicodedata.normalize("NFD", " ".join(notation.split()))
    kind = _ALPHABETS.get(alphabet.strip().lower())
    if not notation or len(notation) > MAX_LENGTH or kind is None:
        return None
    if kind == "x-espeak":
        return Phonemes(notation, kind) if _ESPEAK_NOTATION.fullmatch(notation) else None
    ipa: str | None = notation
    if kind == "x-sampa":
        ipa = x_sampa_to_ipa(notation)
    return Phonemes(ipa) if ipa and _is_ipa(ipa) else None


def _is_ipa(text: str) -> bool:
    letters = False
    for sign in unicodedata.normalize("NFD", text):
        if sign not in _IPA and not unicodedata.combining(sign):
            return False
        letters = letters or sign in _IPA_LETTERS or sign == "g"
    return letters


def x_sampa_to_ipa(text: str) -> str | None:
    """None when there is something in it that X-SAMPA does not have."""
    parts, place = [], 0
    while place < len(text):
        match = _X_SAMPA_TOKEN.match(text, place)
        if match is None:
            return None
        parts.append(_X_SAMPA.get(match[0], match[0]))
        place = match.end()
    return unicodedata.normalize("NFD", "".join(parts))


def to_espeak(phonemes: Phonemes, lang: str) -> str | None:
    """The mnemonics between espeak's `[[` and `]]`; None where its voice has no such sound."""
    if phonemes.alphabet == "x-espeak":
        return phonemes.notation
    language = lang.split("-", 1)[0].lower()
    table = {
        unicodedata.normalize("NFD", ipa): mnemonic
        for ipa, mnemonic in (_ESPEAK | _ESPEAK_OF.get(language, {})).items()
    }
    longest = max(map(len, table))
    text = unicodedata.normalize("NFD", phonemes.notation).replace("\u0361", "")
    parts, place = [], 0
    while place < len(text):
        for length in range(longest, 0, -1):
            if (mnemonic := table.get(text[place : place + length])) is not None:
                # A letter is not read without its marks: with them it is another sound.
                follows = text[place + length : place + length + 1]
                if not unicodedata.combining(follows or " "):
                    parts.append(mnemonic)
                    place += length
                    break
        else:
            return None
    return "".join(parts)
