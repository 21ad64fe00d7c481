"""A strip of pictures drawn while training: what the control does so far."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from ctrlx.records import Target
from ctrlx.reports.grid import Block, grid
from ctrlx.sampling.pictures import generate, to_images
from ctrlx.sampling.plans import Applied, alone
from ctrlx.targets.models import Models
from ctrlx.training.lora import NAME
from ctrlx.training.settings import SliderSettings

STRENGTHS = (-2.0, -1.0, 0.0, 1.0, 2.0)
SEEDS = (0, 1, 2)


def strip(models: Models, target: Target, settings: SliderSettings) -> Image.Image:
    """The target prompt at STRENGTHS of the adapter under training, a row a seed."""
    return pictures_strip(models, target, settings.target_prompt, STRENGTHS, f"{settings.negative}  to  {settings.positive}")


def pictures_strip(models: Models, target: Target, prompt: str, strengths: Sequence[float], title: str = "") -> Image.Image:
    """A prompt at `strengths` of the adapter under training, a row a seed."""
    columns = []
    for strength in strengths:
        controls = [Applied(NAME, strength)] if strength else []
        plan = alone(target, models.scheduler_config, controls=controls)
        columns.append(to_images(generate(models, plan, prompt, SEEDS)))
    rows = [[column[i] for column in columns] for i in range(len(SEEDS))]
    block = Block(f"{target.full_name}, '{prompt}'", [f"{s:+g}" if s else "0 (off)" for s in strengths], rows)
    return grid(title or prompt, [f"seed {s}" for s in SEEDS], [block])
