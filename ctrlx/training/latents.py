"""Pictures as the denoiser sees them, encoded once and kept: those of the user beside the checkpoint, those of a class under home."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ctrlx.errors import HomeTrouble
from ctrlx.records import Target
from ctrlx.targets.fingerprint import fingerprints
from ctrlx.targets.load import Shared
from ctrlx.targets.models import Models
from ctrlx.training.data import open_picture
from ctrlx.training.stage import draw


def kept(file: Path, make: Callable[[], torch.Tensor]) -> torch.Tensor:
    """The tensor in `file`; made, and kept there, where there is none that can be read. Raises HomeTrouble."""
    try:
        return load_file(file)["latents"]
    except (OSError, SafetensorError, KeyError):
        made = make().cpu().contiguous()
    half = file.with_name(f".{file.name}.half")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        save_file({"latents": made}, half)
        half.replace(file)
    except (OSError, SafetensorError) as problem:
        raise HomeTrouble(f"{file} cannot be written ({problem}); free or unlock its folder") from problem
    return made


@torch.no_grad()
def encoded(shared: Shared, files: Sequence[Path], size: int) -> torch.Tensor:
    """Clean latents (m, c, h, w) of picture files: the mode of what the VAE says, at the denoiser's scale. Raises BadInput."""
    vae, found = shared.pipeline.vae, []
    for file in files:
        pixels = torch.from_numpy(np.asarray(open_picture(file, size)).copy()).permute(2, 0, 1)[None]
        found.append(scaled(vae.config, vae.encode((pixels / 127.5 - 1).to(shared.device, vae.dtype)).latent_dist.mode()))
    return torch.cat(found)


def scaled(config, latents: torch.Tensor) -> torch.Tensor:
    """From the VAE's scale to the denoiser's, by mean and deviation a channel where the VAE gives them."""
    mean, deviation = getattr(config, "latents_mean", None), getattr(config, "latents_std", None)
    if mean is None or deviation is None:
        return latents * config.scaling_factor
    mean, deviation = (torch.tensor(values).to(latents).view(1, -1, 1, 1) for values in (mean, deviation))
    return (latents - mean) * config.scaling_factor / deviation


def class_latents(models: Models, target: Target, prompt: str, count: int, seed: int, home: Path, on_progress=lambda *_: None) -> torch.Tensor:
    """`count` pictures of a class by the model itself, drawn once for the same weights, recipe, prompt and seed. Raises HomeTrouble."""
    weights = fingerprints(models.family, (target,), models.registry)
    told = [weights, repr(target), prompt, count, seed]
    key = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    seeds = [seed * 100_003 + i for i in range(count)]
    return kept(home / "class-pictures" / f"{key}.safetensors", lambda: draw(models, target, [prompt] * count, seeds, on_progress))
