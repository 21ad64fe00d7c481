"""Measures a stage against its gates, and keeps the figures in registry/pocket/figures.json: python measure.py --stage base

What is measured is what ships: the fp16 files in registry/pocket, through plain diffusers and plain open_clip.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from random import Random

import diffusers
import open_clip
import torch
from diffusers import AutoencoderKL, StableDiffusionXLPipeline, UNet2DConditionModel

import oracle
import pictures
from assemble import REGISTRY
from captions import caption
from recipe import command_line
from train_oracle import accuracy
from world import sample_scene

# The recipes of registry/families/pocket.toml, in diffusers' words.
RECIPES = {
    "base": {"scheduler": "EulerDiscreteScheduler", "steps": 25, "guidance": 4.0},
    "turbo": {"scheduler": "EulerAncestralDiscreteScheduler", "scheduler_args": {"timestep_spacing": "trailing"}, "steps": 4,
              "guidance": 0.0},
}
PROMPTS = 500


def main(stage: str = "base", steps: int = 0, prompts: int = PROMPTS, work: str = "work", registry: str = str(REGISTRY)) -> None:
    folder = Path(registry)
    judge = oracle.load(Path(work) / "oracle")
    if stage == "oracle":
        figures = {"accuracy": accuracy(judge, 2000)}
    elif stage == "vae":
        figures = measure_vae(folder, judge)
    elif stage == "scorer":
        figures = {"zero_shot": measure_scorer(folder)}
    else:
        figures = measure_target(folder, judge, stage, steps or RECIPES[stage]["steps"], prompts)
        stage = f"{stage}-{figures['steps']}"
    record(folder, Path(work), stage, figures)


def record(folder: Path, work: Path, stage: str, figures: dict) -> None:
    """Adds a stage's figures, and how it was trained, to figures.json."""
    file = folder / "figures.json"
    known = json.loads(file.read_text()) if file.exists() else {}
    trained = work / stage.split("-")[0].split(" ")[0]
    training = json.loads((trained / "facts.json").read_text()) if (trained / "facts.json").exists() else {}
    if (trained / "note.txt").exists():  # what was done by hand and no script would repeat
        training["note"] = (trained / "note.txt").read_text().strip()
    known[stage] = {"measured": figures, "training": training, "date": time.strftime("%Y-%m-%d")}
    file.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    print(json.dumps(known[stage], indent=1))


def measure_vae(folder: Path, judge: oracle.Oracle) -> dict:
    vae = AutoencoderKL.from_pretrained(folder / "vae").float()

    @torch.no_grad()
    def through(x):
        return torch.cat([vae.decode(vae.encode(part).latent_dist.mean).sample.clamp(-1, 1) for part in x.split(50)])

    return {"original": accuracy(judge), "reconstructed": accuracy(judge, through=through)}


def measure_scorer(folder: Path) -> dict:
    from train_scorer import zero_shot

    name = f"local-dir:{folder / 'scorer'}"
    model = open_clip.create_model(name).float().eval()
    return zero_shot(model, open_clip.get_tokenizer(name).tokenizer)


def pipeline(folder: Path, stage: str) -> StableDiffusionXLPipeline:
    """The target as a stranger would load it."""
    pipe = StableDiffusionXLPipeline.from_pretrained(folder, torch_dtype=torch.float32)
    if stage != "base":
        pipe.unet = UNet2DConditionModel.from_pretrained(folder / stage / "unet", torch_dtype=torch.float32)
    recipe = RECIPES[stage]
    scheduler = getattr(diffusers, recipe["scheduler"])
    pipe.scheduler = scheduler.from_config(pipe.scheduler.config, **recipe.get("scheduler_args", {}))
    pipe.set_progress_bar_config(disable=True)
    return pipe


def held_out(count: int) -> tuple[list[str], list[dict[str, str]]]:
    """Prompts that no training caption was drawn from, and what each of them asks for."""
    rng = Random(90_001)
    pairs = [caption(sample_scene(rng), rng, 0.5) for _ in range(count)]
    return [text for text, _ in pairs], [asked for _, asked in pairs]


def draw(pipe, stage: str, texts: list[str], steps: int, batch: int = 25) -> torch.Tensor:
    """(n, 3, 64, 64) in -1..1; picture i has seed i."""
    drawn = []
    for start in range(0, len(texts), batch):
        part = texts[start : start + batch]
        generators = [torch.Generator().manual_seed(start + i) for i in range(len(part))]
        drawn.append(pipe(part, num_inference_steps=steps, guidance_scale=RECIPES[stage]["guidance"], generator=generators,
                          height=pictures.SIDE, width=pictures.SIDE, output_type="pt").images * 2 - 1)
    return torch.cat(drawn)


def measure_target(folder: Path, judge: oracle.Oracle, stage: str, steps: int, count: int) -> dict:
    texts, asked = held_out(count)
    began = time.monotonic()
    reads = judge.read(draw(pipeline(folder, stage), stage, texts, steps))
    found: dict[str, list[bool]] = {}
    for read, wanted in zip(reads, asked):
        for attribute, word in wanted.items():
            found.setdefault(attribute, []).append(oracle.shows(read, attribute, word))
    every = [hit for hits in found.values() for hit in hits]
    return {"steps": steps, "prompts": count, "seconds": round(time.monotonic() - began), "found": round(sum(every) / len(every), 4),
            "asked": len(every), "by_attribute": {k: round(sum(v) / len(v), 4) for k, v in sorted(found.items())}}


if __name__ == "__main__":
    command_line(main)
