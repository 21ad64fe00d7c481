"""The built-in controls of registry/ as rows of the user's registry, brought up to date when what is shipped has changed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ctrlx import catalogue
from ctrlx.records import Control
from ctrlx.store import rows
from ctrlx.store.database import Database


def sync(database: Database, registry_folder: Path) -> None:
    """Bring the built-ins' rows up to date. What the user removed stays removed; a name the user took stays the user's."""
    seen = _fingerprint(registry_folder / "controls")
    stored = database.row("SELECT value FROM meta WHERE key = 'built-ins'")
    if stored and stored["value"] == seen:
        return
    controls = catalogue.built_in_controls(registry_folder)
    with database.transaction():
        taken = {row["name"].lower() for row in database.rows("SELECT name FROM controls WHERE origin <> 'built-in'")}
        removed = {row["name"].lower() for row in database.rows("SELECT name FROM removed")}
        labelled = {row["name"].lower(): row for row in database.rows("SELECT name, tags, notes FROM controls WHERE origin = 'built-in'")}
        database.execute("DELETE FROM controls WHERE origin = 'built-in'")
        for control in controls:
            if control.name.lower() not in taken | removed:
                _insert(database, _labelled(control, labelled.get(control.name.lower())))
        database.insert("meta", {"key": "built-ins", "value": seen}, conflict="ON CONFLICT (key) DO UPDATE SET value = excluded.value")


def _labelled(control: Control, before: Mapping[str, str] | None) -> Control:
    """With the tags and notes that the user gave it."""
    if before is None:
        return control
    tags = tuple(dict.fromkeys((*control.tags, *json.loads(before["tags"]))))
    return replace(control, tags=tags, notes=before["notes"] or control.notes)


def _insert(database: Database, control: Control) -> None:
    weights = {"sha256": control.sha256, "size": control.size, "place": "registry", "added": control.created}
    database.insert("weights", weights, conflict="ON CONFLICT DO NOTHING")
    database.insert("controls", rows.to_row(control))


def _fingerprint(folder: Path) -> str:
    """Changes when a file of `folder` does: names, modification times (ns) and sizes."""
    if not folder.is_dir():
        return str(folder)
    found = sorted((entry.name, entry.stat().st_mtime_ns, entry.stat().st_size) for entry in os.scandir(folder))
    return "\n".join([str(folder), *(f"{name} {changed} {size}" for name, changed, size in found)])
