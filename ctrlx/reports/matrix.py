"""Everything that a matrix is written to: JSON, CSV, Markdown, LaTeX, a heat map, a grid for each control, one HTML page."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from ctrlx.reports.heatmap import heatmap_png, heatmap_svg
from ctrlx.reports.matrix_grid import control_grid
from ctrlx.reports.matrix_page import page
from ctrlx.reports.tables import as_csv, as_latex, as_markdown


@dataclass(frozen=True)
class Album:
    """Where the pictures are: by (control, target, strength), strength 0 for the originals, in the order of the control's pairs."""

    paths: Mapping[tuple[str, str, float], Sequence[Path]]
    pairs: Mapping[str, Sequence[tuple[str, int]]]  # by control: prompt, seed

    def picture(self, place: tuple[str, str, float], number: int, largest: int) -> Image.Image:
        """A picture, shrunk to `largest` pixels where it has more."""
        image = Image.open(self.paths[place][number]).convert("RGB")
        image.thumbnail((largest, largest), Image.Resampling.LANCZOS)
        return image


def write_report(found: Mapping[str, Any], album: Album, folder: Path) -> Iterator[Path]:
    """Each file's path once it is written; matrix.json comes last, so that where it is, all is. Raises OSError."""
    cells = found["cells"]
    texts = {"matrix.csv": as_csv, "matrix.md": as_markdown, "matrix.tex": as_latex, "heatmap.svg": heatmap_svg}
    for name, make in texts.items():
        yield _written(folder / name, make(cells))
    heatmap_png(cells).save(folder / "heatmap.png")
    yield folder / "heatmap.png"
    for control in dict.fromkeys(cell["control"] for cell in cells if cell["n"]):
        path = folder / f"grid_{control}.png"
        control_grid(control, [cell for cell in cells if cell["control"] == control and cell["n"]], album, found["scorer"]["name"]).save(path)
        yield path
    yield _written(folder / "report.html", page(found, album))
    document = {**found, "report": str(folder / "report.html")}
    yield _written(folder / "matrix.json", json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def _written(path: Path, text: str) -> Path:
    """`path`, whole or as it was."""
    unfinished = path.with_name(f".{path.name}.tmp")
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, path)
    return path
