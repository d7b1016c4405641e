"""The tables of the database, and its versions. Times are microseconds since 1970, durations microseconds."""

from __future__ import annotations

import sqlite3

VERSION = 2

# Version 1. Never change it: MIGRATIONS lead from it to today's.
_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- One row for each lease of a slot: a container that is released and started again gets another row.
CREATE TABLE leases (
    id INTEGER PRIMARY KEY, record TEXT NOT NULL, uuid TEXT NOT NULL, slot TEXT NOT NULL, gpu_uuid TEXT,
    kind TEXT NOT NULL, profile TEXT, container TEXT NOT NULL, user TEXT NOT NULL, uid INTEGER NOT NULL,
    user_group TEXT NOT NULL, project TEXT, image TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER, ended TEXT
);
CREATE INDEX leases_of_record ON leases (record, uuid);
CREATE INDEX leases_by_end ON leases (until);

-- The states of a lease without gaps: leased, or held by a stopped container.
CREATE TABLE spans (lease INTEGER NOT NULL, state TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER);
CREATE INDEX spans_of_lease ON spans (lease);

-- What was measured of a lease between two ticks. level: 0 as measured, 1 merged into hours, 2 into days.
-- active, idle, unknown: the time judged so. measured: the time for which the utilisation is known; used: utilisation
-- times that time. memory: MiB times seconds, known for memory_time. cpu: CPU time used in cpu_time. energy: mJ.
CREATE TABLE samples (
    lease INTEGER NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL, level INTEGER NOT NULL DEFAULT 0,
    active INTEGER NOT NULL, idle INTEGER NOT NULL, unknown INTEGER NOT NULL, measured INTEGER NOT NULL,
    used INTEGER NOT NULL, memory INTEGER NOT NULL, memory_time INTEGER NOT NULL, cpu INTEGER NOT NULL,
    cpu_time INTEGER NOT NULL, energy INTEGER NOT NULL, energy_time INTEGER NOT NULL
);
CREATE INDEX samples_by_time ON samples (since);
CREATE INDEX samples_by_level ON samples (level, since);

CREATE TABLE energy (
    gpu_uuid TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL, level INTEGER NOT NULL DEFAULT 0,
    energy INTEGER NOT NULL
);
CREATE INDEX energy_by_time ON energy (since);
CREATE INDEX energy_by_level ON energy (level, since);

-- The counters at the last tick: energy of a GPU (mJ), CPU time of a container (ns) since `mark`.
CREATE TABLE counters (
    kind TEXT NOT NULL, key TEXT NOT NULL, at INTEGER NOT NULL, value INTEGER, mark TEXT, PRIMARY KEY (kind, key)
) WITHOUT ROWID;

-- The hardware at the last tick that saw it. slices: compute slices.
CREATE TABLE slots (
    uuid TEXT PRIMARY KEY, slot TEXT NOT NULL, gpu INTEGER NOT NULL, gpu_uuid TEXT NOT NULL, kind TEXT NOT NULL,
    profile TEXT, model TEXT NOT NULL, slices INTEGER NOT NULL, present INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE waits (
    at INTEGER NOT NULL, container TEXT NOT NULL, user TEXT NOT NULL, uid INTEGER NOT NULL, user_group TEXT NOT NULL,
    project TEXT, image TEXT, duration INTEGER NOT NULL, outcome TEXT NOT NULL, PRIMARY KEY (at, container)
) WITHOUT ROWID;
CREATE TABLE idle_stops (
    at INTEGER NOT NULL, container TEXT NOT NULL, user TEXT NOT NULL, PRIMARY KEY (at, container)
) WITHOUT ROWID;
CREATE TABLE extensions (
    at INTEGER NOT NULL, container TEXT NOT NULL, user TEXT NOT NULL, duration INTEGER NOT NULL,
    PRIMARY KEY (at, container)
) WITHOUT ROWID;
"""

# version -> the statements that lead to the next one.
MIGRATIONS: dict[int, str] = {
    1: """
CREATE TABLE disk (
    at INTEGER NOT NULL, uid INTEGER NOT NULL, user TEXT NOT NULL, kind TEXT NOT NULL, bytes INTEGER NOT NULL,
    PRIMARY KEY (at, uid, kind)
) WITHOUT ROWID;
""",
}


class NewerVersion(sqlite3.DatabaseError):
    """The database was written by a newer ds01."""


def prepare(connection: sqlite3.Connection) -> None:
    """Create the tables, or bring those of an older version up to date. Raises sqlite3.Error."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == VERSION:
        return
    if version > VERSION:
        raise NewerVersion(f"version {version}, and this ds01 knows {VERSION}")
    statements = [] if version else _statements(_TABLES)
    for step in range(version or 1, VERSION):
        statements += _statements(MIGRATIONS[step])
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in statements:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _statements(text: str) -> list[str]:
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    return [statement for statement in lines.split(";") if statement.strip()]
