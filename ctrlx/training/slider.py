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

from ctrlx.training.checkpoint import Checkpoint
from ctrlx.training.lora import lora_parameters, new_lora, set_scale
from ctrlx.training.settings import SliderSettings

# (x (n, c, h, w), t (n,), texts: n indices into what was encoded) -> raw prediction (n, c, h, w)
Predict = Callable[[torch.Tensor, torch.Tensor, list[int]], torch.Tensor]


@dataclass(frozen=True)
class Progress:
    """One step done. `loss` is that step's own."""

    step: int
    total: int
    loss: float


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

    A run that was stopped and resumed makes the same weights as one that was not. Where `interrupted` says so after a step, what was
    done is saved and KeyboardInterrupt raised.
    """
    new_lora(stage.unet, rank=settings.rank, alpha=settings.alpha, modules=settings.modules, seed=settings.seed)
    parameters = lora_parameters(stage.unet)
    optimizer = torch.optim.AdamW(parameters, settings.learning_rate, weight_decay=0.0)
    checkpoint = Checkpoint(folder, settings.fingerprint(), parameters, optimizer)
    for step in range(checkpoint.load(), settings.steps):
        generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + step)
        set_rate(optimizer, settings, step)
        loss = slider_loss(stage, settings, generator, sign=1 if step % 2 == 0 else -1)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        checkpoint.save_when_due(step + 1)
        yield Progress(step + 1, settings.steps, float(loss.detach()))
        if interrupted():
            checkpoint.save(step + 1)
            raise KeyboardInterrupt
    checkpoint.save(settings.steps)


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


def set_rate(optimizer: torch.optim.Optimizer, settings: SliderSettings, step: int, warmup: int = 20) -> None:
    """Linear warm-up, then constant, then down to a tenth over the last fifth."""
    left = (settings.steps - step) / max(1, settings.steps // 5)
    for group in optimizer.param_groups:
        group["lr"] = settings.learning_rate * min(1.0, (step + 1) / warmup, max(0.1, left))
