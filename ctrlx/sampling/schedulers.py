"""Schedulers of diffusers, made by a target's recipe and set to exact timesteps, and one wrapper that hides how they differ."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ctrlx.errors import BadCatalogue, BadInput
from ctrlx.records import Target
from ctrlx.sampling.maths import abar_from_sigma, from_vp, to_vp
from ctrlx.targets.quiet import quiet

Timesteps = tuple[float, ...]  # noisiest first; whole numbers are ints


def make_scheduler(target: Target, base_config: Mapping[str, Any], stepper: Target | None = None) -> Any:
    """The scheduler that `target` is run with, from the family's configuration; `stepper` lends another target's scheduler.

    The prediction type is always that of the denoiser, and clean latents are never clipped to pixels' range, which DDIM would do.
    """
    import diffusers

    recipe = stepper or target
    kind = getattr(diffusers, recipe.scheduler, None)
    if not (isinstance(kind, type) and issubclass(kind, diffusers.SchedulerMixin)):
        raise BadCatalogue(
            f"target '{recipe.full_name}' names the scheduler '{recipe.scheduler}', which diffusers {diffusers.__version__} does not have"
        )
    settings = {"clip_sample": False, **base_config, **recipe.scheduler_args, "prediction_type": target.prediction_type}
    with quiet():
        scheduler = kind.from_config({name: value for name, value in settings.items() if not name.startswith("_")})
    if scheduler.order != 1 or not hasattr(scheduler, "alphas_cumprod"):
        raise BadCatalogue(
            f"{recipe.scheduler} of target '{recipe.full_name}' does not make one prediction a step; give a scheduler that does"
        )
    return scheduler


def timesteps_for(target: Target, base_config: Mapping[str, Any], steps: int | None = None) -> Timesteps:
    """The timesteps that `target` visits in `steps` steps (its own number by default).

    Raises BadInput where the target was not made for that many.
    """
    steps = target.steps if steps is None else steps
    if steps < 1:
        raise BadInput(f"{steps} steps draw nothing; give 1 or more")
    if target.only_steps is not None and steps not in target.only_steps:
        made_for = ", ".join(map(str, target.only_steps))
        raise BadInput(f"target '{target.full_name}' was made for {made_for} steps, not {steps}; give one of those, or another target")
    if target.timesteps is not None:
        if steps != len(target.timesteps):
            raise BadInput(f"target '{target.full_name}' runs at {len(target.timesteps)} fixed timesteps, not {steps}; leave the steps out")
        return target.timesteps
    return own_timesteps(make_scheduler(target, base_config), steps)


def own_timesteps(scheduler: Any, steps: int) -> Timesteps:
    """What the scheduler's own rule gives for `steps` steps; sets the scheduler to them."""
    try:
        scheduler.set_timesteps(steps)
    except ValueError as error:
        raise BadInput(f"{type(scheduler).__name__} has no {steps} steps; give fewer ({' '.join(str(error).split())[:120]})") from error
    return tuple(int(t) if t == int(t) else t for t in scheduler.timesteps.tolist())


def set_timesteps(scheduler: Any, schedule: Sequence[float], device: torch.device | str | None = None) -> None:
    """Sets the scheduler to visit `schedule`: by its own rule where that gives the same, else to these timesteps exactly.

    Euler ancestral and DDIM take no timesteps in diffusers. The first gets its noise levels from the same interpolation that it
    uses itself; the second is told each gap when it steps (`Stepper.step`).
    """
    try:
        if own_timesteps(scheduler, len(schedule)) == tuple(schedule):
            scheduler.set_timesteps(len(schedule), device=device)
            return
    except BadInput:
        pass  # more steps than its own rule has, which explicit timesteps may well be
    if "timesteps" in inspect.signature(scheduler.set_timesteps).parameters:
        with quiet():  # LCM warns of timesteps that it was not trained on, which a recipe may ask for
            scheduler.set_timesteps(timesteps=list(schedule), device=device)
        return
    name = type(scheduler).__name__
    if name == "EulerAncestralDiscreteScheduler":
        abar = scheduler.alphas_cumprod.numpy()
        sigmas = np.interp(np.float32(schedule), np.arange(len(abar)), ((1 - abar) / abar) ** 0.5)
        scheduler.sigmas = torch.from_numpy(np.append(sigmas, 0).astype(np.float32))
        scheduler.timesteps = torch.tensor(schedule, dtype=torch.float32, device=device)
    elif name == "DDIMScheduler":
        scheduler.timesteps = torch.tensor(schedule, dtype=torch.int64, device=device)
        scheduler.num_inference_steps = None
    else:
        raise BadInput(
            f"{name} cannot be set to the timesteps {', '.join(map(str, schedule))}; use a target with an Euler, DDIM or LCM scheduler"
        )


class Stepper:
    """A scheduler set to a leg's schedule, stepping latents in the scheduler's own form, which `to_vp` and `from_vp` translate.

    Positions count the schedule's timesteps; the position after the last one is the finished picture.
    """

    def __init__(self, scheduler: Any, schedule: Sequence[float], start: int = 0, device: torch.device | str | None = None):
        self.exploding = float(scheduler.init_noise_sigma) > 1  # over the whole training schedule; VP schedulers say 1.0
        set_timesteps(scheduler, schedule, device)
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(start)
        self.scheduler, self.schedule, self.start = scheduler, tuple(schedule), start
        self.takes_generator = "generator" in inspect.signature(scheduler.step).parameters
        self.gaps = type(scheduler).__name__ == "DDIMScheduler" and scheduler.num_inference_steps is None

    def timestep(self, position: int) -> Tensor:
        """The timestep as scheduler and UNet take it, 0-d."""
        return self.scheduler.timesteps[position]

    def abar(self, position: int) -> float:
        """Share of signal at `position`; 1 for the finished picture."""
        if position == len(self.schedule):
            return 1.0
        if self.exploding:
            return abar_from_sigma(float(self.scheduler.sigmas[position]))
        return float(self.scheduler.alphas_cumprod[int(self.schedule[position])])

    def first(self, noise: Tensor) -> Tensor:
        """Latents to start from, made of unit noise (n, c, h, w): as diffusers does at the schedule's beginning, else of unit variance in VP form."""
        return noise * self.scheduler.init_noise_sigma if self.start == 0 else self.from_vp(noise, self.start)

    def to_vp(self, latents: Tensor, position: int) -> Tensor:
        """The scheduler's form to the variance-preserving one."""
        return to_vp(latents, self.scheduler.sigmas[position]) if self.exploding else latents

    def from_vp(self, latents: Tensor, position: int) -> Tensor:
        """The variance-preserving form to the scheduler's."""
        return from_vp(latents, self.scheduler.sigmas[position]) if self.exploding else latents

    def scaled(self, latents: Tensor, position: int) -> Tensor:
        """What the denoiser looks at, which is the variance-preserving form."""
        return self.scheduler.scale_model_input(latents, self.timestep(position))

    def step(self, prediction: Tensor, position: int, latents: Tensor, generators: list[torch.Generator]) -> Tensor:
        """Latents at the next position; each picture's fresh noise comes from its own generator."""
        if self.gaps:  # DDIM takes its next timestep to be t - T // steps: a fraction for the steps makes that the gap
            until = self.schedule[position + 1] if position + 1 < len(self.schedule) else -1
            gap = int(self.schedule[position] - until)
            self.scheduler.num_inference_steps = Fraction(self.scheduler.config.num_train_timesteps, gap)
        extra = {"generator": generators} if self.takes_generator else {}
        return self.scheduler.step(prediction, self.timestep(position), latents, **extra, return_dict=False)[0]
