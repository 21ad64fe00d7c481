"""The transfer matrix: every control on every target, both ways, measured, with a report."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ctrlx import __version__
from ctrlx.commands.matrix import LOCAL, Asked, Engine, check_engine, resolve
from ctrlx.commands.matrix_cells import alarms, measure
from ctrlx.commands.matrix_work import Work
from ctrlx.commands.transfer import make_folder
from ctrlx.errors import HomeTrouble
from ctrlx.records import Run
from ctrlx.store import Registry

OnProgress = Callable[[str, int, int], None]  # what is under way, pictures done, pictures in all
DEFAULT = Asked()


@dataclass(frozen=True)
class Matrix:
    """What was found. `cells` are ctrlx.scoring.cells.Cell as mappings; `made` and `reused` count pictures."""

    cells: tuple[Mapping[str, Any], ...]
    scorer: Mapping[str, str]  # name, hash
    report: str
    seconds: float
    made: int
    reused: int
    run: str
    files: tuple[str, ...]  # everything that was written, the report among it
    how: Mapping[str, Any]  # what the figures rest on: prompts, seeds, recipes, hashes, versions
    warnings: tuple[str, ...] = ()


def evaluate(
    asked: Asked = DEFAULT, *, engine: Engine = LOCAL, out: Path | None = None, home: Path | None = None, on_progress: OnProgress = lambda *_: None,
) -> Matrix:
    """Draws what no earlier run has drawn, measures every cell and writes the report into `out`, by default the run's own folder.

    Stopped at any moment, it goes on from where it was when called again.

    Raises:
        NotKnown, WrongFamily, BadInput: before anything is loaded, but for what only the models know (length of a prompt).
        MissingWeights, BadWeights: before anything is drawn.
        PartialCoverage: no control fits any target but its source.
        HomeTrouble: the registry or `out` cannot be written.
    """
    began = time.monotonic()
    written: list[str] = []
    check_engine(engine)
    with Registry.open(home) as registry:
        request = resolve(registry, asked)
        files = {row.control.name: registry.verified_weights_path(row.control) for row in request.rows}
        read = {row.control.name: row.control.sha256 for row in request.rows}
        with registry.recording("eval", request.arguments(), read=read, made=written) as run:
            folder = make_folder(out or registry.home / "runs" / run.id)
            work = Work(registry, run.id, request, files, on_progress)
            work.draw(engine)
            work.embed()
            cells, scores = measure(work)
            registry.add_scores(run, scores)
            found = {
                "cells": tuple(map(asdict, cells)), "made": work.made, "reused": work.reused, "run": run.id,
                "scorer": {"name": f"{request.family.scorer.kind} {request.family.scorer.model}", "hash": work.scorer.sha256},
                "how": how(work, run), "warnings": (*request.left_out, *work.refused.values(), *dict.fromkeys(alarms(cells))),
                "seconds": round(time.monotonic() - began, 2),
            }
            on_progress("reporting", 0, 1)
            report = write(found, work, folder, written)
            result = Matrix(**found, report=str(report), files=tuple(written))
            registry.finish_run(run, "done", result={name: found[name] for name in ("made", "reused", "seconds", "scorer", "cells")}, made=written)
    return result


def how(work: Work, run: Run) -> dict[str, Any]:
    """What the figures rest on, so that a reader can judge them and another machine can make them again."""
    request = work.request
    rows = {row.control.name: {"kind": row.control.kind, "concept": row.control.concept, "source": row.source.full_name,
                               "sha256": row.control.sha256, "prompts": list(row.prompts), "strengths": list(row.strengths)} for row in request.rows}
    targets = {target.full_name: {"scheduler": target.scheduler, "timesteps": work.recipes[target.name]["timesteps"], "guidance": target.guidance,
                                  "size": target.size, "role": target.role, "method": target.method} for target in request.targets}
    return {
        "ctrlx": __version__, "family": request.family.id, "started": run.started, "controls": rows, "targets": targets, "seeds": list(request.seeds),
        "start_noise": request.start_noise, "probes": list(request.family.scorer.probes), "weights": work.weights, "versions": dict(run.versions),
        "device": work.models.device.type, "dtype": str(work.models.dtype).removeprefix("torch."),
    }


def write(found: Mapping[str, Any], work: Work, folder: Path, written: list[str]) -> Path:
    """Every file of the report; the page's path. `written` grows as they are made. Raises HomeTrouble."""
    from ctrlx.reports.matrix import Album, write_report

    paths = {place: [work.kept[one.key].path for one in shots if one.key in work.kept] for place, shots in work.shots.items()}
    pairs = {row.control.name: work.request.pairs(row) for row in work.request.rows}
    try:
        for path in write_report(found, Album(paths, pairs), folder):
            written.append(str(path))
    except OSError as problem:
        raise HomeTrouble(f"the report cannot be written to {folder} ({problem.strerror or problem}); give another folder with --out; "
                          "the pictures are kept and will not be drawn again") from problem
    return folder / "report.html"
