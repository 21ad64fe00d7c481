"""One leg's denoiser, asked as the family's diffusers pipeline asks it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from ctrlx.sampling.maths import guidance_embedding, guided
from ctrlx.sampling.text import Text, encode, encode_negative
from ctrlx.targets.load import Shared


def time_ids(size: tuple[int, int], count: int, like: Tensor) -> Tensor:
    """SDXL's micro-conditioning (count, 6) for pictures of `size` (width, height): original height and width, crop 0, 0, target height and width."""
    width, height = size
    return torch.tensor([[height, width, 0, 0, height, width]], dtype=like.dtype, device=like.device).repeat(count, 1)


def doubles(unet: UNet2DConditionModel, guidance: float) -> bool:
    """Whether guidance costs a second evaluation: above 1, unless the UNet takes guidance as an input."""
    return guidance > 1 and unet.config.time_cond_proj_dim is None


class Predictor:
    """A UNet with all that it is told about n pictures; call it with latents to get its guided prediction.

    Guidance above 1 doubles the batch, unless the UNet was distilled to take guidance as an input, which then has no negative.
    """

    def __init__(
        self,
        unet: UNet2DConditionModel,
        shared: Shared,
        prompts: Sequence[str],
        guidance: float,
        size: tuple[int, int],
        negative: str | None = None,
    ):
        embedding_width = unet.config.time_cond_proj_dim
        self.unet, self.guidance = unet, guidance
        self.doubled = doubles(unet, guidance)
        text = encode(shared, prompts)
        if self.doubled:
            away = encode_negative(shared, negative, len(prompts))
            text = Text(*(None if there is None else torch.cat([there, here]) for there, here in zip(away, text)))
        self.told = {"encoder_hidden_states": text.embeds}
        if unet.config.addition_embed_type == "text_time":
            ids = time_ids(size, len(text.embeds), text.embeds)
            self.told["added_cond_kwargs"] = {"text_embeds": text.pooled, "time_ids": ids}
        if embedding_width is not None:
            self.told["timestep_cond"] = guidance_embedding(guidance, embedding_width).to(text.embeds).repeat(len(prompts), 1)

    def __call__(self, latents: Tensor, timestep: Tensor) -> Tensor:
        """The raw prediction (n, c, h, w) for latents of the same shape in variance-preserving form."""
        seen = torch.cat([latents, latents]) if self.doubled else latents
        prediction = self.unet(seen, timestep, **self.told, return_dict=False)[0]
        return guided(*prediction.chunk(2), self.guidance) if self.doubled else prediction
