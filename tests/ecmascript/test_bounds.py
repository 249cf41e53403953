"""Work in one piece, which no time limit stops, is refused before it begins."""

import time

import pytest

from vxml_server.ecmascript import Engine
from vxml_server.events import VoiceXmlEvent


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(time_limit=0.5)


@pytest.mark.parametrize(
    "expression",
    [
        "new Array(1e9).join('x')",
        "String(new Array(1e9))",
        "new Array(1e9).indexOf(1)",
        "new Array(1e9).forEach(x => x)",
        "Array.prototype.indexOf.call({length: 1e9}, 1)",
        "[].concat(new Array(1e9))",
        "'a'.repeat(4e5).indexOf('a'.repeat(2e5) + 'b')",
        "'a'.repeat(4e5).split({toString() { return 'a'.repeat(2e5) + 'b' }})",
    ],
)
def test_endless_work_in_one_piece_is_an_error_at_once(engine: Engine, expression: str) -> None:
    started = time.perf_counter()
    with pytest.raises(VoiceXmlEvent) as refused:
        engine.evaluate_text(expression)
    assert refused.value.name == "error.semantic"
    assert "too long" in refused.value.message
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("[3, 1, 2].sort().join('-')", "1-2-3"),
        ("String(new Array(3))", ",,"),
        ("[1, [2]].concat([3]).length", "3"),
        ("'abcabc'.replace('b', x => x + 1)", "ab1cabc"),
        ("'a1b'.split(/1/).join()", "a,b"),
        ("'aXbX'.replaceAll({toString() { return 'X' }}, '-')", "a-b-"),
        ("'x'.split(undefined).length", "1"),
        ("'x'.includes('')", "true"),
        ("[].indexOf.name", "indexOf"),
        ("(() => { let n = 0; for (const k in [7]) n++; return n })()", "1"),
        ("Array.prototype.slice.call('abc').length", "3"),
    ],
)
def test_what_is_bounded_works_as_before(engine: Engine, expression: str, value: str) -> None:
    assert engine.evaluate_text(expression) == value


@pytest.mark.parametrize("expression", ["10n ** 1000n", "-(10n ** 1000n)", "10n ** 30n"])
def test_a_bigint_larger_than_any_number_comes_back_as_a_number(
    engine: Engine, expression: str
) -> None:
    """The binding crashed when it was given one back."""
    value = engine.evaluate(expression)
    assert isinstance(value, float)
    assert engine.type_of(value) == "number"


def test_a_bigint_in_an_object_comes_back_as_a_number(engine: Engine) -> None:
    holder = engine.evaluate("({a: 10n ** 1000n})")
    assert engine.type_of(engine.get(holder, "a")) == "number"


def test_an_array_that_only_says_that_it_is_long_is_not_copied(engine: Engine) -> None:
    liar = "new Proxy([1], {get: (o, k) => k === 'length' ? 1e9 : o[k]})"
    with pytest.raises(VoiceXmlEvent):
        engine.copy_array(engine.evaluate(liar))
