"""Calls that prove nothing are made once more.

The calls of a module are mostly made at the same time, by a fixture of its own, and judged one test
at a time. To make them again, everything that the module's fixtures have made is forgotten.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

_made = pytest.StashKey[float]()
"""Of a module: when the making of its calls began."""


def once_more_if(item: pytest.Item, void: Callable[[float], bool]) -> None:
    """Has a test that fails made again, where `void` says of the time since its calls' beginning
    (in seconds of the wall clock) that nothing made then counts."""

    def condition() -> bool:
        return void(_module(item).stash[_made])

    item.add_marker(pytest.mark.flaky(reruns=1, condition=condition))


def before(item: pytest.Item) -> None:
    """To be called before each test is set up."""
    module = _module(item)
    again = getattr(item, "execution_count", 1) > 1  # counted by pytest-rerunfailures
    if again and isinstance(item, pytest.Function):
        for definitions in item._fixtureinfo.name2fixturedefs.values():
            for definition in definitions:
                if definition.scope == "module":
                    definition.finish(item._request)
    if again or _made not in module.stash:
        module.stash[_made] = time.time()


def _module(item: pytest.Item) -> pytest.Module:
    module = item.getparent(pytest.Module)
    assert module is not None
    return module
