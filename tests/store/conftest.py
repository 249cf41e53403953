"""The loop of its tests."""

from tests.databases import pytest_asyncio_loop_factories

__all__ = ["pytest_asyncio_loop_factories"]
