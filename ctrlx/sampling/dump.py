"""Diffusion Target dumps: what the model thinks the picture will be, at each step of any plan (arXiv 2503.10637, section 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from ctrlx.sampling.loop import denoise
from ctrlx.sampling.pictures import decode, to_images
from ctrlx.sampling.plans import Plan
from ctrlx.targets.models import Models


class Frame(NamedTuple):
    """One step, seen."""

    step: int  # counts from 0 over the whole plan
    leg: int
    timestep: float
    abar: float  # share of signal in what the denoiser looked at
    x0: Tensor  # (c, h, w), float32, on the CPU: the clean latent that the prediction implies
    seen: Image.Image  # x0 decoded: the Diffusion Target
    plain: Image.Image  # what the denoiser looked at, decoded as it is, in variance-preserving form


class Dump(NamedTuple):
    """A whole run, seen."""

    frames: list[Frame]
    final: Image.Image


def dump(
    models: Models, plan: Plan, prompt: str, seed: int, negative: str | None = None, every: int = 1,
    on_step: Callable[[], None] = lambda: None,
) -> Dump:
    """Runs `plan` for one picture and decodes every `every`-th step and the last: one VAE call a step, and one for the picture."""
    frames = []
    for step in denoise(models, plan, prompt, [seed], negative):
        on_step()
        if step.index % every == 0 or step.index == plan.steps - 1:
            seen, plain = to_images(decode(models.shared, torch.cat([step.x0, step.noisy]), 2))
            frames.append(Frame(step.index, step.leg, step.timestep, step.abar, step.x0[0].float().cpu(), seen, plain))
    return Dump(frames, to_images(decode(models.shared, step.latents))[0])


def write_latents(dumps: Mapping[str, Dump], path: Path, told: Mapping[str, str]) -> Path:
    """Every x0 in one safetensors file: a tensor (steps, c, h, w) a lane by its name, and `<name>.timesteps`; `told` is its metadata."""
    tensors = {name: torch.stack([frame.x0 for frame in found.frames]) for name, found in dumps.items()}
    tensors |= {f"{name}.timesteps": torch.tensor([float(frame.timestep) for frame in found.frames]) for name, found in dumps.items()}
    save_file(tensors, path, dict(told))
    return path


def seen_of(
    models: Models, plan: Plan, pairs: Sequence[tuple[str, int]], batch: int, negative: str | None = None,
    on_step: Callable[[], None] = lambda: None,
) -> Iterator[tuple[list[list[Image.Image]], list[Image.Image]]]:
    """For each batch of prompts and seeds: the Diffusion Targets of every step, [step][picture], and the pictures; one VAE call a step."""
    for start in range(0, len(pairs), batch):
        part, seen = pairs[start : start + batch], []
        for step in denoise(models, plan, [prompt for prompt, _ in part], [seed for _, seed in part], negative):
            on_step()
            seen.append(to_images(decode(models.shared, step.x0, batch)))
        yield seen, to_images(decode(models.shared, step.latents, batch))
