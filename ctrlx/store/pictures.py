"""Pictures that were drawn once and what was found on them, kept under the key of all that makes them: <home>/pictures/ab/<sha256>.png."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctrlx.store import weights
from ctrlx.store.database import Database, told

MANY = 500  # values in one statement; SQLite takes 999 in its oldest form


@dataclass(frozen=True)
class Kept:
    """A picture that is there."""

    sha256: str  # of its PNG file
    path: Path
    fault: str  # "" for a picture, else why it is none: "nan", "flat"


class Pictures:
    """The picture cache of one registry. A file is written before its row, so a kill at any moment loses nothing that has a row."""

    def __init__(self, home: Path, database: Database):
        self.home = home
        self._database = database

    def find(self, keys: Iterable[str]) -> dict[str, Kept]:
        """By key, the pictures that are there; one whose file is gone or altered is not."""
        found = {}
        for part in _parts(sorted(set(keys))):
            for row in self._database.rows(f"SELECT key, file, fault FROM pictures WHERE key IN ({_marks(part)})", part):
                path = self.place_of(row["file"])
                if path.is_file() and weights.digest(path)[0] == row["file"]:
                    found[row["key"]] = Kept(row["file"], path, row["fault"])
        return found

    def add(self, key: str, png: bytes, fault: str, made: str) -> Kept:
        """Keep a picture; `made` is the id of the run that drew it. Raises HomeTrouble."""
        sha256 = weights.sha256_of(png)
        path = self.place_of(sha256)
        with told(self.home):
            if not path.is_file() or weights.digest(path)[0] != sha256:
                weights.write_bytes(png, path)
        row = {"key": key, "file": sha256, "fault": fault, "run": made}
        self._database.insert("pictures", row, conflict="ON CONFLICT (key) DO UPDATE SET file = excluded.file, fault = excluded.fault")
        return Kept(sha256, path, fault)

    def place_of(self, sha256: str) -> Path:
        return self.home / "pictures" / sha256[:2] / f"{sha256}.png"

    def embeddings(self, scorer: str, files: Iterable[str]) -> dict[str, bytes]:
        """By picture file, what the scorer of this hash saw: float32, little-endian."""
        found: dict[str, bytes] = {}
        for part in _parts(sorted(set(files))):
            sql = f"SELECT file, vector FROM embeddings WHERE scorer = ? AND file IN ({_marks(part)})"
            found |= {row["file"]: row["vector"] for row in self._database.rows(sql, [scorer, *part])}
        return found

    def add_embeddings(self, scorer: str, vectors: Mapping[str, bytes]) -> None:
        """Keep what the scorer saw, all or nothing."""
        with self._database.transaction():
            for file, vector in vectors.items():
                self._database.insert("embeddings", {"scorer": scorer, "file": file, "vector": vector}, conflict="ON CONFLICT DO NOTHING")

    def finding(self, key: str) -> dict[str, Any] | None:
        """What was found out once about what `key` stands for, None where nothing was."""
        row = self._database.row("SELECT value FROM findings WHERE key = ?", [key])
        return row and json.loads(row["value"])

    def add_finding(self, key: str, value: Mapping[str, Any]) -> None:
        row = {"key": key, "value": json.dumps(dict(value), ensure_ascii=False)}
        self._database.insert("findings", row, conflict="ON CONFLICT (key) DO UPDATE SET value = excluded.value")


def _parts(values: Sequence[str]) -> Iterable[Sequence[str]]:
    return (values[start : start + MANY] for start in range(0, len(values), MANY))


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))
