"""What is wrong with a home and what can be mended; and what nobody needs any more."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from ctrlx.errors import BadWeights, CtrlxError, MissingWeights
from ctrlx.store import beside
from ctrlx.store.database import told
from ctrlx.store.registry import Registry

HOUR = 3600.0  # seconds
STALE = {"tmp": HOUR, "part": 7 * 24 * HOUR, "etag": 7 * 24 * HOUR}  # how old leftovers must be, since they may be in use


class Finding(NamedTuple):
    """Something that is not as it should be, and whether it was mended."""

    what: str
    mended: bool


class Freed(NamedTuple):
    """What gc deleted."""

    files: int
    bytes: int


def broken_database(home: Path) -> str | None:
    """What SQLite says of a registry file that cannot be read; None for one that can, or that is not there."""
    file = home / "registry.db"
    if not file.is_file():
        return None
    try:
        with closing(sqlite3.connect(file, timeout=10)) as connection:
            said = connection.execute("PRAGMA quick_check").fetchone()[0]
    except sqlite3.OperationalError:
        return None  # locked or not to be opened: trouble of another kind
    except sqlite3.DatabaseError as wrong:
        return str(wrong)
    return None if said == "ok" else said.splitlines()[0]


def put_aside(home: Path) -> Path:
    """The broken registry file out of the way, kept beside the one that is made next. Raises HomeTrouble."""
    aside = home / f"registry.db.broken-{time.strftime('%Y%m%d-%H%M%S')}"
    with told(home):
        os.replace(home / "registry.db", aside)
        for log in ("-wal", "-shm"):
            (home / f"registry.db{log}").unlink(missing_ok=True)
    return aside


def examine(registry: Registry, mend: bool) -> list[Finding]:
    """Controls without files, files without records, records without controls. Mending writes what can be made again."""
    return [*_missing_files(registry), *_records(registry, mend), *_index(registry, mend), *_unused(registry)]


def verify(registry: Registry) -> dict[str, str | None]:
    """Every control's weights hashed again: by name, what is wrong or None."""
    found: dict[str, str | None] = {}
    for control in registry.controls():
        try:
            registry.verified_weights_path(control)
            found[control.name] = None
        except (BadWeights, MissingWeights) as wrong:
            found[control.name] = str(wrong)
    return found


def collect(registry: Registry) -> Freed:
    """Deletes weight files that no control uses, removed controls' records and old leftovers. Removed controls are gone for good then."""
    gone: list[int] = []
    with registry._database.transaction(), told(registry.home):  # nobody can record a control meanwhile
        used = _used(registry)
        for file in _files(registry):
            kind = file.suffix.lstrip(".")
            old = time.time() - file.stat().st_mtime > STALE.get(kind, 0)
            unused = file.name[:64] not in used
            if (kind in STALE and old) or (kind in ("safetensors", beside.HERE) and unused) or kind == beside.REMOVED:
                gone.append(file.stat().st_size)
                file.unlink()
    return Freed(len(gone), sum(gone))


def _missing_files(registry: Registry) -> list[Finding]:
    found = []
    for control in registry.controls():
        try:
            registry.weights_path(control)
        except CtrlxError as wrong:
            origin = control.recipe.get("imported_from")
            found.append(Finding(f"{wrong}{f'; it was imported from {origin}' if origin else ''}", False))
    return found


def _records(registry: Registry, mend: bool) -> list[Finding]:
    """Records and rows tell the same, or one is made from the other."""
    found = []
    for file, control in list(beside.records(registry.home)):
        if control is None:
            found.append(Finding(f"the record {file} cannot be read", False))
        elif not any(known.name == control.name for known in registry.controls_of_file(control.sha256)):
            try:
                if mend:
                    registry.add_control(control, registry.kept_file(control))
                found.append(Finding(f"'{control.name}' has a record and a weight file but was not in the registry", mend))
            except CtrlxError as wrong:
                found.append(Finding(str(wrong), False))
    for control in registry.controls():
        if control.origin != "built-in" and not beside.place(registry.home, control).is_file():
            if mend:
                beside.write(registry.home, control)
            found.append(Finding(f"'{control.name}' had no record beside its weight file", mend))
    return found


def _index(registry: Registry, mend: bool) -> list[Finding]:
    """The search index holds every control."""
    count = registry._database.row("SELECT (SELECT count(*) FROM found) AS found, (SELECT count(*) FROM controls) AS controls")
    if count["found"] == count["controls"]:
        return []
    if mend:
        registry._database.execute("DELETE FROM found")
        registry._database.execute("UPDATE controls SET name = name")  # its trigger writes the index
    return [Finding(f"the search index had {count['found']} of {count['controls']} controls", mend)]


def _unused(registry: Registry) -> list[Finding]:
    used = _used(registry)
    files = [file for file in _files(registry) if file.suffix == ".safetensors" and file.stem not in used]
    if not files:
        return []
    size = sum(file.stat().st_size for file in files)
    return [Finding(f"{len(files)} weight files of {size / 1e6:.1f} MB are used by no control; `ctrlx gc` deletes them", False)]


def _used(registry: Registry) -> set[str]:
    return {row["sha256"] for row in registry._database.rows("SELECT DISTINCT sha256 FROM controls")}


def _files(registry: Registry) -> list[Path]:
    folders = [*(registry.home / "weights").glob("??"), registry.home / "downloads"]
    return [file for folder in folders if folder.is_dir() for file in folder.iterdir() if file.is_file()]
