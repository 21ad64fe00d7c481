"""From a kind's settings and pictures to what the loop trains: one short function a kind, and what they share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ctrlx.controls.attach import attach
from ctrlx.controls.convert import as_stored
from ctrlx.records import Target
from ctrlx.sampling.text import encode
from ctrlx.targets.models import Models
from ctrlx.training import key_values
from ctrlx.training.diffusion import Material, PictureStage, loss_with_prior
from ctrlx.training.gather import Gathered
from ctrlx.training.image_slider import image_slider_loss
from ctrlx.training.latents import class_latents, encoded, kept
from ctrlx.training.lora import NAME, lora_parameters, new_lora, set_scale, write_lora
from ctrlx.training.loop import LossAt
from ctrlx.training.settings import CustomSettings, DreamboothSettings, ImageSliderSettings, PictureSettings
from ctrlx.training.stage import abars_of, predictor, timesteps_of


@dataclass(frozen=True, eq=False)
class Job:
    """What the loop trains, and how the result is written: `write(file)` puts the model back as it was and tells more of the recipe."""

    stage: PictureStage
    parameters: list[torch.nn.Parameter]
    loss_at: LossAt
    write: Callable[[Path], dict]
    strengths: tuple[float, ...] = (0.0, 0.5, 1.0)  # of the sample pictures
    samples_between: bool = True  # whether the adapter is there to be drawn with before the end


def make_job(models: Models, target: Target, settings: PictureSettings, gathered: Gathered, folder: Path, home: Path, on_progress=lambda *_: None) -> Job:
    """The job of a kind. Raises BadInput, HomeTrouble, MissingWeights, BadWeights."""
    stage = make_stage(models, target, settings, gathered, folder, home, on_progress)
    if isinstance(settings, CustomSettings):
        return custom_job(stage, settings)
    new_lora(stage.unet, rank=settings.rank, alpha=settings.alpha, modules=settings.modules, seed=settings.seed)
    if isinstance(settings, ImageSliderSettings):
        return image_slider_job(stage, settings, gathered)
    return lora_job(stage, settings)


def make_stage(models: Models, target: Target, settings: PictureSettings, gathered: Gathered, folder: Path, home: Path, on_progress) -> PictureStage:
    """Encodes prompts and pictures once, and draws the class's pictures where a class is named."""
    unet = models.ready(target).unet
    file = folder / f"latents-{gathered.fingerprint[:16]}-{target.size}.safetensors"
    latents = kept(file, lambda: encoded(models.shared, gathered.files, target.size)).to(models.device, models.dtype)
    prompts = list(dict.fromkeys(gathered.prompts))
    material = Material(latents, [prompts.index(prompt) for prompt in gathered.prompts])
    prior = None
    if isinstance(settings, (DreamboothSettings, CustomSettings)) and settings.class_prompt:
        drawn = class_latents(models, target, settings.class_prompt, settings.class_pictures, settings.seed, home, on_progress)
        prior = Material(drawn.to(latents), [len(prompts)] * len(drawn))
        prompts.append(settings.class_prompt)
    predict = predictor(unet, encode(models.shared, prompts), target)
    return PictureStage(unet, predict, target.prediction_type, abars_of(models), timesteps_of(models, target), material, prior)


def lora_job(stage: PictureStage, settings: PictureSettings) -> Job:
    """A LoRA of captioned pictures, or of a subject with pictures of its class."""

    def loss_at(_: int, generator: torch.Generator) -> torch.Tensor:
        set_scale(stage.unet, 1.0)
        return loss_with_prior(stage, settings, generator)

    return Job(stage, lora_parameters(stage.unet), loss_at, lambda file: written(stage, file))


def image_slider_job(stage: PictureStage, settings: ImageSliderSettings, gathered: Gathered) -> Job:
    """A slider: the latents of each strength apart, and the pairs drawn from one of them."""
    graded = {scale: stage.material.latents[positions(gathered.scales, scale)] for scale in sorted(set(gathered.scales))}
    one = next(iter(graded.values()))
    at_one = PictureStage(**{**vars(stage), "material": Material(one, [0] * len(one))})

    def loss_at(_: int, generator: torch.Generator) -> torch.Tensor:
        return image_slider_loss(at_one, graded, settings, generator)

    strengths = tuple(sorted({0.0, *graded}))
    return Job(at_one, lora_parameters(stage.unet), loss_at, lambda file: written(stage, file), strengths)


def custom_job(stage: PictureStage, settings: CustomSettings) -> Job:
    """Keys and values of cross-attention, stored as their change."""
    weights = key_values.unfreeze(stage.unet)
    originals = {name: weight.detach().clone() for name, weight in weights.items()}

    def write(file: Path) -> dict:
        lora, error = key_values.as_lora(key_values.give_back(weights, originals), settings.rank or None)
        half = file.with_name(f".{file.name}.half")
        half.write_bytes(as_stored(lora, {}))
        half.replace(file)
        attach(stage.unet, NAME, lora)
        return {"stored": "exact" if not settings.rank else f"rank {settings.rank}", "stored_rank": lora.rank, "relative_error": error}

    def loss_at(_: int, generator: torch.Generator) -> torch.Tensor:
        return loss_with_prior(stage, settings, generator)

    return Job(stage, list(weights.values()), loss_at, write, samples_between=False)


def written(stage: PictureStage, file: Path) -> dict:
    write_lora(stage.unet, file)
    return {}


def positions(scales: Sequence[float], scale: float) -> list[int]:
    """Where `scale` stands in `scales`."""
    return [i for i, one in enumerate(scales) if one == scale]
