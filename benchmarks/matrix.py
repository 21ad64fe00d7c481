"""The matrix against a straightforward script in the manner of the paper's notebooks, same pictures and same figures:

    python benchmarks/matrix.py --seeds 2

The script loads the models for every cell, puts the control on, and draws original and edited pictures one by one. `ctrlx eval --matrix`
must be at least 5 times faster. Start it on an otherwise idle machine; seconds belong to the machine, the ratio is what is claimed.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionXLPipeline

from ctrlx.commands.eval import evaluate
from ctrlx.commands.matrix import Asked, Request, Row, resolve
from ctrlx.records import Target
from ctrlx.sampling.schedulers import make_scheduler
from ctrlx.scoring.clip import ClipScorer
from ctrlx.scoring.efficacy import efficacy
from ctrlx.store import Registry
from ctrlx.targets.models import Models
from ctrlx.targets.quiet import quiet

WANTED = 5.0  # times the script's speed


def main(asked: Asked, home: Path) -> dict[str, float]:
    """Seconds of both, their ratio, and the largest difference in percent between a cell's two figures. `home` must have drawn nothing yet."""
    began = time.monotonic()
    with Registry.open(home) as registry:
        request = resolve(registry, asked)
        files = {row.control.name: registry.weights_path(row.control) for row in request.rows}
    with quiet():
        slow = {(row.control.name, target.name, strength): cell(request, row, target, strength, files[row.control.name])
                for row in request.rows for target in row.targets for strength in row.strengths}
    script = time.monotonic() - began
    began = time.monotonic()
    found = evaluate(asked, home=home)
    ours = time.monotonic() - began
    gaps = [abs(cell["points"] - slow[cell["control"], cell["target"], cell["strength"]].points) for cell in found.cells]
    figures = {"cells": len(gaps), "script_seconds": script, "matrix_seconds": ours, "times_faster": script / ours, "largest_gap_in_points": max(gaps)}
    print("\n".join(f"{name:<22}  {value:.3g}" for name, value in figures.items()))
    return figures


def cell(request: Request, row: Row, target: Target, strength: float, file: Path):
    """One cell, nothing shared with any other."""
    models = Models(request.family)
    scorer = ClipScorer(request.family.scorer, models.registry)
    pipe = pipeline(models, target)
    pipe.load_lora_weights(str(file), adapter_name="control")
    scores = []
    for prompt, seed in request.pairs(row):
        pictures = []
        for on in (0.0, strength):
            pipe.set_adapters("control", on)
            settings = {"timesteps": list(target.timesteps)} if target.timesteps else {"num_inference_steps": target.steps}
            generator = torch.Generator("cpu").manual_seed(seed)
            pictures += pipe(prompt, height=target.size, width=target.size, guidance_scale=target.guidance, generator=generator, **settings).images
        scores.append(scorer.scores(pictures, row.control.concept))
    before, after = np.array(scores).T
    return efficacy(before, after)


def pipeline(models: Models, target: Target) -> StableDiffusionXLPipeline:
    """diffusers' own, with the target's UNet and scheduler."""
    parts = {name: part for name, part in models.shared.pipeline.components.items() if name not in ("unet", "scheduler")}
    scheduler = make_scheduler(target, models.scheduler_config)
    pipe = StableDiffusionXLPipeline(**parts, unet=models.denoiser(target).unet, scheduler=scheduler, add_watermarker=False)
    pipe.set_progress_bar_config(disable=True)
    return pipe


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=4, help="pictures a prompt")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CTRLX_HOME"] = folder
        main(Asked(seeds=parser.parse_args().seeds), Path(folder))
