"""Efficacy: how far a control moves the CLIP score, in percent of the original picture's (PAPER.md, Table 1), with its uncertainty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000
NEAR_ZERO = 5.0  # CLIP points (cosine x 100): a percentage of less than this says more about the divisor than about the control


@dataclass(frozen=True)
class Efficacy:
    """Percent change and its 95 % interval; None where the original score is too near zero for a percentage to mean anything."""

    percent: float | None
    low: float | None
    high: float | None
    n: int  # prompt-seed pairs
    points: float  # mean change in CLIP points, which always means something
    original: float  # mean CLIP score of the originals
    edited: float

    @property
    def meaningful(self) -> bool:
        return self.percent is not None


def efficacy(original: np.ndarray, edited: np.ndarray, *, seed: int = 0) -> Efficacy:
    """Percent change 100 (mean edited - mean original) / |mean original| over paired scores, each of shape (n,), cosine x 100.

    The ratio is one of means, not the mean of ratios: a single picture whose original score is near zero cannot blow it up. Where
    even the mean lies within NEAR_ZERO of zero there is no percentage, only `points`. The interval is the percentile bootstrap
    over pairs (Efron 1979).

    Raises:
        ValueError: no pairs, unequal shapes, or a score that is not a number.
    """
    original, edited = np.asarray(original, float), np.asarray(edited, float)
    if original.shape != edited.shape or original.size == 0:
        raise ValueError(f"paired scores are needed, got {original.shape} and {edited.shape}")
    if not (np.isfinite(original).all() and np.isfinite(edited).all()):
        raise ValueError("a score is not a number")
    start, end = original.mean(), edited.mean()
    facts = {"n": original.size, "points": float(end - start), "original": float(start), "edited": float(end)}
    if abs(start) < NEAR_ZERO:
        return Efficacy(None, None, None, **facts)
    percents = resampled_percents(original, edited, np.random.default_rng(seed))
    low, high = np.percentile(percents, [2.5, 97.5])
    return Efficacy(float(percent_change(start, end)), float(low), float(high), **facts)


def percent_change(start, end):
    """100 (end - start) / |start|."""
    return 100 * (end - start) / np.abs(start)


def resampled_percents(original: np.ndarray, edited: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Percent changes of RESAMPLES draws of n pairs with replacement, shape (RESAMPLES,)."""
    n = original.size
    drawn = rng.integers(0, n, (RESAMPLES, n))
    return percent_change(original[drawn].mean(1), edited[drawn].mean(1))
