"""Its databases."""

from tests.databases import (
    copied,
    database,
    pytest_asyncio_loop_factories,
    pytest_generate_tests,
)
from tests.integration.postgresql import postgresql

__all__ = [
    "copied",
    "database",
    "postgresql",
    "pytest_asyncio_loop_factories",
    "pytest_generate_tests",
]
