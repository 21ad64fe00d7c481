"""One SQLite file: opened, brought up to date, read and written, its troubles told as HomeTrouble."""

from __future__ import annotations

import errno
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ctrlx.errors import HomeTrouble

VERSION = 3  # how many migrations ctrlx.store.schema holds; kept here so that an up-to-date file costs no import of it
PATIENCE = 10.0  # seconds to wait for another process's lock
ELSEWHERE = "set CTRLX_HOME to a folder that you can write to"


class Database:
    """A connection to `file` in WAL mode with foreign keys on; a new or older file is migrated first.

    Raises HomeTrouble where the file cannot be created, read or written, is no database, or is newer than this ctrlx.
    """

    def __init__(self, file: Path):
        self.file = file
        with told(file):
            self._connection = sqlite3.connect(file, timeout=PATIENCE, isolation_level=None)
            self._connection.row_factory = sqlite3.Row
            self._connection.execute("PRAGMA foreign_keys = ON")
            version = self._version()
        if version > VERSION:
            raise HomeTrouble(f"{file} was written by a newer ctrlx; upgrade ctrlx, or set CTRLX_HOME to another folder")
        if version < VERSION:
            self._migrate()

    def close(self) -> None:
        self._connection.close()

    def rows(self, sql: str, values: Iterable | Mapping = ()) -> list[sqlite3.Row]:
        """What a SELECT finds."""
        with told(self.file):
            return self._connection.execute(sql, values).fetchall()

    def tuples(self, sql: str, values: Iterable | Mapping = ()) -> list[tuple]:
        """What a SELECT finds, as bare tuples: quicker where there are very many."""
        with told(self.file):
            cursor = self._connection.cursor()
            cursor.row_factory = None
            return cursor.execute(sql, values).fetchall()

    def row(self, sql: str, values: Iterable | Mapping = ()) -> sqlite3.Row | None:
        """The first row that a SELECT finds."""
        with told(self.file):
            return self._connection.execute(sql, values).fetchone()

    def execute(self, sql: str, values: Iterable | Mapping = ()) -> int:
        """Run a statement that writes; how many rows it changed."""
        with told(self.file):
            return self._connection.execute(sql, values).rowcount

    def insert(self, table: str, row: Mapping[str, Any], *, conflict: str = "") -> int:
        """Insert `row`; `conflict` is SQL such as "ON CONFLICT DO NOTHING"."""
        names = ", ".join(row)
        return self.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join(':' + name for name in row)}) {conflict}", row)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of the block is written, or nothing; the write lock is taken at once, so what the block reads stays true."""
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _version(self) -> int:
        return self._connection.execute("PRAGMA user_version").fetchone()[0]

    def _migrate(self) -> None:
        with told(self.file):
            self._use_wal()
        with self.transaction(), told(self.file):
            if self._version() < VERSION:  # another process may have been quicker
                from ctrlx.store.schema import migrate

                migrate(self._connection)
                self._connection.execute(f"PRAGMA user_version = {VERSION}")

    def _use_wal(self) -> None:
        """Changing the journal mode does not wait for locks by itself."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as wrong:
                if "locked" not in str(wrong) or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)


@contextmanager
def told(place: Path) -> Iterator[None]:
    """Tell what the system or SQLite complains of as one sentence about `place` with a way out."""
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
        raise  # mistakes of ours
    except sqlite3.Error as wrong:
        raise HomeTrouble(_sentence_of_sqlite(place, str(wrong))) from wrong
    except OSError as wrong:
        raise HomeTrouble(_sentence_of_system(place, wrong)) from wrong


def _sentence_of_sqlite(place: Path, complaint: str) -> str:
    if "locked" in complaint:
        return f"{place} has been locked by another program for {PATIENCE:.0f} seconds; wait for that program to end, or end it"
    if "not a database" in complaint or "malformed" in complaint:
        return f"{place} is not a registry that can be read ({complaint}); move it away and a new one is made, or set CTRLX_HOME"
    if "full" in complaint:
        return f"the disk that holds {place} is full; free some space, or set CTRLX_HOME to a folder on another disk"
    return f"{place} cannot be used ({complaint}); {ELSEWHERE}"


def _sentence_of_system(place: Path, wrong: OSError) -> str:
    if wrong.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk that holds {place} is full; free some space, or set CTRLX_HOME to a folder on another disk"
    return f"{place} cannot be used ({(wrong.strerror or str(wrong)).lower()}); {ELSEWHERE}"
