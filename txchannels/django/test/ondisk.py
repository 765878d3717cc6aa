"""A test database in memory becomes a file for a while, so that other processes can use it.

SQLite's databases in memory belong to one process. What the test writes in the meantime
goes to the file, and is gone with it; afterwards the database in memory is as it was.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from django.db import connections
from django.test.testcases import TransactionTestCase

__all__ = ["databases_on_disk"]


@contextmanager
def databases_on_disk(aliases: Collection[str], folder: Path) -> Iterator[None]:
    """Keep those of the databases *aliases* that are in memory as files in *folder*.

    Raises: RuntimeError: The test is inside a transaction, which no other process can see.
    """
    files: dict[str, Path] = {}
    with ExitStack() as stack:
        for alias in aliases:
            connection = connections[alias]
            if connection.in_atomic_block:
                raise RuntimeError(
                    f"The database {alias!r} is in the test's transaction, which no other process "
                    f"can see: a live server needs a {TransactionTestCase.__name__}, or "
                    "pytest-django's transactional_db"
                )
            if connection.vendor != "sqlite" or not connection.is_in_memory_db():
                continue
            name = connection.settings_dict["NAME"]
            if name not in files:  # a mirror is the same database
                files[name] = folder / f"{alias}.sqlite3"
                _copy(connection, files[name])
            stack.enter_context(_use_file(connection, files[name]))
        yield


def _copy(connection: Any, path: Path) -> None:
    connection.ensure_connection()
    with closing(sqlite3.connect(path)) as file:
        connection.connection.backup(file)
        # Readers and a writer do not wait for each other.
        file.execute("PRAGMA journal_mode=WAL")


@contextmanager
def _use_file(connection: Any, path: Path) -> Iterator[None]:
    in_memory, name = connection.connection, connection.settings_dict["NAME"]
    # In place: connections that other threads make are to the file, too.
    connection.settings_dict["NAME"] = str(path)
    connection.connection = None
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = name
        connection.connection = in_memory
