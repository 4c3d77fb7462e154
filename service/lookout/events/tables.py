"""The tables of events.db.

`daily` is kept by triggers, so that its counts stay true however a row is changed; counting all events by label would
take longer with each event. What is seldom read (curve, embedding) is in `details`, which keeps the rows short.
"""

from __future__ import annotations

import sqlite3
from typing import Literal

VERSION = 2
# "Look", by which `file` and Lookout recognise the file.
APPLICATION_ID = 0x4C6F6F6B

# SQLite uses a partial index only for queries that repeat its condition literally.
MAY_BE_DRAWN = "(sampled = 1 OR kind = 'quiet')"
DRAWN = f"{MAY_BE_DRAWN} AND sampled = 1"

_KEY = "day = date({0}.started, 'unixepoch') AND view = {0}.view AND kind = {0}.kind AND label = {1}"
_LABEL = "coalesce({0}.\"right\", {0}.label, '')"
_ADD = """
    INSERT INTO daily (day, view, kind, label, n, bytes)
    VALUES (date(NEW.started, 'unixepoch'), NEW.view, NEW.kind, coalesce(NEW."right", NEW.label, ''), 1, NEW.bytes)
    ON CONFLICT DO UPDATE SET n = n + 1, bytes = bytes + excluded.bytes;
"""
_OLD = _KEY.format("OLD", _LABEL.format("OLD"))
_TAKE = f"""
    UPDATE daily SET n = n - 1, bytes = bytes - OLD.bytes WHERE {_OLD};
    DELETE FROM daily WHERE {_OLD} AND n <= 0;
"""

# Covers everything that the day at a glance reads of its events, since reading the rows takes many times as long. It
# does not use `called`: for a generated column SQLite reads the row even if the column is indexed.
_BY_BEGIN = 'CREATE INDEX events_started ON events (started, kind, label, "right", ended)'

SCHEMA = f"""
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    view TEXT NOT NULL DEFAULT 'main',
    kind TEXT NOT NULL,
    boot TEXT NOT NULL,
    mono_start REAL NOT NULL,
    started REAL NOT NULL,
    ended REAL NOT NULL,
    open INTEGER NOT NULL DEFAULT 0,
    cut INTEGER NOT NULL DEFAULT 0,
    clock_ok INTEGER NOT NULL DEFAULT 1,
    label TEXT,
    "right" TEXT,
    called TEXT GENERATED ALWAYS AS (coalesce("right", label)) VIRTUAL,
    probability REAL,
    mean REAL,
    frames INTEGER NOT NULL DEFAULT 0,
    model TEXT,
    region TEXT,
    why TEXT NOT NULL DEFAULT '{{}}',
    reviewed_at REAL,
    sampled INTEGER NOT NULL DEFAULT 0,
    doubt TEXT,
    kept INTEGER NOT NULL DEFAULT 0,
    note TEXT NOT NULL DEFAULT '',
    folder TEXT,
    bytes INTEGER NOT NULL DEFAULT 0
);
{_BY_BEGIN};
CREATE INDEX events_called ON events (called, id);
CREATE INDEX events_open ON events (id) WHERE open = 1;
CREATE INDEX events_todo ON events (id) WHERE "right" IS NULL AND doubt IS NOT NULL;
CREATE INDEX events_reviewed ON events ("right", id) WHERE "right" IS NOT NULL;
CREATE INDEX events_machine ON events (started) WHERE kind NOT IN ('seen', 'quiet', 'missed');
CREATE INDEX events_by_wrong_clock ON events (boot) WHERE clock_ok = 0;
CREATE INDEX events_drawn ON events (id) WHERE {MAY_BE_DRAWN};

CREATE TABLE details (id INTEGER PRIMARY KEY, curve BLOB, embedding BLOB);

CREATE TABLE daily (
    day TEXT NOT NULL, view TEXT NOT NULL, kind TEXT NOT NULL, label TEXT NOT NULL,
    n INTEGER NOT NULL, bytes INTEGER NOT NULL,
    PRIMARY KEY (day, view, kind, label)
) WITHOUT ROWID;
CREATE TRIGGER events_added AFTER INSERT ON events BEGIN {_ADD} END;
CREATE TRIGGER events_gone AFTER DELETE ON events BEGIN {_TAKE} DELETE FROM details WHERE id = OLD.id; END;
CREATE TRIGGER events_changed AFTER UPDATE OF started, view, kind, label, "right", bytes ON events
BEGIN {_TAKE} {_ADD} END;

-- What was deleted less than ten minutes ago, to be restored on request.
CREATE TABLE trash (id INTEGER PRIMARY KEY, event TEXT NOT NULL, folder TEXT, curve BLOB, embedding BLOB);

-- When the service ran: between two runs nobody knows what happened.
CREATE TABLE runs (
    run TEXT PRIMARY KEY, boot TEXT NOT NULL, mono_start REAL NOT NULL,
    started REAL NOT NULL, ended REAL NOT NULL, clock_ok INTEGER NOT NULL, first TEXT NOT NULL
);
CREATE INDEX runs_started ON runs (started);

CREATE TABLE notes (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""

# For each connection: little memory, and deleted content is overwritten where that costs no extra write.
_PRAGMAS = """
PRAGMA busy_timeout = 2000;
PRAGMA cache_size = -512;
PRAGMA temp_store = MEMORY;
PRAGMA trusted_schema = OFF;
"""
# Page size of a new file. A change writes whole pages, about six of them: with SQLite's default of 4,096 bytes the rows
# of an event cost a card more than its picture.
PAGE_BYTES = 2048
_WRITERS_PRAGMAS = f"""
PRAGMA page_size = {PAGE_BYTES};
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA wal_autocheckpoint = 0;
PRAGMA secure_delete = FAST;
PRAGMA recursive_triggers = OFF;
"""


class NewerTables(Exception):
    """The file was made by a newer version of Lookout."""


def connect_writer(path: str) -> sqlite3.Connection:
    """Open the file for writing and create the tables if there are none. Raises sqlite3.Error, NewerTables."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.executescript(_PRAGMAS + _WRITERS_PRAGMAS)
        make_tables(connection)
    except BaseException:
        connection.close()
        raise
    return connection


Reading = Literal["plain", "light", "frozen"]
_READING: dict[Reading, str] = {"plain": "", "light": "&readonly_shm=1", "frozen": "&immutable=1"}


def connect_reader(path: str, how: Reading = "plain") -> sqlite3.Connection:
    """Open the file for reading. Raises sqlite3.Error.

    plain: recreates the log's index (`-shm`) if no other connection has it open, which writes to the disk. light:
    writes nothing, but the index must exist, and no other connection of this process can write until this one is
    closed. frozen: reads the file without its log; nothing may change the file meanwhile.
    """
    address = f"file:{_quoted(path)}?mode=ro" + _READING[how]
    connection = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
    try:
        connection.executescript(_PRAGMAS)
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def connect_nothing(page_bytes: int = PAGE_BYTES) -> sqlite3.Connection:
    """Return empty tables in memory, for reads before anything was stored.

    page_bytes: the page size, which must be that of a file whose content they are to replace.
    """
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA page_size = {page_bytes}")
    make_tables(connection)
    return connection


def page_bytes(connection: sqlite3.Connection) -> int:
    """Return the page size of a file, which stays as it was when the file was created."""
    return int(connection.execute("PRAGMA page_size").fetchone()[0])


def copy(source: sqlite3.Connection, target: sqlite3.Connection, table: str) -> None:
    """Copy all rows of a table that both databases have. Raises sqlite3.Error."""
    rows = source.execute(f"SELECT * FROM {table}").fetchall()
    if rows:
        target.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)


def make_tables(connection: sqlite3.Connection) -> None:
    """Create the tables of this version, or migrate those of an earlier one. Raises sqlite3.Error, NewerTables."""
    version = _version(connection)
    if version > VERSION:
        raise NewerTables
    if version == VERSION:
        return
    work = SCHEMA if version == 0 else f"DROP INDEX events_started;{_BY_BEGIN};"
    script = f"BEGIN IMMEDIATE;{work}PRAGMA application_id = {APPLICATION_ID};PRAGMA user_version = {VERSION};COMMIT;"
    try:
        connection.executescript(script)
    except sqlite3.OperationalError:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if _version(connection) != VERSION:  # otherwise another process was faster
            raise


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _quoted(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
