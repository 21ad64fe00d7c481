"""The same prompts and seeds at several strengths of one control, on several targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from ctrlx.records import Target
from ctrlx.sampling.loop import denoise
from ctrlx.sampling.pictures import decode, to_images
from ctrlx.sampling.plans import Applied, Plan, alone
from ctrlx.targets.models import Models

BATCH_PIXELS = 16 * 64 * 64  # pictures of 64 pixels go sixteen at a time, larger ones fewer


def sweep(
    models: Models,
    targets: Sequence[Target],
    control: str,
    strengths: Sequence[float],
    prompts: Sequence[str],
    seeds: Sequence[int],
    *,
    start_noise: int | None = None,
    on_progress: Callable[[str, int, int], None] = lambda *_: None,
) -> dict[str, dict[float, list[Image.Image]]]:
    """Pictures by target name and strength, 0 for the originals, each list a picture a prompt and seed (seeds vary fastest).

    `control` must be on the targets already (`Models.attached`). on_progress(what, done, total) counts denoiser steps.
    """
    pairs = [(prompt, seed) for prompt in prompts for seed in seeds]
    pictures: dict[str, dict[float, list[Image.Image]]] = {}
    for target in targets:
        by_strength = pictures[target.name] = {}
        plans = {strength: plan_for(models, target, control, strength, start_noise) for strength in (0.0, *strengths)}
        batch = max(1, BATCH_PIXELS // (target.size * target.size))
        total, done = sum(plan.steps for plan in plans.values()) * len(range(0, len(pairs), batch)), 0
        for strength, plan in plans.items():
            parts = []
            for start in range(0, len(pairs), batch):
                part = pairs[start : start + batch]
                for step in denoise(models, plan, [prompt for prompt, _ in part], [seed for _, seed in part]):
                    done += 1
                    on_progress(f"drawing on {target.name}", done, total)
                parts.append(decode(models.shared, step.latents, batch))
            by_strength[strength] = to_images(np.concatenate(parts))
    return pictures


def plan_for(models: Models, target: Target, control: str, strength: float, start_noise: int | None) -> Plan:
    """The target's own recipe, with the control on it unless its strength is 0."""
    controls = [Applied(control, strength)] if strength else []
    return alone(target, models.scheduler_config, controls=controls, start_noise=start_noise)
