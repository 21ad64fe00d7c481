"""Where a control comes from, and all that happened with it."""

from __future__ import annotations

from dataclasses import dataclass

from ctrlx.records import Control, Run, ScoreSummary
from ctrlx.store import Registry


@dataclass(frozen=True)
class History:
    """A control, what it came from, the runs that made or read it, oldest first, and what was measured."""

    control: Control
    trained_on: str  # full name of its source
    derived_from: tuple[str, ...]
    runs: tuple[Run, ...]
    scores: tuple[ScoreSummary, ...]


def history(name: str) -> History:
    """The lineage of the control called `name`. Raises NotKnown with the nearest name."""
    with Registry.open() as registry:
        control = registry.control(name)
        origin = control.recipe.get("derived_from") or control.recipe.get("imported_from") or ()
        derived = (origin,) if isinstance(origin, str) else tuple(origin)
        runs = registry.runs_of(control)
        return History(control, f"{control.family}/{control.source}", derived, tuple(runs), tuple(registry.score_summaries(control)))
