"""The registry's tables, as migrations. Imported only where a file is behind; append to it, never edit what was released."""

from __future__ import annotations

import sqlite3

from sqlite_utils import Database, Migrations

migrations = Migrations("ctrlx")

FIRST = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE weights (
    sha256 TEXT PRIMARY KEY, size INTEGER NOT NULL, place TEXT NOT NULL CHECK (place IN ('store', 'registry')), added TEXT NOT NULL
);
CREATE TABLE controls (
    name TEXT PRIMARY KEY COLLATE NOCASE, kind TEXT NOT NULL, family TEXT NOT NULL, source TEXT NOT NULL,
    sha256 TEXT NOT NULL REFERENCES weights (sha256), size INTEGER NOT NULL, origin TEXT NOT NULL, created TEXT NOT NULL,
    concept TEXT NOT NULL, prompts TEXT NOT NULL, rank INTEGER, alpha REAL, modules INTEGER,
    tags TEXT NOT NULL, notes TEXT NOT NULL, recipe TEXT NOT NULL
);
CREATE INDEX controls_by_family ON controls (family, source, kind);
CREATE INDEX controls_by_weights ON controls (sha256);
CREATE TABLE removed (name TEXT PRIMARY KEY COLLATE NOCASE, at TEXT NOT NULL);
CREATE TABLE runs (
    id TEXT PRIMARY KEY, command TEXT NOT NULL, arguments TEXT NOT NULL, started TEXT NOT NULL, ended TEXT,
    status TEXT NOT NULL CHECK (status IN ('running', 'done', 'failed', 'interrupted')), error TEXT,
    versions TEXT NOT NULL, read TEXT NOT NULL, result TEXT NOT NULL
);
CREATE INDEX runs_by_start ON runs (started);
CREATE TABLE made (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE, position INTEGER NOT NULL, path TEXT NOT NULL, PRIMARY KEY (run, position)
);
CREATE INDEX made_by_path ON made (path);
CREATE TABLE scores (
    id INTEGER PRIMARY KEY, run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    control TEXT NOT NULL COLLATE NOCASE, weights TEXT NOT NULL REFERENCES weights (sha256),
    target TEXT NOT NULL, strength REAL NOT NULL, prompt TEXT NOT NULL, seed INTEGER NOT NULL,
    original REAL NOT NULL, edited REAL NOT NULL, concept TEXT NOT NULL, scorer TEXT NOT NULL,
    UNIQUE (run, control, target, strength, prompt, seed)
);
CREATE INDEX scores_by_control ON scores (control, weights, target, strength);
"""

PICTURES = """
CREATE TABLE pictures (key TEXT PRIMARY KEY, file TEXT NOT NULL, fault TEXT NOT NULL, run TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE embeddings (scorer TEXT NOT NULL, file TEXT NOT NULL, vector BLOB NOT NULL, PRIMARY KEY (scorer, file));
CREATE TABLE findings (key TEXT PRIMARY KEY, value TEXT NOT NULL)
"""


@migrations()
def first(db: Database) -> None:
    for statement in filter(str.strip, FIRST.split(";")):
        db.conn.execute(statement)


@migrations()
def pictures(db: Database) -> None:
    for statement in filter(str.strip, PICTURES.split(";")):
        db.conn.execute(statement)


INDEXED = """
    new.rowid, new.name, new.tags, new.notes, new.prompts,
    new.concept || ' ' || coalesce(json_extract(new.recipe, '$.trigger_words'), '') || ' ' || coalesce(json_extract(new.recipe, '$.hashes'), '')
"""
SEARCH = (
    "CREATE VIRTUAL TABLE found USING fts5 (name, tags, notes, prompts, words)",
    f"CREATE TRIGGER found_new AFTER INSERT ON controls BEGIN INSERT INTO found (rowid, name, tags, notes, prompts, words) VALUES ({INDEXED}); END",
    "CREATE TRIGGER found_gone AFTER DELETE ON controls BEGIN DELETE FROM found WHERE rowid = old.rowid; END",
    (
        "CREATE TRIGGER found_changed AFTER UPDATE ON controls BEGIN DELETE FROM found WHERE rowid = old.rowid;"
        f" INSERT INTO found (rowid, name, tags, notes, prompts, words) VALUES ({INDEXED}); END"
    ),
    f"INSERT INTO found (rowid, name, tags, notes, prompts, words) SELECT {INDEXED} FROM controls AS new",
)


@migrations()
def search(db: Database) -> None:
    for statement in SEARCH:
        db.conn.execute(statement)


def migrate(connection: sqlite3.Connection) -> None:
    """Apply what is pending, inside the caller's transaction."""
    migrations.apply(Database(connection))
