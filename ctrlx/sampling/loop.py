"""The one loop that makes pictures: a generator of steps. Generating, dumping and progress bars are its consumers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ctrlx.controls.attach import set_strengths
from ctrlx.errors import BadInput
from ctrlx.sampling.maths import X0
from ctrlx.sampling.plans import Leg, Plan
from ctrlx.sampling.predict import Predictor
from ctrlx.sampling.schedulers import Stepper, make_scheduler
from ctrlx.targets.models import Denoiser, Models


class Step(NamedTuple):
    """One prediction, for n pictures. Latents are (n, c, h, w) in variance-preserving form, whatever the scheduler's own is."""

    index: int  # counts from 0 over the whole plan
    leg: int  # which leg of the plan
    timestep: float
    abar: float  # share of signal in `noisy`
    noisy: Tensor  # x_t: what the denoiser looked at
    prediction: Tensor  # what it said, guided: noise, velocity or sample, by the target's prediction type
    x0: Tensor  # the picture that this prediction implies: the Diffusion Target
    latents: Tensor  # what the step left for the next one; after the last step, the picture


def denoise(models: Models, plan: Plan, prompts: str | Sequence[str], seeds: Sequence[int], negative: str | None = None) -> Iterator[Step]:
    """Runs `plan` for len(seeds) pictures at once, one record a step.

    prompts: one for each seed, or one for all. A picture depends on its own prompt and seed, and on no neighbour in the batch.
    Controls that the plan names must be on the targets already (`Models.attached`). The tensors are inference tensors: clone them
    to train on them. Raises BadInput for a size that the VAE cannot draw.
    """
    prompts = [prompts] * len(seeds) if isinstance(prompts, str) else list(prompts)
    if not seeds or len(prompts) != len(seeds):
        raise BadInput(f"{len(prompts)} prompts for {len(seeds)} seeds; give each picture one of both")
    generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
    latents, before, index = None, None, 0
    for number, leg in enumerate(plan.legs):
        denoiser = models.ready(leg.target)
        stepper = Stepper(make_scheduler(leg.target, models.scheduler_config, leg.stepper), leg.schedule, leg.start, models.device)
        predict = Predictor(denoiser.unet, models.shared, prompts, leg.guidance, plan.size, negative)
        if latents is None:
            latents = stepper.first(_noise(models, denoiser, plan.size, generators))
        else:
            latents = _handed_over(latents, before, stepper, leg.start)
        for position in range(leg.start, leg.stop):
            step, latents = _step(denoiser, predict, stepper, leg, position, latents, generators)
            yield step._replace(index=index, leg=number)
            index += 1
        before = stepper


@torch.inference_mode()
def _step(
    denoiser: Denoiser, predict: Predictor, stepper: Stepper, leg: Leg, position: int, latents: Tensor, generators: list[torch.Generator]
) -> tuple[Step, Tensor]:
    """The record of one step, and the latents that follow in the scheduler's own form."""
    timestep, abar = leg.schedule[position], stepper.abar(position)
    set_strengths(denoiser.unet, {**denoiser.own, **leg.strengths(timestep)})
    noisy = stepper.scaled(latents, position)
    prediction = predict(noisy, stepper.timestep(position))
    x0 = X0[leg.target.prediction_type](noisy, prediction, abar)
    following = stepper.step(prediction, position, latents, generators)
    return Step(0, 0, timestep, abar, noisy, prediction, x0, stepper.to_vp(following, position + 1)), following


def check_size(models: Models, size: tuple[int, int]) -> int:
    """Pixels a latent, both ways. Raises BadInput for a (width, height) in pixels that the VAE cannot draw."""
    factor, (width, height) = models.shared.pipeline.vae_scale_factor, size
    if width % factor or height % factor or min(size) <= 0:
        raise BadInput(f"{width}x{height} pixels is no size for '{models.family.id}'; both sides must be multiples of {factor}")
    return factor


def _noise(models: Models, denoiser: Denoiser, size: tuple[int, int], generators: list[torch.Generator]) -> Tensor:
    """Unit noise (n, c, height / factor, width / factor), each picture's from its own generator, drawn on the CPU on every machine."""
    factor, (width, height) = check_size(models, size), size
    shape = (1, denoiser.unet.config.in_channels, height // factor, width // factor)
    noise = [torch.randn(shape, generator=generator, dtype=models.dtype) for generator in generators]
    return torch.cat(noise).to(models.device)


def _handed_over(latents: Tensor, before: Stepper, after: Stepper, position: int) -> Tensor:
    """Latents in the next leg's form. Two legs of the same form share the numbers, so that not a bit changes between them."""
    if before.exploding == after.exploding:
        return latents
    return after.from_vp(before.to_vp(latents, before.schedule.index(after.schedule[position])), position)
