"""The pictures of one control: a row a prompt and seed, a block a target, a column a strength."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from ctrlx.reports.grid import Block, grid
from ctrlx.reports.transfer_grid import numbered, spread

MOST_ROWS = 6
LARGEST = 256  # pixels of one picture on the sheet


def control_grid(control: str, cells: Sequence[Mapping[str, Any]], album: Any, scorer: str) -> Image.Image:
    """`cells` are those of one control that were drawn."""
    pairs = album.pairs[control]
    prompts = list(dict.fromkeys(prompt for prompt, _ in pairs))
    shown = spread(len(pairs), MOST_ROWS)
    rows = [f"{numbered(prompts.index(pairs[i][0]), prompts)}seed {pairs[i][1]}" for i in shown]
    targets = dict.fromkeys(cell["target"] for cell in cells)
    blocks = [_block(control, target, cells, album, shown) for target in targets]
    footer = (f"Percent: change of the CLIP score from strength 0 (off), over {len(pairs)} pictures each; scorer {scorer}. Prompts: "
              + " ".join(f"({chr(97 + i % 26)}) {prompt}." for i, prompt in enumerate(prompts)))
    return grid(f"{control} on every target", rows, blocks, footer)


def _block(control: str, target: str, cells: Sequence[Mapping[str, Any]], album: Any, shown: Sequence[int]) -> Block:
    here = {cell["strength"]: cell for cell in cells if cell["target"] == target}
    strengths = _strengths(target, cells)
    pictures = [[album.picture((control, target, strength), i, LARGEST) for strength in strengths] for i in shown]
    role = next(iter(here.values()))["direction"]
    return Block(f"{target} ({role})", [_heading(here[s]) if s else "0 (off)" for s in strengths], pictures)


def _strengths(target: str, cells: Sequence[Mapping[str, Any]]) -> list[float]:
    return sorted({0.0, *(cell["strength"] for cell in cells if cell["target"] == target)})


def _heading(cell: Mapping[str, Any]) -> str:
    """'+1  +21 %', or points where there is no percentage."""
    what = f"{cell['percent']:+.0f} %" if cell["percent"] is not None else f"{cell['points']:+.1f} points"
    return f"{cell['strength']:+g}  {what}{'  broken' if cell['broken'] else ''}"
