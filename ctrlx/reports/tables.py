"""The cells of a matrix as text: CSV, Markdown, LaTeX, and which of them a table shows."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from ctrlx.scoring.cells import words

Cells = Sequence[Mapping[str, Any]]  # of ctrlx.scoring.cells.Cell
COLUMNS = ("control", "source", "target", "direction", "strength", "percent", "low", "high", "n", "ratio", "source_percent", "points",
           "distance", "probes", "adapted", "total", "drift", "broken", "note")


def as_csv(cells: Cells) -> str:
    """A line a cell, nothing rounded."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for cell in cells:
        flat = {**cell, **cell["side_effects"], **cell["coverage"]}
        writer.writerow(["" if flat[name] is None else flat[name] for name in COLUMNS])
    return stream.getvalue()


def headline(cells: Cells) -> dict[tuple[str, str], Mapping[str, Any]]:
    """The cell of each control and target whose strength is nearest 1."""
    chosen: dict[tuple[str, str], Mapping[str, Any]] = {}
    for cell in sorted(cells, key=lambda cell: (abs(cell["strength"] - 1), -cell["strength"])):
        chosen.setdefault((cell["control"], cell["target"]), cell)
    return chosen


def axes(cells: Cells) -> tuple[list[str], list[str]]:
    """Controls and targets in the order they come."""
    return list(dict.fromkeys(cell["control"] for cell in cells)), list(dict.fromkeys(cell["target"] for cell in cells))


def as_markdown(cells: Cells) -> str:
    """The headline cells as one table: percent with its interval, and the ratio to the source."""
    controls, targets = axes(cells)
    chosen = headline(cells)
    lines = ["| control | " + " | ".join(targets) + " |", "| --- |" + " --- |" * len(targets)]
    for control in controls:
        told = [_markdown_cell(chosen.get((control, target))) for target in targets]
        lines.append(f"| {control} ({strength_of(chosen, control):+g}) | " + " | ".join(told) + " |")
    return "\n".join(lines) + "\n"


def as_latex(cells: Cells) -> str:
    """The headline cells as one booktabs table."""
    controls, targets = axes(cells)
    chosen = headline(cells)
    lines = [r"\begin{tabular}{l" + "r" * len(targets) + "}", r"\toprule", " & ".join(["control", *map(_escaped, targets)]) + r" \\", r"\midrule"]
    for control in controls:
        lines.append(" & ".join([_escaped(control), *(_latex_cell(chosen.get((control, target))) for target in targets)]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def strength_of(chosen: Mapping[tuple[str, str], Mapping[str, Any]], control: str) -> float:
    """At which strength a control is shown in the tables."""
    return next(cell["strength"] for (name, _), cell in chosen.items() if name == control)


def _markdown_cell(cell: Mapping[str, Any] | None) -> str:
    if cell is None:
        return "–"
    role = "source" if cell["direction"] == "source" else f"ratio {cell['ratio']:.2f}" if cell["ratio"] is not None else "no ratio"
    return f"{words(cell)}, {role}{', broken' if cell['broken'] else ''}"


def _latex_cell(cell: Mapping[str, Any] | None) -> str:
    if cell is None or cell["percent"] is None:
        return "--" if cell is None or cell["points"] is None else f"${cell['points']:+.1f}$ pt"
    mark = r"^{\dagger}" if cell["broken"] else r"^{*}" if cell["direction"] == "source" else ""
    return rf"${cell['percent']:.1f}{mark}$ {{\scriptsize[{cell['low']:.1f}, {cell['high']:.1f}]}}"


def _escaped(text: str) -> str:
    return text.replace("_", r"\_").replace("&", r"\&").replace("%", r"\%")
