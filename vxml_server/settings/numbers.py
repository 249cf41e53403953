"""Which application a number belongs to: `[[numbers]]`, most specific first."""

from __future__ import annotations

from collections.abc import Iterable

from vxml_server.settings.telephony import NumberRule


def resolve_number(numbers: Iterable[NumberRule], user: str) -> NumberRule | None:
    """The rule for `user`, the user part of a request URI, without its escapes; None if none fits.

    The exact number wins over the longest prefix (`+331*`), which wins over `*`.
    """
    best: NumberRule | None = None
    for rule in numbers:
        if rule.number == user:
            return rule
        if (
            rule.number.endswith("*")
            and user.startswith(rule.number[:-1])
            and (best is None or len(rule.number) > len(best.number))
        ):
            best = rule
    return best
