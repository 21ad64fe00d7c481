"""The formulas of sampling, each pure. x is a latent (n, c, h, w); abar, the share of signal in x, is the cumulative product of 1 - beta.

In the variance-preserving form x = sqrt(abar) x0 + sqrt(1 - abar) eps; in the variance-exploding one x = x0 + sigma eps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor


def x0_from_eps(x: Tensor, eps: Tensor, abar: float) -> Tensor:
    """Clean sample implied by a noise prediction: (x - sqrt(1 - abar) eps) / sqrt(abar). The Diffusion Target of arXiv 2503.10637."""
    return (x - math.sqrt(1 - abar) * eps) / math.sqrt(abar)


def x0_from_v(x: Tensor, v: Tensor, abar: float) -> Tensor:
    """Clean sample implied by a velocity prediction: sqrt(abar) x - sqrt(1 - abar) v (arXiv 2202.00512, section 4)."""
    return math.sqrt(abar) * x - math.sqrt(1 - abar) * v


def x0_from_sample(x: Tensor, sample: Tensor, abar: float) -> Tensor:
    """A denoiser that predicts the clean sample has said it."""
    return sample


X0: Mapping[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "epsilon": x0_from_eps,
    "v_prediction": x0_from_v,
    "sample": x0_from_sample,
}


def abar_from_sigma(sigma: float) -> float:
    """Share of signal at a noise level: 1 / (1 + sigma^2)."""
    return 1 / (1 + sigma**2)


def sigma_from_abar(abar: float) -> float:
    """Noise level at a share of signal: sqrt((1 - abar) / abar)."""
    return math.sqrt((1 - abar) / abar)


def to_vp(x: Tensor, sigma: Tensor) -> Tensor:
    """Variance-exploding to variance-preserving: x / sqrt(1 + sigma^2)."""
    return x / ((sigma**2 + 1) ** 0.5)


def from_vp(x: Tensor, sigma: Tensor) -> Tensor:
    """Variance-preserving to variance-exploding: x sqrt(1 + sigma^2)."""
    return x * ((sigma**2 + 1) ** 0.5)


def guided(unconditional: Tensor, conditional: Tensor, guidance: float) -> Tensor:
    """Classifier-free guidance: u + g (c - u) (arXiv 2207.12598)."""
    return unconditional + guidance * (conditional - unconditional)


def guidance_embedding(guidance: float, width: int) -> Tensor:
    """What a guidance-distilled UNet is told, (1, width): sines then cosines of 1000 (g - 1) at falling frequencies (arXiv 2310.04378)."""
    half = width // 2
    frequencies = torch.exp(torch.arange(half, dtype=torch.float32) * -(torch.log(torch.tensor(10000.0)) / (half - 1)))
    angles = torch.tensor(guidance - 1) * 1000.0 * frequencies
    waves = torch.cat([torch.sin(angles), torch.cos(angles)])
    return torch.nn.functional.pad(waves, (0, width % 2))[None]
