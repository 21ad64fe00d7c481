"""All that is known of one control."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ctrlx.records import Control, Run, ScoreSummary
from ctrlx.store import Registry

RUNS = 20  # the latest


@dataclass(frozen=True)
class Shown:
    """A control, where its weights lie, what was measured of it, and the latest runs that read it."""

    control: Control
    file: Path
    scores: tuple[ScoreSummary, ...]
    runs: tuple[Run, ...]


def show(name: str) -> Shown:
    """What the registry knows of the control called `name`.

    Raises NotKnown, and MissingWeights or BadWeights where its file is gone or cut short.
    """
    with Registry.open() as registry:
        control = registry.control(name)
        file = registry.weights_path(control)
        scores, runs = registry.score_summaries(control), registry.runs(control=control.name, limit=RUNS)
        return Shown(control, file, tuple(scores), tuple(runs))
