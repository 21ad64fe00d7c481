"""Latents decoded to pixels, and the shortest ways from a plan to its pictures."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ctrlx.sampling.loop import denoise
from ctrlx.sampling.plans import Plan
from ctrlx.targets.load import Shared
from ctrlx.targets.models import Models


@torch.inference_mode()
def decode(shared: Shared, latents: Tensor, batch: int = 8) -> np.ndarray:
    """Clean latents (n, c, h, w) to pixels (n, height, width, 3) of uint8, `batch` at a time."""
    vae = shared.pipeline.vae
    latents = _unscaled(vae.config, latents.to(shared.device, vae.dtype))
    pixels = [vae.decode(chunk, return_dict=False)[0] for chunk in latents.split(batch)]
    unit = (torch.cat(pixels).float() * 0.5 + 0.5).clamp(0, 1)  # the VAE draws between -1 and 1
    return (unit * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def pictures(
    models: Models, plan: Plan, prompts: str | Sequence[str], seeds: Sequence[int], negative: str | None = None, batch: int = 8
) -> Iterator[np.ndarray]:
    """The plan's pictures in batches, each (up to `batch`, height, width, 3) of uint8, as soon as they are drawn."""
    prompts = [prompts] * len(seeds) if isinstance(prompts, str) else list(prompts)
    for first in range(0, len(seeds), batch):
        chunk = slice(first, first + batch)
        steps = denoise(models, plan, prompts[chunk], seeds[chunk], negative)
        yield decode(models.shared, deque(steps, maxlen=1).pop().latents, batch)


def generate(
    models: Models, plan: Plan, prompts: str | Sequence[str], seeds: Sequence[int], negative: str | None = None, batch: int = 8
) -> np.ndarray:
    """The plan's pictures (len(seeds), height, width, 3) of uint8; the same for a seed whatever the batch."""
    return np.concatenate(list(pictures(models, plan, prompts, seeds, negative, batch)))


def to_images(pixels: np.ndarray) -> list[Image.Image]:
    """Pixels (n, height, width, 3) of uint8 as PIL images."""
    return [Image.fromarray(picture) for picture in pixels]


def _unscaled(config: object, latents: Tensor) -> Tensor:
    """From the denoiser's scale to the VAE's, by mean and deviation a channel where the VAE gives them."""
    mean, deviation = getattr(config, "latents_mean", None), getattr(config, "latents_std", None)
    if mean is None or deviation is None:
        return latents / config.scaling_factor
    by_channel = (1, -1, 1, 1)
    return latents * torch.tensor(deviation).to(latents).view(by_channel) / config.scaling_factor + torch.tensor(mean).to(latents).view(
        by_channel
    )
