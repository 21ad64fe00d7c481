"""Each control's record as JSON beside its weight file, so that a broken database can be made again from the files.

<home>/weights/ab/<sha256>.<name>.json; `.removed` in place of `.json` once the control is removed, until gc.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from ctrlx.records import Control
from ctrlx.store import weights
from ctrlx.store.database import told

HERE, REMOVED = "json", "removed"


def place(home: Path, control: Control, suffix: str = HERE) -> Path:
    return weights.place_of(home, control.sha256).with_name(f"{control.sha256}.{control.name.lower()}.{suffix}")


def write(home: Path, control: Control) -> None:
    """Raises HomeTrouble."""
    text = json.dumps(asdict(control), ensure_ascii=False, indent=1, default=str)
    with told(home):
        weights._write(io.BytesIO(text.encode("utf-8")), place(home, control))


def forget(home: Path, control: Control) -> None:
    place(home, control).unlink(missing_ok=True)


def set_aside(home: Path, control: Control) -> None:
    """The control is removed; its record waits for `restore` or gc."""
    if place(home, control).is_file():
        with told(home):
            os.replace(place(home, control), place(home, control, REMOVED))


def records(home: Path, suffix: str = HERE) -> Iterator[tuple[Path, Control | None]]:
    """Every record of this sort and its file, the oldest first; None for one that cannot be read."""
    for file in sorted((home / "weights").glob(f"??/*.{suffix}"), key=lambda file: file.stat().st_mtime_ns):
        try:
            table = json.loads(file.read_text(encoding="utf-8"))
            control = Control(**{**table, "prompts": tuple(table["prompts"]), "tags": tuple(table["tags"])})
        except (OSError, ValueError, TypeError, KeyError):
            control = None
        yield file, control
