"""What a failing database means: come again, or do not.

The rule that must hold: what would fail for ever is not tried for ever, and nothing is given up
because the database was away. PostgreSQL says it by the class of its SQLSTATE, SQLite by the kind
of the error.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from alembic.util import CommandError
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    NotSupportedError,
    ProgrammingError,
    SQLAlchemyError,
    StatementError,
    TimeoutError,
)

# Classes of SQLSTATE that are about what was asked: a feature or a value or a name that does not
# exist, a constraint (PostgreSQL, appendix A).
_ABOUT_THE_REQUEST = frozenset({"0A", "21", "22", "23", "42"})
_REFUSALS = (DataError, IntegrityError, NotSupportedError, ProgrammingError)


class StoreError(OSError):
    """The database does not answer, or cannot be used."""


class Unstorable(StoreError):
    """The database answers, and will never take what it was told."""


def is_transient(error: BaseException) -> bool:
    """Whether the same may work later: the database is away, busy, or in the middle of a crash."""
    match error:
        case DBAPIError():
            state = getattr(error.orig, "sqlstate", None)
            if error.connection_invalidated:
                return True
            if state is not None:
                return str(state)[:2] not in _ABOUT_THE_REQUEST
            # A value that the driver itself cannot encode is an `InterfaceError` of it.
            is_value = isinstance(getattr(error.orig, "__cause__", None), ValueError | TypeError)
            return not isinstance(error, _REFUSALS) and not is_value
        case TimeoutError():
            return True
        case StatementError() | SQLAlchemyError() | CommandError():
            return False
        case _:
            return isinstance(error, OSError) or _is_of_the_driver(error)


def _is_of_the_driver(error: BaseException) -> bool:
    """While a connection breaks down, errors of asyncpg may come through as they are."""
    return type(error).__module__.partition(".")[0] == "asyncpg"


@contextmanager
def store_errors() -> Iterator[None]:
    """Turns every error of the database into `StoreError` or `Unstorable`."""
    try:
        yield
    except StoreError:
        raise
    except Exception as error:
        is_of_a_database = isinstance(error, SQLAlchemyError | CommandError | OSError)
        if not is_of_a_database and not _is_of_the_driver(error):
            raise
        kind = StoreError if is_transient(error) else Unstorable
        raise kind(str(getattr(error, "orig", None) or error)) from error
