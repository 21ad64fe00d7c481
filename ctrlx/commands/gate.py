"""Whether a matrix is good enough, for a program that asks: every cell of a report against what it must reach."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctrlx.errors import BadInput

KEYS = ("control", "target", "direction", "strength", "ratio", "side_effects", "broken")


@dataclass(frozen=True)
class Limits:
    """What a cell must reach; None: no limit."""

    min_ratio: float = 0.8
    max_side_effects: float | None = None  # CLIP points that unrelated texts may move by
    max_distance: float | None = None  # perceptual distance, 0 to 2
    strength: float | None = None  # only cells at this strength; None: the one nearest 1


@dataclass(frozen=True)
class Judged:
    """How a report did. `failures` are sentences; `skipped` are cells whose source has no effect to compare with."""

    passed: bool
    judged: int
    failures: tuple[str, ...]
    skipped: tuple[str, ...]


def gate(report: Path, limits: Limits) -> Judged:
    """Judges the transfers in `report`, a matrix.json or the folder that holds one. One with nothing to judge does not pass.

    Raises BadInput for a file that is no report of this ctrlx, or a strength that it does not have.
    """
    cells = transfers(read_cells(report), limits.strength)
    failures = [failure for cell in cells for failure in failures_of(cell, limits)]
    skipped = [f"{where(cell)}: {cell.get('note') or 'no ratio'}" for cell in cells if cell["ratio"] is None and not cell["broken"]]
    judged = len(cells) - len(skipped)
    if not judged:
        failures.append("no cell has a ratio, so nothing could be judged; use more --seeds, or controls whose effect on their source is seen")
    return Judged(not failures, judged, tuple(failures), tuple(skipped))


def read_cells(report: Path) -> list[Mapping[str, Any]]:
    """The cells of a report."""
    path = report / "matrix.json" if report.is_dir() else report
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    except FileNotFoundError:
        raise BadInput(f"there is no {path}; give the folder or the matrix.json that `ctrlx eval --matrix --out DIR` wrote") from None
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise BadInput(f"{path} is no report that can be read ({type(problem).__name__}: {problem}); write it again with `ctrlx eval --matrix`") from None
    if not (isinstance(cells, list) and all(isinstance(cell, dict) and all(key in cell for key in KEYS) for cell in cells)):
        raise BadInput(f"{path} was written by another version of ctrlx; write it again with `ctrlx eval --matrix`, which draws nothing twice")
    return cells


def transfers(cells: list[Mapping[str, Any]], strength: float | None) -> list[Mapping[str, Any]]:
    """Cells that are not a source's own, at the strength asked for, or for each control the one nearest 1."""
    found = [cell for cell in cells if cell["direction"] != "source"]
    if strength is not None:
        at = [cell for cell in found if cell["strength"] == strength]
        if not at:
            there = ", ".join(f"{s:g}" for s in sorted({cell["strength"] for cell in found}))
            raise BadInput(f"the report has nothing at strength {strength:g}; it has {there or 'nothing at all'}")
        return at
    nearest = {cell["control"]: min((c["strength"] for c in found if c["control"] == cell["control"]), key=lambda s: (abs(s - 1), -s)) for cell in found}
    return [cell for cell in found if cell["strength"] == nearest[cell["control"]]]


def failures_of(cell: Mapping[str, Any], limits: Limits) -> Iterator[str]:
    """Why a cell is not good enough."""
    if cell["broken"]:
        yield f"{where(cell)}: broken, {cell.get('note', '')}"
    if cell["ratio"] is not None and cell["ratio"] < limits.min_ratio:
        yield f"{where(cell)}: ratio {cell['ratio']:.2f}, at least {limits.min_ratio:g} is asked for"
    if cell.get("drift"):
        yield f"{where(cell)}: left {cell['drift']:.2g} behind once it was off, 0 is asked for"
    for name, most in (("probes", limits.max_side_effects), ("distance", limits.max_distance)):
        found = cell["side_effects"].get(name)
        if most is not None and found is not None and found > most:
            yield f"{where(cell)}: {name} {found:.3g}, at most {most:g} is asked for"


def where(cell: Mapping[str, Any]) -> str:
    return f"{cell['control']} on {cell['target']} at {cell['strength']:g}"
