"""A discriminator on features: the frozen base UNet's encoder looks at noised latents, small heads judge what it saw.

In the manner of latent adversarial diffusion distillation (Sauer et al. 2024): a diffusion model's own features take the place of
DINOv2's, so nothing has to be decoded to pixels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

import pocket


class Features(nn.Module):
    """Noised latents (n, 6, 16, 16), t (n,) and texts -> one feature map a level of the frozen encoder, and the middle's."""

    def __init__(self, unet: UNet2DConditionModel):
        super().__init__()
        self.unet = unet.requires_grad_(False)

    def forward(self, x, t, states, pooled) -> list[torch.Tensor]:
        unet, maps = self.unet, []
        embedding = unet.time_embedding(unet.time_proj(t).to(x.dtype))
        embedding = embedding + unet.get_aug_embed(embedding, states, pocket.added(pooled))
        x = unet.conv_in(x)
        for block in unet.down_blocks:
            more = {"encoder_hidden_states": states} if getattr(block, "has_cross_attention", False) else {}
            x, _ = block(hidden_states=x, temb=embedding, **more)
            maps.append(x)
        x = unet.mid_block(x, embedding, encoder_hidden_states=states)
        return [*maps, x]


class Heads(nn.Module):
    """Feature maps and pooled text -> (n, m) judgements: each place of each map is judged, with the text in mind."""

    def __init__(self, widths: tuple[int, ...], text: int = 64, hidden: int = 64):
        super().__init__()
        self.first = nn.ModuleList(spectral_norm(nn.Conv2d(width, hidden, 3, padding=1)) for width in widths)
        self.last = nn.ModuleList(spectral_norm(nn.Conv2d(hidden, 1, 1)) for _ in widths)
        self.text = nn.ModuleList(spectral_norm(nn.Linear(text, hidden)) for _ in widths)

    def forward(self, maps: list[torch.Tensor], pooled: torch.Tensor) -> torch.Tensor:
        judged = []
        for x, first, last, text in zip(maps, self.first, self.last, self.text):
            x = F.leaky_relu(first(F.group_norm(x, 8)), 0.2)
            match = (x * text(pooled)[:, :, None, None]).mean(1, keepdim=True)  # projection: does it fit the words?
            judged.append((last(x) + match).flatten(1))
        return torch.cat(judged, 1).float()


def heads_for(unet: UNet2DConditionModel) -> Heads:
    widths = unet.config.block_out_channels
    return Heads((*widths, widths[-1]))


def hinge(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """The discriminator's loss: mean max(0, 1 - real) + mean max(0, 1 + fake)."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()
