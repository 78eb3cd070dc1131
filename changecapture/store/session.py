"""One connection: statements, transactions, the writers' lock, errors mapped once.

Both drivers are used in autocommit; transactions are opened and closed by statements of ours, so that
the lock can be taken before the snapshot and given back after the commit.
"""

import re
import select
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from changecapture.config import DatabaseURL
from changecapture.core.catalogue import Catalogue, Engine
from changecapture.core.spare import Spare
from changecapture.errors import ChangeCaptureError, NotInstalled, RetryLater

_BARE_PERCENT = re.compile("%(?!s)")
LOCK_SECONDS = 60
"""How long the writers' lock is waited for before RetryLater."""


class Session:
    """The part of a store that both engines share below the log and the rows."""

    engine: Engine
    prefix: str
    """What stands before the name of each of our tables."""

    def __init__(self, url: DatabaseURL) -> None:
        """Connect; raise ConfigError or RetryLater."""
        self.url = url
        self.spare = Spare()
        """What is done while the database works."""
        self._lock_depth = 0
        self._open_transaction = False
        self._savepoints = 0
        with self.mapped():
            self.connection = self._connect()

    @contextmanager
    def mapped(self) -> Iterator[None]:
        """Map the driver's errors to ours, also where another library uses the connection."""
        try:
            yield
        except Exception as error:
            original = getattr(error, "orig", None) or error  # SQLAlchemy keeps the driver's error there
            mapped = self._map_error(original)
            if mapped is original:
                raise
            raise mapped from error

    # What an engine must say
    def _connect(self) -> Any:
        raise NotImplementedError

    def _map_error(self, error: Exception) -> Exception:
        raise NotImplementedError

    def _take_lock(self) -> bool:
        raise NotImplementedError

    def _give_lock(self) -> None:
        raise NotImplementedError

    def _begin_snapshot(self) -> None:
        raise NotImplementedError

    def _begin_applying(self) -> None:
        raise NotImplementedError

    def _end_applying(self) -> None:
        raise NotImplementedError

    def _among(self, expression: str, wanted: Collection[Any], type_: str) -> tuple[str, list[Any]]:
        """Return a condition, and its parameters, that is true when the expression is in ``wanted``."""
        raise NotImplementedError

    def _check_answer(self, cursor: Any) -> None:
        """Raise DataError where the server has only warned that an answer is not what was asked for."""

    def read_catalogue(self) -> Catalogue:
        """Return what the database says about the application's tables."""
        raise NotImplementedError

    def read_clock(self) -> int:
        """Return the server's clock, microseconds since 1970 UTC."""
        raise NotImplementedError

    # Statements
    def execute(self, sql: str, parameters: Sequence[Any] | None = None) -> int:
        """Run a statement; return how many rows it touched."""
        with self.cursor() as cursor:
            cursor.execute(_template(sql, parameters), parameters)
            return int(cursor.rowcount)

    def query(self, sql: str, parameters: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        """Run a query; return its rows."""
        with self.cursor() as cursor:
            cursor.execute(_template(sql, parameters), parameters)
            rows = list(cursor.fetchall())
            self._check_answer(cursor)
            return rows

    def execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement for each row of parameters."""
        if rows:
            with self.cursor() as cursor:
                cursor.executemany(_template(sql, rows), rows)

    @contextmanager
    def cursor(self) -> Iterator[Any]:
        """Open a cursor; whatever fails in it, or in opening it, comes out as an error of ours."""
        try:
            with self.connection.cursor() as cursor:
                yield cursor
        except Exception as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> Exception:
        mapped = self._map_error(error)
        if isinstance(mapped, RetryLater) and self._ends_transaction(error):
            self._open_transaction = False
        return mapped

    def _not_installed(self) -> NotInstalled:
        mend = "run: changecapture install URL"
        return NotInstalled(f"changecapture is not installed in {self.url}", mend=mend)

    def _ends_transaction(self, error: Exception) -> bool:
        """Return whether the server has rolled the whole transaction back, or is gone."""
        return False

    def close(self) -> None:
        """Close the connection; a lock that is held goes with it."""
        try:
            self.connection.close()
        except Exception as error:
            if not isinstance(self._map_error(error), ChangeCaptureError):
                raise

    # Transactions
    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the writers' lock; raise RetryLater when another writer keeps it for too long."""
        if self._lock_depth == 0 and not self._take_lock():
            raise RetryLater(
                "another process is writing the changelog",
                why=f"it held the lock for {LOCK_SECONDS} s",
                mend="is a second relay running on this database?",
            )
        self._lock_depth += 1
        try:
            yield
        finally:
            self._lock_depth -= 1
            if self._lock_depth == 0:
                self._quietly(self._give_lock)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Open a REPEATABLE READ transaction."""
        with self._transaction(self._begin_snapshot, lambda: None):
            yield

    @contextmanager
    def applying(self) -> Iterator[None]:
        """Open a READ COMMITTED transaction in which capture is off and no row lock is waited for."""
        with self._transaction(self._begin_applying, self._end_applying):
            yield

    @contextmanager
    def _transaction(self, begin: Any, end: Any) -> Iterator[None]:
        self._open_transaction = True
        try:
            begin()
            yield
            if not self._open_transaction:
                raise RetryLater("the database ended the transaction", why="a deadlock")
            self.execute("COMMIT")
        except BaseException:
            self._quietly(lambda: self.execute("ROLLBACK"))
            raise
        finally:
            self._open_transaction = False
            self._quietly(end)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what was written inside when it raises."""
        self._savepoints += 1
        name = f"changecapture_{self._savepoints}"
        try:
            self.execute(f"SAVEPOINT {name}")
            try:
                yield
            except BaseException:
                if self._open_transaction:
                    self.execute(f"ROLLBACK TO SAVEPOINT {name}")
                raise
            self.execute(f"RELEASE SAVEPOINT {name}")
        finally:
            self._savepoints -= 1

    def in_transaction(self) -> bool:
        """Return whether the open transaction still stands."""
        return self._open_transaction

    def _quietly(self, action: Any) -> None:
        """Run a clean-up that must not hide the error that led to it: a lost connection ends all."""
        try:
            action()
        except ChangeCaptureError:
            self._open_transaction = False


def is_ready(descriptor: int, *, reads: bool, writes: bool = False) -> bool:
    """Return whether a socket can be read from, or written to, at once."""
    if not hasattr(select, "poll"):  # on Windows
        return any(select.select([descriptor] if reads else [], [descriptor] if writes else [], [], 0))
    poll = select.poll()
    poll.register(descriptor, (select.POLLIN if reads else 0) | (select.POLLOUT if writes else 0))
    return bool(poll.poll(0))


def _template(sql: str, parameters: object) -> str:
    """Return the text that the drivers take: with parameters, a % that is no place for one is doubled.

    It stands in names of the application (``"full %"``) and in patterns of ours.
    """
    return sql if parameters is None else _BARE_PERCENT.sub("%%", sql)
