"""The paper's question on our own models: does distillation collapse diversity, and does one base step bring it back?

100 pictures a prompt from base, each distilled target, its hybrid with k = 1 and its skip-first: the mean pairwise distance of the
scorer's image features (1 - cosine, DreamSim's form) with a 95 % interval, and the spread of what the oracle reads: python measure_diversity.py
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import torch

import oracle
from assemble import REGISTRY
from ctrlx.catalogue import family
from ctrlx.sampling.pictures import generate, to_images
from ctrlx.sampling.plans import Plan, alone, hybrid, skip_first
from ctrlx.scoring.clip import ClipScorer
from ctrlx.targets.models import Models
from measure import record
from recipe import command_line

PROMPTS = ("a person", "a house", "a flower", "a dog", "a city", "a portrait of an old person")
CHOICES = {"person": ("background", "color", "hair", "hair_style", "skin", "glasses", "hat", "beard"), "thing": ("background", "color")}
RESAMPLES = 1000


def main(count: int = 100, work: str = "work") -> None:
    models, judge = Models(family("pocket")), oracle.load(Path(work) / "oracle")
    scorer = ClipScorer(models.family.scorer, models.registry)
    figures = {}
    for name, plan in plans(models).items():
        by_prompt = {prompt: measured(models, plan, prompt, count, scorer, judge) for prompt in PROMPTS}
        everything = [by_prompt[prompt]["distance"] for prompt in PROMPTS]
        figures[name] = {"by_prompt": by_prompt, "distance": round(float(np.mean(everything)), 4)}
        print(name, figures[name]["distance"], flush=True)
    record(REGISTRY, Path(work), "diversity", {"pictures": count, "plans": figures, "scorer": scorer.sha256})


def plans(models: Models) -> dict[str, Plan]:
    """Base alone, and each distilled target alone, led by one base step, and without its first step."""
    config, base = models.scheduler_config, models.family.base
    found = {"base": alone(base, config)}
    for target in models.family.targets.values():
        if target.role == "distilled" and not target.hidden:
            found[target.name] = alone(target, config)
            found[f"{target.name}, hybrid k=1"] = hybrid(base, target, config, 1)
            found[f"{target.name}, skip-first"] = skip_first(target, config, 1)
    return found


def measured(models, plan, prompt: str, count: int, scorer: ClipScorer, judge) -> dict:
    pixels = generate(models, plan, prompt, range(count), batch=25)
    features = scorer.embed_images(to_images(pixels))
    low, high = interval(features)
    reads = judge.read(torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1)
    choices = CHOICES["person" if "person" in prompt else "thing"]
    spread = {k: round(entropy([read[k] for read in reads]), 3) for k in choices}
    if "person" in prompt:
        spread |= {k: round(float(np.std([read[k] for read in reads])), 3) for k in oracle.NUMBERS}
    return {"distance": round(float(distances(features).mean()), 4), "low": round(low, 4), "high": round(high, 4), "spread": spread}


def distances(features: np.ndarray) -> np.ndarray:
    """1 - cosine of every pair of unit vectors (n, d): (n (n - 1) / 2,)."""
    return (1 - features @ features.T)[np.triu_indices(len(features), 1)]


def interval(features: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """95 % percentile bootstrap over pictures; a picture drawn twice is not paired with itself."""
    rng, n, means = np.random.default_rng(seed), len(features), []
    apart = 1 - features @ features.T
    for _ in range(RESAMPLES):
        drawn = rng.integers(0, n, n)
        different = drawn[:, None] != drawn[None]
        means.append(apart[np.ix_(drawn, drawn)][different].mean())
    return tuple(float(v) for v in np.percentile(means, [2.5, 97.5]))


def entropy(words: list[str]) -> float:
    """Of the words' frequencies, in bits: 0 where all are the same."""
    shares = np.array(list(Counter(words).values())) / len(words)
    return float(-(shares * np.log2(shares)).sum()) + 0.0


if __name__ == "__main__":
    command_line(main)
