"""Its databases."""

from tests.databases import copied, pytest_asyncio_loop_factories

__all__ = ["copied", "pytest_asyncio_loop_factories"]
