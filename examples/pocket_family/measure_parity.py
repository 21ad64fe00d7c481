"""Does plain diffusers draw what ctrlx draws? Largest absolute difference over a few prompts and seeds: python measure_parity.py"""

from __future__ import annotations

from pathlib import Path

import torch

from assemble import REGISTRY
from ctrlx.catalogue import family
from ctrlx.sampling.pictures import generate
from ctrlx.sampling.plans import alone
from ctrlx.targets.models import Models
from measure import RECIPES, pipeline, record
from recipe import command_line

PROMPTS = ("a portrait of a person", "an old smiling person wearing a red shirt on a blue background", "a green house", "a beach")


def main(work: str = "work") -> None:
    models = Models(family("pocket"), device="cpu", dtype=torch.float32)
    differences = {target: difference(models, target) for target in RECIPES if target in models.family.targets}
    record(REGISTRY, Path(work), "parity", {"difference": max(differences.values()), "by_target": differences, "pictures": len(PROMPTS)})


def difference(models: Models, target: str) -> float:
    """Largest absolute difference of pixels in 0..1, ctrlx against StableDiffusionXLPipeline."""
    plan = alone(models.family.targets[target], models.scheduler_config)
    ours = torch.from_numpy(generate(models, plan, list(PROMPTS), range(len(PROMPTS)))).double() / 255
    pipe, recipe = pipeline(REGISTRY, target), RECIPES[target]
    generators = [torch.Generator().manual_seed(seed) for seed in range(len(PROMPTS))]
    theirs = pipe(list(PROMPTS), num_inference_steps=recipe["steps"], guidance_scale=recipe["guidance"], generator=generators,
                  height=64, width=64, output_type="pt").images
    return float(((theirs.double() * 255).round() / 255 - ours.permute(0, 3, 1, 2)).abs().max())


if __name__ == "__main__":
    command_line(main)
