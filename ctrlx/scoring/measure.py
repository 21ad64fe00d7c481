"""Scores of a whole sweep: every picture embedded once, against the control's concept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ctrlx.records import ScorerSpec
from ctrlx.scoring.clip import ClipScorer
from ctrlx.scoring.efficacy import Efficacy, efficacy

Pictures = Mapping[str, Mapping[float, Sequence[Image.Image]]]  # target name -> strength (0: the originals) -> pictures


@dataclass(frozen=True)
class Measured:
    """CLIP scores (cosine x 100) in the order of the pictures, and the scorer that gave them."""

    scores: Mapping[str, Mapping[float, np.ndarray]]
    scorer: Mapping[str, str]

    def efficacy(self, target: str, strength: float) -> Efficacy:
        return efficacy(self.scores[target][0.0], self.scores[target][strength])


def measure(pictures: Pictures, concept: str, spec: ScorerSpec, registry: Path) -> Measured:
    """Scores every picture against `concept`."""
    scorer = ClipScorer(spec, registry)
    scores = {target: {s: scorer.scores(images, concept) for s, images in by_strength.items()} for target, by_strength in pictures.items()}
    return Measured(scores, {"name": f"{spec.kind} {spec.model}", "sha256": scorer.sha256})
