"""The user's registry: what it holds, and how it is written so that a kill at any moment loses nothing that was reported done."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ctrlx import catalogue
from ctrlx.errors import BadInput, BadWeights, NotKnown
from ctrlx.records import Control, ListedControl, Run, Score, ScoreSummary
from ctrlx.store import beside, builtins, rows, weights
from ctrlx.store.database import Database, told
from ctrlx.store.pictures import Pictures

LIBRARIES = ("ctrlx", "torch", "diffusers", "transformers", "peft", "open_clip_torch", "safetensors", "numpy")


class Registry:
    """The SQLite file and the weight files under one home folder. Use as a context manager, or close it."""

    def __init__(self, home: Path, database: Database, registry_folder: Path):
        self.home = home
        self.registry_folder = registry_folder
        self._database = database

    @classmethod
    def open(cls, home: Path | None = None, registry_folder: Path | None = None) -> Registry:
        """The registry at `home` (CTRLX_HOME where nobody says), made or migrated first, holding what `registry_folder` ships.

        Raises HomeTrouble where the folder or the file in it cannot be used.
        """
        home = home or catalogue.home_folder()
        with told(home):
            home.mkdir(parents=True, exist_ok=True)
        database = Database(home / "registry.db")
        try:
            registry = cls(home, database, registry_folder or catalogue.registry_folder())
            builtins.sync(database, registry.registry_folder)
        except BaseException:
            database.close()
            raise
        return registry

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Registry:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # controls

    def controls(self, kind: str | None = None, family: str | None = None, source: str | None = None) -> list[Control]:
        """Controls by name, optionally of one kind, one family, one source."""
        return list(map(rows.to_control, self._database.rows(*_select("*", kind, family, source))))

    def listing(
        self, kind: str | None = None, family: str | None = None, source: str | None = None, tag: str | None = None, sort: str = "name"
    ) -> list[ListedControl]:
        """As controls, with what a list shows and no more: ten times as quick. `sort`: a field's name, "-size" for the largest first."""
        query = _select(", ".join(ListedControl._fields), kind, family, source, tag, sort)
        return list(map(ListedControl._make, self._database.tuples(*query)))

    def control(self, name: str) -> Control:
        """The control called `name`, whatever its case.

        Raises NotKnown with the nearest name.
        """
        if control := self._find(name):
            return control
        raise NotKnown("control", name, [row["name"] for row in self._database.rows("SELECT name FROM controls")])

    def controls_of_file(self, sha256: str) -> list[Control]:
        """Controls whose weights have this hash, or were made from a file that had it."""
        found = self._database.rows(
            "SELECT * FROM controls WHERE sha256 = :sha256 OR json_extract(recipe, '$.hashes.sha256') = :sha256 ORDER BY name", {"sha256": sha256}
        )
        return list(map(rows.to_control, found))

    def add_control(self, control: Control, weights_file: Path | bytes) -> Control:
        """Keep `weights_file` and record `control`; the record as stored, its sha256 and size read from the file.

        Recording the same control twice changes nothing; `created` does not count.
        Raises BadInput for a name that cannot be used or is taken, BadWeights where the record states another sha256.
        """
        if not catalogue.NAME.fullmatch(control.name):
            raise BadInput(f"a control cannot be named '{control.name[:80]}'; {catalogue.NAME_RULE}")
        sha256, size = weights.put(self.home, weights_file)
        if control.sha256 not in ("", sha256):
            raise BadWeights(f"the weights of '{control.name}' have sha256 {sha256[:12]}…, not {control.sha256[:12]}… as its record says")
        control = replace(control, sha256=sha256, size=size)
        with self._database.transaction():
            if there := self._find(control.name):
                return _same(there, control)
            if not weights.place_of(self.home, sha256).is_file():  # gc was quicker
                weights.put(self.home, weights_file)
            beside.write(self.home, control)
            kept = {"sha256": sha256, "size": size, "place": "store", "added": _now()}
            self._database.insert("weights", kept, conflict="ON CONFLICT (sha256) DO UPDATE SET place = 'store'")
            self._database.insert("controls", rows.to_row(control))
        return self.control(control.name)

    def remove_control(self, name: str) -> Control:
        """Forget the control called `name`; the record it had. Its weights, runs and scores stay, and a built-in does not come back.

        Raises NotKnown with the nearest name.
        """
        control = self.control(name)
        with self._database.transaction():
            self._database.execute("DELETE FROM controls WHERE name = ?", [control.name])
            if control.origin == "built-in":
                self._database.insert("removed", {"name": control.name, "at": _now()}, conflict="ON CONFLICT DO NOTHING")
        beside.set_aside(self.home, control)
        return control

    def weights_path(self, control: Control) -> Path:
        """Where the weights of `control` lie, a file of the right size.

        Raises MissingWeights, or BadWeights for another size.
        """
        stored = self._database.row("SELECT place FROM weights WHERE sha256 = ?", [control.sha256])
        if stored and stored["place"] == "store":
            path = weights.place_of(self.home, control.sha256)
        else:
            path = catalogue.weights_of_built_in(control.name, self.registry_folder)
        return weights.check(path, control.name, control.size)

    def kept_file(self, control: Control) -> Path:
        """Where the store keeps the weights of `control`, which may be a removed one. Raises MissingWeights, BadWeights."""
        return weights.check(weights.place_of(self.home, control.sha256), control.name, control.size)

    def verified_weights_path(self, control: Control) -> Path:
        """As weights_path, the content hashed again.

        Raises MissingWeights, or BadWeights for another size or content.
        """
        return weights.verify(self.weights_path(control), control.name, control.sha256)

    # runs

    def start_run(self, command: str, arguments: Mapping[str, Any], *, read: Mapping[str, str] | None = None) -> Run:
        """Record that `command` began; `read` maps the names it reads to the sha256 of their weights. Library versions are added."""
        identity = f"{datetime.now(timezone.utc):%Y%m%d-%H%M%S}-{os.urandom(4).hex()}"
        run = Run(identity, command, dict(arguments), started=_now(), versions=library_versions(), read=dict(read or {}))
        self._database.insert("runs", rows.to_row(run))
        return run

    def finish_run(
        self, run: Run, status: str, *, result: Mapping[str, Any] | None = None, made: Iterable[str | Path] = (), error: str | None = None
    ) -> Run:
        """Record how `run` ended: "done", "failed" or "interrupted"; the record as stored. A run ends once.

        Raises ValueError where it has ended already.
        """
        ended = replace(run, ended=_now(), status=status, error=error, result=dict(result or {}), made=tuple(map(str, made)))
        row = rows.to_row(ended)
        with self._database.transaction():
            changed = self._database.execute(
                "UPDATE runs SET ended = :ended, status = :status, error = :error, result = :result WHERE id = :id AND status = 'running'", row
            )
            if not changed:
                raise ValueError(f"run {run.id} has ended already, or never began")
            for position, path in enumerate(ended.made):
                self._database.insert("made", {"run": run.id, "position": position, "path": path})
        return ended

    @contextmanager
    def recording(
        self, command: str, arguments: Mapping[str, Any], *, read: Mapping[str, str] | None = None, made: Sequence[str | Path] = ()
    ) -> Iterator[Run]:
        """Start a run for the block, which ends it with finish_run; left otherwise, it is "interrupted" or "failed".

        `made` may be a list that the block adds to: what is in it when the block is left otherwise is recorded too.
        """
        run = self.start_run(command, arguments, read=read)
        try:
            yield run
        except (KeyboardInterrupt, GeneratorExit, SystemExit):
            self._end_if_running(run, "interrupted", "stopped by the user", made)
            raise
        except BaseException as wrong:
            self._end_if_running(run, "failed", f"{type(wrong).__name__}: {wrong}", made)
            raise
        self._end_if_running(run, "failed", "left without a result", made)

    def run(self, identity: str) -> Run:
        """The run with this id.

        Raises NotKnown with the nearest id.
        """
        row = self._database.row("SELECT * FROM runs WHERE id = ?", [identity])
        if row is None:
            raise NotKnown("run", identity, [row["id"] for row in self._database.rows("SELECT id FROM runs")])
        return self._run(row)

    def runs(self, command: str | None = None, control: str | None = None, limit: int = -1) -> list[Run]:
        """Runs, the latest first, optionally of one command, or that read one control; at most `limit`."""
        found = self._database.rows(
            "SELECT * FROM runs WHERE (:command IS NULL OR command = :command)"
            " AND (:control IS NULL OR EXISTS (SELECT 1 FROM json_each(read) WHERE key = :control COLLATE NOCASE))"
            " ORDER BY started DESC, rowid DESC LIMIT :limit",
            {"command": command, "control": control, "limit": limit},
        )
        return [self._run(row) for row in found]

    def runs_of(self, control: Control) -> list[Run]:
        """Runs that made `control` or read its weights, under whatever name, the oldest first."""
        found = self._database.rows(
            "SELECT * FROM runs WHERE json_extract(result, '$.sha256') = :sha256 OR id = :made"
            " OR EXISTS (SELECT 1 FROM json_each(read) WHERE value = :sha256) ORDER BY started, rowid",
            {"sha256": control.sha256, "made": control.recipe.get("run")},
        )
        return [self._run(row) for row in found]

    # scores

    def add_scores(self, run: Run, scores: Iterable[Score]) -> None:
        """Record what `run` measured, all or nothing; the same score of the same run twice is once.

        Raises NotKnown where a score's control is not in the registry.
        """
        with self._database.transaction():
            hashes: dict[str, str] = {}
            for score in scores:
                sha256 = hashes.get(score.control) or hashes.setdefault(score.control, self.control(score.control).sha256)
                row = {**rows.to_row(score), "run": run.id, "weights": sha256}
                self._database.insert("scores", row, conflict="ON CONFLICT DO NOTHING")

    def scores(self, control: Control, run: str | None = None) -> list[Score]:
        """Every score of `control` with the weights it has now, in the order measured, optionally of one run."""
        found = self._database.rows(
            "SELECT * FROM scores WHERE control = ? AND weights = ? AND run = coalesce(?, run) ORDER BY id",
            [control.name, control.sha256, run],
        )
        return [rows.to_score(row) for row in found]

    def score_summaries(self, control: Control) -> list[ScoreSummary]:
        """Means by target and strength, each from the latest run that measured it."""
        found = self._database.rows(
            "SELECT target, strength, count(*) AS n, avg(original) AS original, avg(edited) AS edited, run FROM scores AS s"
            " WHERE control = ? AND weights = ? AND run = (SELECT run FROM scores AS t WHERE t.control = s.control"
            " AND t.weights = s.weights AND t.target = s.target AND t.strength = s.strength ORDER BY id DESC LIMIT 1)"
            " GROUP BY target, strength ORDER BY target, strength",
            [control.name, control.sha256],
        )
        return [rows.to_summary(row) for row in found]

    @property
    def pictures(self) -> Pictures:
        """Pictures that were drawn once, and what was found on them."""
        return Pictures(self.home, self._database)

    def _find(self, name: str) -> Control | None:
        row = self._database.row("SELECT * FROM controls WHERE name = ?", [name])
        return row and rows.to_control(row)

    def _run(self, row: Any) -> Run:
        made = self._database.rows("SELECT path FROM made WHERE run = ? ORDER BY position", [row["id"]])
        return rows.to_run(row, tuple(item["path"] for item in made))

    def _end_if_running(self, run: Run, status: str, error: str, made: Iterable[str | Path]) -> None:
        if self.run(run.id).status == "running":
            self.finish_run(run, status, error=error, made=made)


def _select(
    columns: str, kind: str | None, family: str | None, source: str | None, tag: str | None = None, sort: str = "name"
) -> tuple[str, dict[str, str]]:
    wanted = {column: value for column, value in {"kind": kind, "family": family, "source": source}.items() if value is not None}
    clauses = [f"{column} = :{column}" for column in wanted]
    if tag is not None:
        wanted["tag"] = tag
        clauses.append("EXISTS (SELECT 1 FROM json_each(tags) WHERE value = :tag COLLATE NOCASE)")
    field = sort.removeprefix("-")
    if field not in ListedControl._fields:
        raise NotKnown("field to sort by", field, ListedControl._fields)
    order = f"{field} DESC, name" if sort.startswith("-") else f"{field}, name"
    return f"SELECT {columns} FROM controls WHERE {' AND '.join(clauses) or '1'} ORDER BY {order if field != 'name' else order.removesuffix(', name')}", wanted


def library_versions() -> dict[str, str]:
    """Versions of the libraries that decide what a picture looks like, read without importing them."""
    from importlib.metadata import PackageNotFoundError, version
    from platform import python_version

    found = {"python": python_version()}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            pass
    return found


def _same(there: Control, control: Control) -> Control:
    if rows.to_row(replace(control, created=there.created)) == rows.to_row(there):
        return there
    raise BadInput(f"there is already another control named '{there.name}'; give this one another name, or `ctrlx rm {there.name}` first")


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="microseconds")
