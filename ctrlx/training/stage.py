"""What a slider is trained on: the target's UNet, its prompts encoded, and a bank of pictures that it drew itself."""

from __future__ import annotations

from collections import deque

import torch
from diffusers import DDPMScheduler

from ctrlx.errors import BadInput
from ctrlx.records import Target
from ctrlx.sampling.loop import denoise
from ctrlx.sampling.maths import guidance_embedding
from ctrlx.sampling.plans import alone
from ctrlx.sampling.predict import time_ids
from ctrlx.sampling.text import Text, encode
from ctrlx.targets.models import Models
from ctrlx.training.settings import SliderSettings
from ctrlx.training.slider import Stage

BANK_BATCH = 16


def make_stage(models: Models, target: Target, settings: SliderSettings, on_progress=lambda *_: None) -> Stage:
    """Loads the target, encodes its prompts once, and draws the bank with the target's own recipe.

    Raises:
        BadInput: the target takes its guidance as an input, on which this objective was not seen to train stably.
    """
    unet = models.denoiser(target).unet
    if unet.config.time_cond_proj_dim is not None:
        raise BadInput(f"'{target.full_name}' takes guidance as an input, and sliders are not yet trained on such targets; "
                       "train on the base and transfer")
    prompts = settings.prompts()
    text = encode(models.shared, [prompt for three in prompts for prompt in three])
    bank, bank_texts = draw_bank(models, target, [three[0] for three in prompts], settings, on_progress)
    return Stage(unet, predictor(unet, text, target), bank, bank_texts, abars_of(models), timesteps_of(models, target))


def abars_of(models: Models) -> torch.Tensor:
    """The share of signal at each training timestep, (1000,)."""
    return DDPMScheduler.from_config(models.scheduler_config).alphas_cumprod.to(models.device)


def draw_bank(models: Models, target: Target, prompts: list[str], settings: SliderSettings, on_progress) -> tuple[torch.Tensor, list[int]]:
    """settings.bank clean latents (m, c, h, w), the prompts taking turns, and which prompt each was drawn with."""
    texts = [i % len(prompts) for i in range(settings.bank)]
    seeds = [settings.seed * 100_003 + i for i in range(settings.bank)]
    return draw(models, target, [prompts[i] for i in texts], seeds, on_progress), texts


def draw(models: Models, target: Target, prompts: list[str], seeds: list[int], on_progress=lambda *_: None) -> torch.Tensor:
    """Clean latents (m, c, h, w) of the model's own pictures, by the target's recipe."""
    plan, drawn = alone(target, models.scheduler_config), []
    for start in range(0, len(seeds), BANK_BATCH):
        part = slice(start, start + BANK_BATCH)
        last = deque(denoise(models, plan, prompts[part], seeds[part]), maxlen=1).pop()
        drawn.append(last.latents.clone())
        on_progress("drawing pictures to train on", min(start + BANK_BATCH, len(seeds)), len(seeds))
    return torch.cat(drawn)


def predictor(unet, text: Text, target: Target):
    """The raw, unguided prediction for latents, timesteps and indices into `text`.

    A target that takes guidance as an input is told its own.
    """
    size, width = (target.size, target.size), unet.config.time_cond_proj_dim

    def predict(x: torch.Tensor, t: torch.Tensor, texts: list[int]) -> torch.Tensor:
        told = {"encoder_hidden_states": text.embeds[texts]}
        if unet.config.addition_embed_type == "text_time":
            told["added_cond_kwargs"] = {"text_embeds": text.pooled[texts], "time_ids": time_ids(size, len(texts), text.embeds)}
        if width is not None:
            told["timestep_cond"] = guidance_embedding(target.guidance, width).to(text.embeds).repeat(len(texts), 1)
        return unet(x, t, **told, return_dict=False)[0]

    return predict


def timesteps_of(models: Models, target: Target) -> torch.Tensor:
    """The timesteps that the target is run at: all of them for a base, its own few for a distilled model."""
    if target.role == "base":
        return torch.arange(20, 1000, device=models.device)
    schedule = alone(target, models.scheduler_config).legs[0].schedule
    return torch.tensor([int(t) for t in schedule], device=models.device)
