"""Measures a built-in slider on a target by the oracle: python measure_sliders.py --name slider_age

200 pictures at strengths -2 to 2: the mean of the slider's attribute must rise from each to the next, and kind, shirt and background
must stay (strength 1 against 0).
"""

from __future__ import annotations

from pathlib import Path

import oracle
import pictures
from assemble import REGISTRY
from ctrlx.catalogue import built_in_controls, family, resolve_target, weights_of_built_in
from ctrlx.controls.read import read_control
from ctrlx.sampling.sweep import sweep
from ctrlx.targets.models import Models
from measure import record
from recipe import command_line

ATTRIBUTE = {"slider_age": "age", "slider_smile": "smile", "slider_muscular": "build"}
STRENGTHS = (-2.0, -1.0, 0.0, 1.0, 2.0)
KEPT = ("kind", "color", "background")


def main(name: str = "slider_age", on: str = "base", seeds: int = 50, work: str = "work") -> None:
    control = next(control for control in built_in_controls() if control.name == name)
    target, models = resolve_target(on, control.family), Models(family(control.family))
    with models.attached([target], {name: read_control(weights_of_built_in(name))}):
        drawn = sweep(models, [target], name, [s for s in STRENGTHS if s], control.prompts, range(seeds))[target.name]
    judge = oracle.load(Path(work) / "oracle")
    reads = {s: judge.read(pictures.to_tensor(drawn[s])) for s in STRENGTHS}
    attribute = ATTRIBUTE[name]
    means = [round(sum(read[attribute] for read in reads[s]) / len(reads[s]), 4) for s in STRENGTHS]
    changed = {k: share(one[k] != other[k] for one, other in zip(reads[0.0], reads[1.0])) for k in KEPT}
    figures = {"attribute": attribute, "target": target.name, "pictures": len(reads[0.0]), "strengths": [int(s) for s in STRENGTHS],
               "means": means, "monotonic": all(a < b for a, b in zip(means, means[1:])), "changed": changed}
    record(REGISTRY, Path(work), name if target.role == "base" else f"{name} on {target.name}", figures)


def share(flags) -> float:
    flags = list(flags)
    return round(sum(flags) / len(flags), 4)


if __name__ == "__main__":
    command_line(main)
