"""One cell of a matrix: what a control does on a target at a strength, from the embeddings of the pictures without and with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ctrlx.scoring.efficacy import Efficacy, efficacy

MARGIN = 2.0  # CLIP points below the worst original at which an edited picture no longer shows its prompt
HALF = 0.5  # the share of such pictures at which the cell counts as broken


@dataclass(frozen=True)
class Cell:
    """A control on a target at a strength. Percentages are None where there is none; `note` then says why."""

    control: str
    source: str
    target: str
    direction: str  # "source", "forward", "reverse"
    strength: float
    percent: float | None  # efficacy with its 95 % interval
    low: float | None
    high: float | None
    n: int  # picture pairs
    ratio: float | None  # efficacy carried over: percent, divided by the source's at the same strength
    side_effects: Mapping[str, float | None]  # distance: 1 - cosine of original and edited; probes: CLIP points that unrelated texts moved
    coverage: Mapping[str, int]  # adapted, total
    broken: bool
    points: float | None  # efficacy in CLIP points, which always means something
    source_percent: float | None  # the source's own effect at this strength
    drift: float | None  # largest difference that the control left behind once it was off; must be 0
    note: str = ""


@dataclass(frozen=True, eq=False)
class Seen:
    """What a scorer saw in n picture pairs: unit vectors (n, d); `faults` names pictures that are none, "" for the others."""

    original: np.ndarray
    edited: np.ndarray
    prompts: np.ndarray  # (n, d): each pair's own prompt
    faults: Sequence[str]  # of the edited pictures
    original_faults: Sequence[str]


def effect(seen: Seen, concept: np.ndarray) -> Efficacy:
    """Percent change of the CLIP score for `concept`, a unit vector (d,)."""
    return efficacy(100 * seen.original @ concept, 100 * seen.edited @ concept)


def side_effects(seen: Seen, probes: np.ndarray | None) -> dict[str, float | None]:
    """distance: mean 1 - cosine of original and edited. probes: mean absolute change in CLIP points over unrelated texts (m, d)."""
    distance = float(np.maximum(0, 1 - (seen.original * seen.edited).sum(1)).mean())
    moved = None if probes is None else float(np.abs(100 * (seen.edited - seen.original) @ probes.T).mean())
    return {"distance": distance, "probes": moved}


def trouble(seen: Seen) -> str:
    """Why the pictures broke rather than changed, "" where they did not.

    They did where one of them is no picture, or where half of them show their own prompt worse, by MARGIN, than any original does.
    """
    for faults, whose in ((seen.original_faults, "without the control"), (seen.faults, "with the control")):
        if bad := [fault for fault in faults if fault]:
            what = "are not numbers" if "nan" in bad else "are one flat colour"
            return f"{len(bad)} of {len(faults)} pictures {whose} {what}"
    lowest = (100 * seen.original * seen.prompts).sum(1).min() - MARGIN
    lost = int(((100 * seen.edited * seen.prompts).sum(1) < lowest).sum())
    return f"{lost} of {len(seen.edited)} pictures no longer show their prompt" if lost >= HALF * len(seen.edited) else ""


def carried_over(found: Efficacy, source: Efficacy | None) -> tuple[float | None, str]:
    """The ratio of two effects, and why there is none where there is none: one that lies within its own noise divides nothing."""
    if source is None:
        return None, "its source was not measured"
    if source.percent is None or found.percent is None:
        whose = "source's originals" if source.percent is None else "originals"
        return None, f"the {whose} score too near 0 for a percentage"
    if source.n < 2:
        return None, "one picture pair tells nothing of its noise; use more --seeds or prompts"
    if source.low <= 0 <= source.high:
        return None, f"the source's own effect, {source.percent:+.1f} %, is within its noise of 0"
    return found.percent / source.percent, ""


def words(cell: Mapping) -> str:
    """'+20.4 % (18.1 to 22.9)', or points, or why there is nothing."""
    if cell["percent"] is not None:
        return f"{cell['percent']:+.1f} % ({cell['low']:.1f} to {cell['high']:.1f})"
    return f"{cell['points']:+.1f} points" if cell["points"] is not None else "not drawn"
