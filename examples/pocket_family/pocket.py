"""The shapes of the pocket family, and its parts put together as diffusers knows them."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

import tokenizer

SIDE, CHANNELS, GRID = 64, 6, 16  # pixels, latent channels, latent side
UNET = dict(
    sample_size=GRID, in_channels=CHANNELS, out_channels=CHANNELS, block_out_channels=(48, 96, 112), layers_per_block=1,
    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"), transformer_layers_per_block=(1, 1, 1),
    attention_head_dim=(3, 6, 7), cross_attention_dim=128, norm_num_groups=16, use_linear_projection=True,
    addition_embed_type="text_time", addition_time_embed_dim=16, projection_class_embeddings_input_dim=64 + 6 * 16,
)
TEXT = dict(hidden_size=64, intermediate_size=256, num_hidden_layers=3, num_attention_heads=2, max_position_embeddings=tokenizer.LENGTH,
            projection_dim=64, hidden_act="gelu")
# SDXL's own noise schedule and timestep spacing
SCHEDULER = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", num_train_timesteps=1000,
                 prediction_type="epsilon", timestep_spacing="leading", steps_offset=1)
TIME_IDS = (SIDE, SIDE, 0, 0, SIDE, SIDE)  # original size, crop corner, target size


def new_unet(**changes) -> UNet2DConditionModel:
    return UNet2DConditionModel(**{**UNET, **changes})


class TextEncoders(torch.nn.Module):
    """Both encoders, used as SDXL uses them: penultimate states side by side, pooled text from the second."""

    def __init__(self, words: Path):
        super().__init__()
        self.tokenizers = [tokenizer.load(words), tokenizer.load(words, pad="!")]
        ids = dict(vocab_size=len(self.tokenizers[0]), bos_token_id=self.tokenizers[0].bos_token_id,
                   eos_token_id=self.tokenizers[0].eos_token_id)
        self.first = CLIPTextModel(CLIPTextConfig(**TEXT, **ids, pad_token_id=self.tokenizers[0].pad_token_id))
        self.second = CLIPTextModelWithProjection(CLIPTextConfig(**TEXT, **ids, pad_token_id=0))

    def forward(self, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """n captions -> token states (n, 32, 128) and pooled text (n, 64)."""
        ids = [t(texts, padding="max_length", truncation=True, max_length=tokenizer.LENGTH, return_tensors="pt").input_ids
               for t in self.tokenizers]
        first = self.first(ids[0], output_hidden_states=True)
        second = self.second(ids[1], output_hidden_states=True)
        return torch.cat([first.hidden_states[-2], second.hidden_states[-2]], -1), second.text_embeds


def alphas_cumprod() -> torch.Tensor:
    """abar, shape (1000,)."""
    return EulerDiscreteScheduler(**SCHEDULER).alphas_cumprod


def noised(x0: torch.Tensor, noise: torch.Tensor, abar: torch.Tensor) -> torch.Tensor:
    """sqrt(abar) x0 + sqrt(1 - abar) noise, with abar of shape (n,)."""
    abar = abar.view(-1, 1, 1, 1)
    return abar.sqrt() * x0 + (1 - abar).sqrt() * noise


def added(pooled: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"text_embeds": pooled, "time_ids": torch.tensor([TIME_IDS], dtype=pooled.dtype).expand(len(pooled), 6)}


def drop_text(states: torch.Tensor, pooled: torch.Tensor, chance: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Zeros in place of some texts, as SDXL's pipeline has them for guidance's other side."""
    kept = (torch.rand(len(states)) >= chance).to(states.dtype)
    return states * kept.view(-1, 1, 1), pooled * kept.view(-1, 1)


def pipeline(vae: AutoencoderKL, texts: TextEncoders, unet: UNet2DConditionModel) -> StableDiffusionXLPipeline:
    return StableDiffusionXLPipeline(
        vae=vae, text_encoder=texts.first, text_encoder_2=texts.second, tokenizer=texts.tokenizers[0], tokenizer_2=texts.tokenizers[1],
        unet=unet, scheduler=EulerDiscreteScheduler(**SCHEDULER), force_zeros_for_empty_prompt=True, add_watermarker=False,
    )
