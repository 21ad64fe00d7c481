"""The diffusion loss on pictures: what the denoiser should have said of a noised picture, and how much each timestep weighs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ctrlx.training.settings import PictureSettings

WANTED = {  # what a prediction of each type is to be, from the clean picture, the noise and abar
    "epsilon": lambda x0, noise, abar: noise,
    "v_prediction": lambda x0, noise, abar: abar.sqrt() * noise - (1 - abar).sqrt() * x0,
    "sample": lambda x0, noise, abar: x0,
}
WEIGHTS = {  # of min-SNR (arXiv 2303.09556, section 3.4) for each type, from snr and min(snr, gamma)
    "epsilon": lambda snr, least: least / snr,
    "v_prediction": lambda snr, least: least / (snr + 1),
    "sample": lambda snr, least: least,
}


@dataclass(frozen=True, eq=False)
class Material:
    """Clean latents (m, c, h, w), and the prompt of each: an index into what was encoded."""

    latents: Tensor
    texts: list[int]


@dataclass(frozen=True, eq=False)
class PictureStage:
    """The model, how to ask it, and the pictures that it is to learn."""

    unet: torch.nn.Module
    predict: Callable[[Tensor, Tensor, list[int]], Tensor]
    prediction_type: str
    abars: Tensor  # (1000,)
    timesteps: Tensor  # those that the target is run at
    material: Material
    prior: Material | None = None  # pictures of the class that the model drew itself


def snr_weight(prediction_type: str, abar: Tensor, gamma: float) -> Tensor:
    """min(abar / (1 - abar), gamma) in the terms of what is predicted; 1 where gamma is 0."""
    if not gamma:
        return torch.ones_like(abar)
    snr = abar / (1 - abar)
    return WEIGHTS[prediction_type](snr, snr.clamp(max=gamma))


def noised(x0: Tensor, noise: Tensor, abar: Tensor) -> Tensor:
    """sqrt(abar) x0 + sqrt(1 - abar) noise."""
    return abar.sqrt() * x0 + (1 - abar).sqrt() * noise


def draw_batch(stage: PictureStage, material: Material, batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """(which pictures, timesteps, noise) of a batch, drawn on the CPU on every machine."""
    chosen = torch.randint(len(material.latents), (batch,), generator=generator)
    t = stage.timesteps[torch.randint(len(stage.timesteps), (batch,), generator=generator)]
    noise = torch.randn(material.latents[chosen].shape, generator=generator).to(material.latents)
    return chosen, t, noise


def diffusion_loss(stage: PictureStage, material: Material, settings: PictureSettings, generator: torch.Generator) -> Tensor:
    """Weighted mean squared error of the raw prediction, for one batch of pictures with their own prompts."""
    chosen, t, noise = draw_batch(stage, material, settings.batch, generator)
    abar, x0 = stage.abars[t].view(-1, 1, 1, 1), material.latents[chosen]
    said = stage.predict(noised(x0, noise, abar), t, [material.texts[i] for i in chosen.tolist()])
    each = (said - WANTED[stage.prediction_type](x0, noise, abar)).square().mean((1, 2, 3))
    return (snr_weight(stage.prediction_type, abar.flatten(), settings.min_snr) * each).mean()


def loss_with_prior(stage: PictureStage, settings: PictureSettings, generator: torch.Generator) -> Tensor:
    """loss(pictures) + prior_weight loss(class pictures): DreamBooth's equation 2; the first alone where there is no class."""
    loss = diffusion_loss(stage, stage.material, settings, generator)
    if stage.prior is None:
        return loss
    return loss + settings.prior_weight * diffusion_loss(stage, stage.prior, settings, generator)
