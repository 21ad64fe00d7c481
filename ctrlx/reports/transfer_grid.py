"""The grid of a transfer: a row a prompt and seed, a column a strength, source and target side by side."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from ctrlx.reports.grid import Block, grid
from ctrlx.scoring.efficacy import Efficacy
from ctrlx.scoring.measure import Measured, Pictures

MOST_ROWS = 8  # more pictures than this are scored, not shown


def transfer_grid(
    control: str, concept: str, targets: Sequence[str], prompts: Sequence[str], seeds: Sequence[int], pictures: Pictures, measured: Measured
) -> Image.Image:
    """`targets`: the source, then the destination."""
    pairs = [(prompt, seed) for prompt in prompts for seed in seeds]
    shown = spread(len(pairs), MOST_ROWS)
    rows = [f"{numbered(prompts.index(pairs[i][0]), prompts)}seed {pairs[i][1]}" for i in shown]
    blocks = [block(name, role, pictures[name], measured, shown) for name, role in zip(targets, ("source", "target"))]
    words = " ".join(f"({chr(97 + i)}) {prompt}." for i, prompt in enumerate(prompts))
    footer = (f"Percent: change of the CLIP score for '{concept}' from strength 0, over {len(pairs)} pictures each, with its 95 % interval. "
              f"Scorer: {measured.scorer['name']}. Prompts: {words}")
    return grid(f"{control}: {targets[0]} to {targets[1]}", rows, blocks, footer)


def block(name: str, role: str, by_strength, measured: Measured, shown: Sequence[int]) -> Block:
    strengths = sorted(by_strength)
    columns = [f"{s:+g}  {short(measured.efficacy(name, s))}" if s else "0 (off)" for s in strengths]
    return Block(f"{name} ({role})", columns, [[by_strength[s][i] for s in strengths] for i in shown])


def short(found: Efficacy) -> str:
    """'+21 % (18, 25)', or the change in points where a percentage would mean nothing."""
    if not found.meaningful:
        return f"{found.points:+.1f} points"
    return f"{found.percent:+.0f} % ({found.low:.0f}, {found.high:.0f})"


def numbered(index: int, prompts: Sequence[str]) -> str:
    return f"({chr(97 + index)}) " if len(prompts) > 1 else ""


def spread(count: int, most: int) -> list[int]:
    """At most `most` indices, evenly spread over 0..count-1."""
    return list(range(count)) if count <= most else [i * count // most for i in range(most)]
