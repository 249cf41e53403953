"""SSML documents that nobody would write."""

from __future__ import annotations

import copy
from random import Random

from lxml import etree

from vxml_server.tts import SpeechRequest

_SSML = "http://www.w3.org/2001/10/synthesis"
_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_PIECES = (
    "<", ">", "&", "&amp;", "&x;", "<![CDATA[", "]]>", "<!--", "-->", "\x00", "\ufffe", "\r",
    "<!DOCTYPE speak [<!ENTITY x 'y'>]>", "</speak>", "<speak>", "<prosody rate='0.1'>",
    "</prosody>", "&#0;", "&#xd800;", "'", '"', "[[", "]]", "[[a]]", "<voice name='fr+whisper'>",
    "<break time='9s'/>", "%s%n", "\x1b", "\u202e", "\u200d",
)  # fmt: skip

SEEDS = (
    "Bonjour. Vous avez <say-as interpret-as='cardinal'>21</say-as> messages, dont "
    "<say-as interpret-as='number'>80</say-as> nouveaux.",
    "<p><s>Un.</s><s xml:lang='en-US'>Two.</s></p><p xml:lang='de'>Drei.</p>",
    "<mark name='a'/>un<break time='100ms'/><mark name='b'/>deux<break strength='weak'/>trois",
    "<prosody rate='slow' pitch='+2st' range='x-low' volume='soft'>lent "
    "<prosody rate='+80%' volume='loud'>et vite</prosody></prosody> enfin",
    "<prosody contour='(0%,+20Hz)(50%,-10%)(100%,high)' duration='2s'>une phrase</prosody>",
    "<voice gender='female' age='30' variant='2'>elle</voice><voice name='fr+m3 f2'>lui</voice>",
    "le <sub alias='World Wide Web'>W3</sub>, <emphasis level='strong'>fort</emphasis>",
    "<phoneme alphabet='ipa' ph='b\u0254\u0303.\u0292u\u0281'>bonjour</phoneme> "
    "<phoneme alphabet='x-sampa' ph='tO.mat'>tomate</phoneme> "
    "<phoneme alphabet='x-espeak' ph=\"b'Ezik\">basic</phoneme>",
    "<say-as interpret-as='date' format='dmy'>01/05/2026</say-as> à "
    "<say-as interpret-as='time' format='hms24'>14:30:15</say-as>, "
    "<say-as interpret-as='currency'>12,50 \u20ac</say-as>, "
    "<say-as interpret-as='telephone'>+33 6 12 34 56 78</say-as>, "
    "<say-as interpret-as='characters'>AB-12</say-as>, "
    "<say-as interpret-as='vxml:time'>0230p</say-as>, "
    "<say-as interpret-as='ordinal'>21</say-as>, "
    "<say-as interpret-as='measure'>3,5 km</say-as>",
    "<lexicon uri='a.pls'/><meta name='a' content='b'/><metadata><x xmlns='urn:x'>y</x></metadata>"
    "<audio src='a.wav'>repli<desc>une image</desc></audio>",
    "<s>Ceci est une phrase un peu plus longue, pour qu'il y ait quelque chose à couper.</s>",
    "日本語 العربية हिन्दी русский ελληνικά 😀 é\u0301",
)
ELEMENTS = (
    "speak", "p", "s", "break", "mark", "prosody", "emphasis", "voice", "say-as", "sub", "phoneme",
    "audio", "desc", "lexicon", "meta", "metadata", "paragraph", "sentence", "token", "w", "lang",
    "value", "script", "unknown",
)  # fmt: skip
ATTRIBUTES = (
    "rate", "pitch", "range", "volume", "contour", "duration", "time", "strength", "level", "name",
    "gender", "age", "variant", "interpret-as", "format", "detail", "alias", "ph", "alphabet",
    "src", "uri", "type", "version", "xmlns:x",
)  # fmt: skip
VALUES = (
    "", " ", "0", "-1", "1", "1e9", "NaN", "inf", "9" * 400, "-0%", "+1e3%", "+999999999st", "0Hz",
    "-99999999999Hz", "slow", "x-fast", "silent", "default", "1e9s", "99999999999s", "-5s", "1ms",
    ".s", "none", "x-strong", "date", "time", "telephone", "cardinal", "ordinal", "characters",
    "currency", "measure", "digits", "vxml:date", "vxml:", ":", "dmy", "hms24", "EUR", "km", "ipa",
    "x-sampa", "x-espeak", "fr+f3", "en", "../../etc/passwd", "fr+" + "x" * 5000, "a" * 9000, "]]",
    "[[", "[[_::]]", "%n%s", "\u00e9", "\u202e", "(0%,+20Hz)", "(0%,high)" * 400, "(((((", "female",
    "robot", "120", "<", "&", "b\u0254\u0303", "t@m{to", "||||", "d\u0329\u0329\u0329",
)  # fmt: skip
TEXTS = (
    "", " ", ".", "...", "?!", "-", "1", "-5", "1,5", "9" * 500, "1/0", "31/02/2026", "25:61",
    "a" * 3000, "mot " * 400, "[[", "]]", "[[h@l'oU]]", "\u202e\u200d", "\U0001f600",
    "\u0301" * 50, "e\u0301",
    "...", "14 h 30", "2e", "99999999h", "-" * 200, "( ( ( (", "http://x.y/z?a=b&c", "\x7f",
    "\u2028", "$$$", "\u0661\u0662\u0663", "\u00b2\u00b3", "XIV", "A.B.C.", "l'", "''''", "%", "@",
    "#*#", "\ufdfa", "\U00020000", "!" * 300,
)  # fmt: skip
LANGUAGES = (
    "fr-FR", "fr-CA", "fr-CH", "en-US", "en-GB", "de", "ar", "ja", "cmn", "ko", "hi", "xx", "",
    "fr-", "en_US", "x" * 50, "*", "am", "pl", "uk", "ca", "fil", "en-" + "x" * 500,
)  # fmt: skip


def request(random: Random) -> SpeechRequest:
    """What a document or a script might ask to be spoken."""
    root = etree.fromstring(
        f'<speak version="1.0" xmlns="{_SSML}">{random.choice(SEEDS)}</speak>'.encode()
    )
    for _ in range(random.choice((0, 1, 2, 3, 5, 9))):
        nodes = [node for node in root.iter() if isinstance(node.tag, str)]
        random.choice(_MUTATIONS)(random.choice(nodes), random)
    text = etree.tostring(root, encoding="unicode")
    if random.random() < 0.25:
        text = _spoilt(text, random)
    return SpeechRequest(
        text,
        random.choice(("fr-FR", "fr-FR", "en-US", *LANGUAGES)),
        voice=random.choice((None, None, "f3", "fr+m3", "nobody", "x" * 3000, "../x", "")),
        gender=random.choice((None, None, "male", "female", "robot")),
    )


def _spoilt(text: str, random: Random) -> str:
    at = random.randint(0, len(text))
    kind = random.randint(0, 4)
    if kind == 0:
        return text[:at]
    if kind == 1:
        return text[:at] + random.choice(_PIECES) + text[at:]
    if kind == 2:
        end = min(len(text), at + random.randint(0, 60))
        return text[:end] + text[at:end] * random.choice((1, 2, 30)) + text[end:]
    if kind == 3:
        declared = random.choice(
            ("[<!ENTITY x 'y'>]", "SYSTEM 'http://x.y/z'", "[<!ENTITY x '&y;'>]")
        )
        return f"<!DOCTYPE speak {declared}>{text.replace('</', '&x;</', 1)}"
    changed = list(text)
    for _ in range(random.randint(1, 4)):
        changed[random.randrange(len(changed))] = chr(random.choice((0, 9, 60, 38, 233, 0xFFFF)))
    return "".join(changed)


def _set(node: etree._Element, random: Random) -> None:
    value = "".join(c for c in random.choice(VALUES) if c >= " ")
    if random.random() < 0.2:
        node.set(_LANG, random.choice(LANGUAGES))
    else:
        node.set(random.choice(ATTRIBUTES[:-1]), value)


def _say(node: etree._Element, random: Random) -> None:
    node.text = random.choice(TEXTS)


def _insert(node: etree._Element, random: Random) -> None:
    made = etree.SubElement(node, f"{{{_SSML}}}{random.choice(ELEMENTS)}")
    made.text = random.choice(TEXTS)
    made.tail = random.choice(("", " ", "x", "."))
    for _ in range(random.randint(0, 3)):
        _set(made, random)


def _rename(node: etree._Element, random: Random) -> None:
    space = random.choice((_SSML, _SSML, "urn:x", "../x"))
    node.tag = f"{{{space}}}{random.choice(ELEMENTS)}"


def _delete(node: etree._Element, random: Random) -> None:
    del random
    parent = node.getparent()
    if parent is not None:
        parent.remove(node)


def _repeat(node: etree._Element, random: Random) -> None:
    parent = node.getparent()
    if parent is not None and sum(1 for _ in node.iter()) < 30:
        for _ in range(random.choice((1, 2, 15))):
            parent.insert(parent.index(node), copy.deepcopy(node))


def _string(node: etree._Element, random: Random) -> None:
    """One after the other, in one sentence."""
    name, said = random.choice(ELEMENTS), random.choice(("a", "a ", "a.", "[", "1", ""))
    values = [(random.choice(ATTRIBUTES[:-1]), random.choice(VALUES[:40])) for _ in range(2)]
    for _ in range(random.choice((20, 200, 3000))):
        made = etree.SubElement(node, f"{{{_SSML}}}{name}", dict(values))
        made.text = made.tail = said


def _nest(node: etree._Element, random: Random) -> None:
    parent = node.getparent()
    if parent is None:
        return
    name = random.choice(ELEMENTS)
    for _ in range(random.choice((1, 2, 30, 80))):
        around = etree.Element(f"{{{_SSML}}}{name}")
        parent.insert(parent.index(node), around)
        around.append(node)
        parent = around


_MUTATIONS = (
    _set,
    _set,
    _set,
    _say,
    _say,
    _insert,
    _insert,
    _rename,
    _delete,
    _repeat,
    _nest,
    _string,
)
