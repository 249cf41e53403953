from __future__ import annotations

import pytest

from vxml_server.settings import NumberRule, resolve_number

RULES = tuple(
    NumberRule(number=number, application=f"{number}.vxml")
    for number in ("*", "+331*", "+33*", "+33123456789", "*43", "1000")
)


@pytest.mark.parametrize(
    ("user", "number"),
    [
        ("1000", "1000"),
        ("10000", "*"),
        ("+33123456789", "+33123456789"),
        ("+33123456780", "+331*"),
        ("+331", "+331*"),
        ("+33223456789", "+33*"),
        ("*43", "*43"),
        ("", "*"),
    ],
)
def test_the_most_specific_number_wins_whatever_the_order(user: str, number: str) -> None:
    for rules in (RULES, RULES[::-1]):
        rule = resolve_number(rules, user)
        assert rule is not None
        assert rule.number == number


def test_a_number_that_nothing_fits_has_no_application() -> None:
    assert resolve_number(RULES[1:], "2000") is None
