"""Names and numbers by their keys, on disk: millions take no more memory than a few."""

from __future__ import annotations

import sqlite3
import weakref


def temporary_database(table: str) -> sqlite3.Connection:
    """Return a database with one table, in a temporary file that SQLite removes by itself.

    One thread at a time may use it, and any may close it.
    """
    # Whatever owns it is collected in the thread that happens to run then, and closes it there.
    database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    for setting in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-16384"):
        database.execute(f"PRAGMA {setting}")
    database.execute(f"CREATE TABLE {table} WITHOUT ROWID")
    database.execute("BEGIN")  # never committed: nothing shall last
    return database


def stored(name: str) -> bytes:
    """Return a name as it is kept: file names need not be valid Unicode, SQLite's text has to."""
    return name.encode("utf-8", "surrogateescape")


class NameIndex:
    """Names by keys; a key may have several."""

    def __init__(self) -> None:
        columns = "key BLOB, name BLOB, PRIMARY KEY (key, name)"
        self._database = temporary_database(f"names ({columns})")
        weakref.finalize(self, self._database.close)

    def add(self, key: str, name: str) -> None:
        """Enter a name; twice is once."""
        row = stored(key), stored(name)
        self._database.execute("INSERT OR IGNORE INTO names VALUES (?, ?)", row)

    def names(self, key: str) -> list[str]:
        """Return the names of a key, sorted."""
        rows = self._database.execute(
            "SELECT name FROM names WHERE key = ? ORDER BY name", (stored(key),)
        )
        return [name.decode("utf-8", "surrogateescape") for (name,) in rows]

    def claim(self, key: str, name: str) -> str:
        """Enter a name unless the key has one; return the name that it has."""
        names = self.names(key)
        if names:
            return names[0]
        self.add(key, name)
        return name
