"""Where the pictures of a matrix are drawn: jobs in, pictures and findings out, one target's UNet held at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ctrlx.controls.read import read_control
from ctrlx.records import Target
from ctrlx.sampling.matrix import Drawn, Wanted, draw, largest_difference, plan_of, probe
from ctrlx.targets.models import Models


@dataclass(frozen=True)
class Job:
    """What one target is asked to draw, with one control or, where `control` is None, with none."""

    target: Target
    control: str | None
    file: Path | None  # of the control
    wanted: Mapping[float, Sequence[Wanted]]  # by strength
    pairs: Sequence[tuple[str, int]]  # prompt and seed of the small batch that shows what a control leaves behind
    start_noise: int | None
    threshold: float  # least share of the control's modules that the target must take


class Found(NamedTuple):
    """What putting a control on a target showed. `drift` is None where the control was not drawn, for want of coverage."""

    adapted: int
    total: int
    drift: float | None


class Bench:
    """A family's models at work."""

    def __init__(self, models: Models):
        self.models = models
        self._before: dict[tuple, np.ndarray] = {}  # what the target at hand draws with no control on

    def run(self, job: Job) -> Iterator[Drawn | Found]:
        """Pictures as they are drawn; after those with a control, what was found.

        Raises MissingWeights, BadWeights, BadInput.
        """
        self.models.keep_only([job.target])
        if job.control is None:
            yield from draw(self.models, plan_of(self.models, job.target, None, 0.0, None), job.wanted[0.0])
        else:
            yield from self._with_control(job)

    def _with_control(self, job: Job) -> Iterator[Drawn | Found]:
        key = (job.target.name, *job.pairs)
        if key not in self._before:
            self._before = {key: self._probe(job)}
        weights = read_control(job.file, self.models.denoiser(job.target).unet.config)
        with self.models.attached([job.target], {job.control: weights}, 0.0) as coverage:
            taken = coverage[job.target.name][job.control]
            enough = taken.ratio >= job.threshold
            if enough:
                for strength, wanted in job.wanted.items():
                    yield from draw(self.models, plan_of(self.models, job.target, job.control, strength, job.start_noise), wanted)
                self._probe(job, max(job.wanted, default=1.0))
        drift = largest_difference(self._before[key], self._probe(job)) if enough else None
        yield Found(taken.adapted, taken.total, drift)

    def _probe(self, job: Job, strength: float = 0.0) -> np.ndarray:
        control = job.control if strength else None
        return probe(self.models, plan_of(self.models, job.target, control, strength, job.start_noise), job.pairs)
