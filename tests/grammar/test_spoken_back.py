"""What `<say-as interpret-as="vxml:...">` says is what the built-in grammars understand."""

from __future__ import annotations

import pytest

from vxml_server.grammar import builtin
from vxml_server.tts.sayas import say_as

RESULTS = {
    "boolean": ["true", "false"],
    "digits": ["0", "019", "99999"],
    "number": ["0", "42", "-7.05", "0.5", "71", "80", "97", "181", "1234.5", "1000000"],
    "currency": ["12.50", "EUR12.50", "EUR1.00", "GBP1000.00", "CHF31.10", "CAD5.00", "EUR80.99"],
    "date": ["20000704", "19991231", "20240101", "????0401", "202408??", "2024????", "??????22"],
    "time": ["0900?", "1430h", "0230p", "0905a", "1200p", "1200a", "1245p", "0000h", "2359h"],
    "phone": ["0123456789", "0670901121", "5551234", "8005551234x12"],
}
CASES = [(kind, result) for kind, results in RESULTS.items() for result in results]


def meant(kind: str, result: object) -> object:
    """What a result says, in whatever way: 0230p and 1430h are one time."""
    text = str(result).lower()
    if kind != "time":
        return text
    hour, minute, half = int(text[:2]), int(text[2:4]), text[4]
    # Without a half of the day, 9:05 may be the one that was meant.
    hours = {"a": {hour % 12}, "p": {hour % 12 + 12}, "?": {hour % 12, hour % 12 + 12}}
    return {(at, minute) for at in hours.get(half, {hour})}


@pytest.mark.parametrize("lang", ["en", "fr-FR"])
@pytest.mark.parametrize(("kind", "result"), CASES, ids=[f"{k} {r}" for k, r in CASES])
def test_a_result_is_understood_when_it_is_spoken_back(kind: str, result: str, lang: str) -> None:
    spoken = say_as(result, f"vxml:{kind}", "", lang)
    assert spoken is not None
    match = builtin(kind, lang).match(spoken)
    assert match is not None, spoken
    one, other = meant(kind, match.interpretation), meant(kind, result)
    if isinstance(one, set) and isinstance(other, set):
        assert other <= one, spoken
    else:
        assert one == other, spoken
