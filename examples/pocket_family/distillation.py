"""What every distillation shares: the frozen base, its texts, and the formulas between noise predictions and clean latents."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import UNet2DConditionModel

import discriminator
import pocket

TIMESTEPS = torch.tensor([999, 749, 499, 249])


class Distillation:
    """The frozen base, its texts, and the pieces of a loss that no student trains."""

    def __init__(self, work: Path, guidance: float):
        self.teacher = UNet2DConditionModel.from_pretrained(work / "base" / "unet").requires_grad_(False).eval()
        self.texts = load_texts(work)
        self.features = discriminator.Features(self.teacher)
        self.guidance = guidance
        self.abars = pocket.alphas_cumprod()

    def clean(self, unet, x, t, states, pooled) -> torch.Tensor:
        """x0 = (x_t - sqrt(1 - abar) eps) / sqrt(abar)."""
        abar = self.abars[t].view(-1, 1, 1, 1)
        eps = unet(x, t, states, added_cond_kwargs=pocket.added(pooled)).sample.float()
        return (x - (1 - abar).sqrt() * eps) / abar.sqrt()

    @torch.no_grad()
    def teachers_word(self, x, t, states, pooled, guidance=None) -> torch.Tensor:
        """The base's guided x0, both sides of the guidance in one forward; `guidance` may be a scale a picture, (n, 1, 1, 1)."""
        twice = [torch.cat([v, v]) for v in (x, t)]
        zeros = [torch.cat([v, torch.zeros_like(v)]) for v in (states, pooled)]
        told, untold = self.clean(self.teacher, *twice, *zeros).chunk(2)
        return untold + (self.guidance if guidance is None else guidance) * (told - untold)

    @torch.no_grad()
    def read(self, captions: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """Token states and pooled text."""
        return self.texts(captions)

    def judged(self, heads, x0, t, states, pooled) -> torch.Tensor:
        noisy = pocket.noised(x0, torch.randn_like(x0), self.abars[t])
        return heads(self.features(noisy, t, states, pooled), pooled)


def load_texts(work: Path) -> pocket.TextEncoders:
    texts = pocket.TextEncoders(work / "tokenizer")
    texts.first = texts.first.from_pretrained(work / "base" / "text_encoder")
    texts.second = texts.second.from_pretrained(work / "base" / "text_encoder_2")
    return texts.requires_grad_(False).eval()
