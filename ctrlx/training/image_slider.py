"""Sliders from pictures (Concept Sliders, arXiv 2311.12092, section 4.2): the same things at several strengths.

With the same noise and timestep, the adapter at strength a denoises the picture of strength a, and at b that of b. What the two have
in common is learned at both ends and cancels; what differs lies along the strength.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ctrlx.training.diffusion import WANTED, PictureStage, draw_batch, noised, snr_weight
from ctrlx.training.lora import set_scale
from ctrlx.training.settings import ImageSliderSettings


def image_slider_loss(stage: PictureStage, graded: Mapping[float, Tensor], settings: ImageSliderSettings, generator: torch.Generator) -> Tensor:
    """Mean over two strengths, drawn from those in `graded` (strength -> latents (m, c, h, w)), of the diffusion loss at each."""
    chosen, t, noise = draw_batch(stage, stage.material, settings.batch, generator)
    scales = sorted(graded)
    two = [scales[i] for i in torch.randperm(len(scales), generator=generator)[:2].tolist()]
    abar = stage.abars[t].view(-1, 1, 1, 1)
    weight = snr_weight(stage.prediction_type, abar.flatten(), settings.min_snr)
    loss = torch.zeros((), device=noise.device)
    for scale in sorted(two):
        set_scale(stage.unet, scale)
        x0 = graded[scale][chosen]
        said = stage.predict(noised(x0, noise, abar), t, [0] * len(chosen))
        loss = loss + (weight * (said - WANTED[stage.prediction_type](x0, noise, abar)).square().mean((1, 2, 3))).mean() / 2
    return loss
