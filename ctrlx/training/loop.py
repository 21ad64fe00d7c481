"""The one training loop: a generator of steps with checkpoints, which every kind of control shares and gives its own loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ctrlx.training.checkpoint import Checkpoint
from ctrlx.training.settings import Settings

LossAt = Callable[[int, torch.Generator], torch.Tensor]  # (step, where its chance comes from) -> scalar


@dataclass(frozen=True)
class Progress:
    """One step done. `loss` is that step's own, `losses` are all so far, those before an interruption included."""

    step: int
    total: int
    loss: float
    losses: Sequence[float] = ()


def train(
    parameters: list[torch.nn.Parameter], loss_at: LossAt, settings: Settings, folder: Path,
    interrupted: Callable[[], bool] = lambda: False, fingerprint: str = "",
) -> Iterator[Progress]:
    """Trains `parameters` on the mean of `settings.accumulation` losses a step; goes on from the checkpoint in `folder` if there is one.

    A run that was stopped and resumed makes the same weights as one that was not: all chance of a step comes from its number.
    fingerprint: of what else decides the weights, such as the pictures. Where `interrupted` says so after a step, what was done is
    saved and KeyboardInterrupt raised. Raises BadInput, HomeTrouble.
    """
    optimizer = torch.optim.AdamW(parameters, settings.learning_rate, weight_decay=0.0)
    checkpoint = Checkpoint(folder, settings.fingerprint() + fingerprint, parameters, optimizer)
    for step in range(checkpoint.load(), settings.steps):
        generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + step)
        for group in optimizer.param_groups:
            group["lr"] = settings.rate(step)
        total = 0.0
        for _ in range(settings.accumulation):
            loss = loss_at(step, generator) / settings.accumulation
            loss.backward()
            total += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        checkpoint.losses.append(total)
        checkpoint.save_when_due(step + 1)
        yield Progress(step + 1, settings.steps, total, checkpoint.losses)
        if interrupted():
            checkpoint.save(step + 1)
            raise KeyboardInterrupt
    checkpoint.save(settings.steps)
