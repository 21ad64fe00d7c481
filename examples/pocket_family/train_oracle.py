"""The judge: trained on drawings, slightly blurred, noised and shifted in colour, so that it reads a model's pictures too."""

from __future__ import annotations

import random

import torch
import torch.nn.functional as F

import pictures
from oracle import Oracle, loss_of, shows
from recipe import Run, adamw, command_line, update


def roughen(x: torch.Tensor) -> torch.Tensor:
    """Faults that a generator's pictures have and drawings do not."""
    n = len(x)
    blurred = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    x = torch.lerp(x, blurred, torch.rand(n, 1, 1, 1) * (torch.rand(n, 1, 1, 1) < 0.5))
    x = x + torch.randn_like(x) * torch.rand(n, 1, 1, 1) * 0.12
    return x * (1 + 0.08 * torch.randn(n, 3, 1, 1)) + 0.05 * torch.randn(n, 3, 1, 1)


def main(steps: int = 3300, batch: int = 64, lr: float = 2e-3, seed: int = 21, work: str = "work") -> None:
    torch.manual_seed(seed)
    oracle = Oracle()
    optimizer, schedule = adamw(oracle.parameters(), lr, steps)
    run = Run("oracle", steps, seed, work, oracle=oracle, optimizer=optimizer, schedule=schedule)
    for _ in run:
        scenes, x, _, _ = pictures.batch(random, batch, styled=0.2)
        with torch.autocast("cpu", torch.bfloat16):
            loss = loss_of(oracle, roughen(x), scenes)
        update(optimizer, schedule, loss, oracle.parameters())
        run.log(loss=loss)
    oracle.eval()
    torch.save(oracle.state_dict(), run.folder / "oracle.pt")
    run.facts(batch=batch, pictures=run.step * batch, accuracy=accuracy(oracle))


def accuracy(oracle: Oracle, count: int = 1000, through=lambda x: x) -> dict[str, float]:
    """Share of captioned attributes read right, on held-out drawings passed `through` a model."""
    _, x, _, said = pictures.batch(random.Random(777), count, keep=1.0)
    right: dict[str, list[bool]] = {}
    for read, words in zip(oracle.read(through(x)), said):
        for attribute, word in words.items():
            right.setdefault(attribute, []).append(shows(read, attribute, word))
    return {k: round(sum(v) / len(v), 4) for k, v in sorted(right.items())}


if __name__ == "__main__":
    command_line(main)
