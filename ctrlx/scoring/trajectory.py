"""How a picture came about: how far each Diffusion Target is from the end, and which phrases were drawn for a while and lost again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

LOST = 1.0  # CLIP points (cosine x 100) that a phrase must fall by from its peak
SHARE_LOST = 0.5  # and the share of its rise that it must lose: a score that only wavers changed no mind
JOINTS = r"\b(?:and|with|without|on|in|at|of|by|near|under|over|behind|beside|between|wearing|holding|sitting|standing|for|to|from)\b|[,;.]"
ARTICLES = r"^(?:a|an|the|some|his|her|its|their)\s+"
EMPTY = {"", "image", "picture", "photo", "photograph", "portrait", "painting", "drawing"}


@dataclass(frozen=True)
class Mind:
    """A phrase that the model drew for a while."""

    phrase: str
    step: int  # where its score peaked
    peak: float  # CLIP points
    final: float


def phrases_of(prompt: str) -> tuple[str, ...]:
    """The things a prompt names: 'Image of dog and cat sitting on sofa' -> dog, cat, sofa. English, by its small words."""
    parts = (re.sub(ARTICLES, "", part.strip(), flags=re.IGNORECASE) for part in re.split(JOINTS, prompt, flags=re.IGNORECASE))
    return tuple(dict.fromkeys(part for part in parts if part.lower() not in EMPTY))


def pixel_distances(images: Sequence[Image.Image], final: Image.Image) -> np.ndarray:
    """Root mean square difference of each picture to `final`, shape (n,), 0 to 1."""
    pixels = np.stack([np.asarray(image, float) for image in images]) / 255
    return np.sqrt(((pixels - np.asarray(final, float) / 255) ** 2).mean((1, 2, 3)))


def cosine_distances(embeddings: np.ndarray, final: np.ndarray) -> np.ndarray:
    """1 - cosine of unit vectors (n, d) to one (d,): 0 for the same picture."""
    return np.maximum(0, 1 - embeddings @ final)


def changed_minds(phrases: Sequence[str], scores: np.ndarray, steps: Sequence[int]) -> list[Mind]:
    """Phrases whose score, (phrases, steps) in CLIP points, peaked before the end and was lost again by the end."""
    found = []
    for phrase, row in zip(phrases, scores, strict=True):
        top = int(row.argmax())
        fall, rise = row[top] - row[-1], row[top] - row.min()
        if fall >= LOST and fall >= SHARE_LOST * rise:
            found.append(Mind(phrase, int(steps[top]), float(row[top]), float(row[-1])))
    return found


def mean_curve(distances: np.ndarray, resamples: int = 2000, seed: int = 0) -> np.ndarray:
    """(pictures, steps) to (steps, 3): each step's mean and its 95 % interval, by the percentile bootstrap over pictures (Efron 1979)."""
    drawn = np.random.default_rng(seed).integers(0, len(distances), (resamples, len(distances)))
    low, high = np.percentile(distances[drawn].mean(1), [2.5, 97.5], axis=0)
    return np.stack([distances.mean(0), low, high], 1)
