"""Text sliders: a LoRA that moves what a model draws of one thing between two ends (Concept Sliders, arXiv 2311.12092, eq. 7).

For a noised picture x_t of the model's own, with eps* the frozen model and the slider at strength s = +1 or -1:
    eps_theta(x_t, target; s)  ->  eps*(x_t, target) + s eta (eps*(x_t, positive) - eps*(x_t, negative))
The three frozen predictions come from one batched forward, and x_t from noising pictures that the model drew once (the official
loop draws anew up to t at every step, tens of forwards each); predictions may be noise, velocity or sample: the rule is linear.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from ctrlx.training.lora import lora_parameters, new_lora, set_scale
from ctrlx.training.loop import Progress, train
from ctrlx.training.settings import SliderSettings

# (x (n, c, h, w), t (n,), texts: n indices into what was encoded) -> raw prediction (n, c, h, w)
Predict = Callable[[torch.Tensor, torch.Tensor, list[int]], torch.Tensor]


@dataclass(frozen=True)
class Stage:
    """What a slider is trained on: the model, how to ask it, and pictures of its own as clean latents (m, c, h, w)."""

    unet: torch.nn.Module
    predict: Predict
    bank: torch.Tensor
    bank_texts: list[int]  # the attribute that each bank picture was drawn with: index into settings.prompts()
    abars: torch.Tensor  # (1000,)
    timesteps: torch.Tensor  # those that the target is run at


def train_slider(
    stage: Stage, settings: SliderSettings, folder: Path, interrupted: Callable[[], bool] = lambda: False
) -> Iterator[Progress]:
    """Trains a LoRA on stage.unet, a record a step; goes on from the checkpoint in `folder` if there is one.

    As ctrlx.training.loop.train in all else.
    """
    new_lora(stage.unet, rank=settings.rank, alpha=settings.alpha, modules=settings.modules, seed=settings.seed)

    def loss_at(step: int, generator: torch.Generator) -> torch.Tensor:
        return slider_loss(stage, settings, generator, sign=1 if step % 2 == 0 else -1)

    return train(lora_parameters(stage.unet), loss_at, settings, folder, interrupted)


def slider_loss(stage: Stage, settings: SliderSettings, generator: torch.Generator, sign: int) -> torch.Tensor:
    """Mean squared distance to the guided target, for one batch at strength `sign`."""
    chosen = torch.randint(len(stage.bank), (settings.batch,), generator=generator)
    t = stage.timesteps[torch.randint(len(stage.timesteps), (settings.batch,), generator=generator)]
    noise = torch.randn(stage.bank[chosen].shape, generator=generator)
    abar = stage.abars[t].view(-1, 1, 1, 1)
    x = abar.sqrt() * stage.bank[chosen] + (1 - abar).sqrt() * noise
    texts = [3 * stage.bank_texts[i] for i in chosen.tolist()]  # target, positive, negative stand in a row
    with torch.no_grad():
        set_scale(stage.unet, 0.0)
        thrice = texts + [i + 1 for i in texts] + [i + 2 for i in texts]
        neutral, positive, negative = stage.predict(x.repeat(3, 1, 1, 1), t.repeat(3), thrice).chunk(3)
        wanted = guided(neutral, positive, negative, sign * settings.guidance)
    set_scale(stage.unet, float(sign))
    return (stage.predict(x, t, texts) - wanted).square().mean()


def guided(neutral: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor, eta: float) -> torch.Tensor:
    """neutral + eta (positive - negative)."""
    return neutral + eta * (positive - negative)
