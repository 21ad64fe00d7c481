"""What every stage shares: a loop that can be killed at any step and goes on from its last checkpoint, and its settings.

Randomness is drawn anew from (seed, step) at each step, so a run that was interrupted makes the same weights as one that was not.
"""

from __future__ import annotations

import argparse
import inspect
import json
import math
import os
import random
import sys
import time
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

HERE = Path(__file__).parent
CHECKPOINT_EVERY_SECONDS = 120


class Run:
    """Iterate over it to train: `for step in run: …; run.log(loss=loss)`. Its parts are whatever has a state_dict."""

    def __init__(self, name: str, steps: int, seed: int, work: str | Path, **parts):
        self.name, self.total, self.seed, self.parts = name, steps, seed, parts
        self.folder = Path(work) / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.checkpoint = self.folder / "checkpoint.pt"
        self.step, self.seconds, self.averages = 0, 0.0, {}
        if self.checkpoint.exists():
            self.load()

    def load(self) -> None:
        saved = torch.load(self.checkpoint, weights_only=True)
        self.step, self.seconds = saved["step"], saved["seconds"]
        for name, part in self.parts.items():
            part.load_state_dict(saved[name])

    def save(self) -> None:
        state = {name: part.state_dict() for name, part in self.parts.items()}
        half = self.checkpoint.with_suffix(".half")
        torch.save({"step": self.step, "seconds": self.seconds, **state}, half)
        os.replace(half, self.checkpoint)

    def __iter__(self):
        saved_at = began = time.monotonic()
        before = self.seconds
        with tqdm(total=self.total, initial=self.step, desc=self.name, file=sys.stderr, mininterval=5) as bar:
            while self.step < self.total:
                seed_everything(self.seed, self.step)
                yield self.step
                self.step += 1
                bar.update()
                self.seconds = before + time.monotonic() - began
                if self.step % 50 == 0:
                    bar.set_postfix({k: f"{v:.4f}" for k, v in self.averages.items()})
                    with (self.folder / "log.jsonl").open("a") as log:
                        log.write(json.dumps({"step": self.step, **self.averages}) + "\n")
                if time.monotonic() - saved_at > CHECKPOINT_EVERY_SECONDS:
                    self.save()
                    saved_at = time.monotonic()
        self.save()

    def log(self, **values: torch.Tensor) -> None:
        """Running means of what is given, shown on the bar and kept in log.jsonl."""
        for name, value in values.items():
            value = float(value.detach() if torch.is_tensor(value) else value)
            if not math.isfinite(value):
                raise FloatingPointError(f"{self.name}: {name} is {value} at step {self.step}")
            self.averages[name] = 0.98 * self.averages.get(name, value) + 0.02 * value

    def facts(self, **more) -> None:
        """Writes what the quality card tells about this stage."""
        facts = {"stage": self.name, "steps": self.step, "seed": self.seed, "seconds": round(self.seconds), **more}
        (self.folder / "facts.json").write_text(json.dumps(facts, indent=1) + "\n")


class Average(torch.nn.Module):
    """Exponential moving average of a module's weights; `decay` is warmed up over the first steps."""

    def __init__(self, module: torch.nn.Module, decay: float = 0.999):
        super().__init__()
        self.decay, self.count = decay, 0
        self.weights = {k: v.detach().clone() for k, v in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: torch.nn.Module) -> None:
        self.count += 1
        decay = min(self.decay, (1 + self.count) / (10 + self.count))
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                self.weights[name].lerp_(value, 1 - decay)

    def state_dict(self):
        return {"count": self.count, "weights": self.weights}

    def load_state_dict(self, state):
        self.count = state["count"]
        for name, value in state["weights"].items():
            self.weights[name].copy_(value)


def seed_everything(seed: int, step: int = 0) -> None:
    mixed = seed * 1_000_003 + step
    torch.manual_seed(mixed)
    random.seed(mixed)
    np.random.seed(mixed % 2**32)


def adamw(parameters, lr: float, steps: int, warmup: int = 100, betas=(0.9, 0.99), weight_decay: float = 0.01, floor: float = 0.02):
    """AdamW and its schedule: linear warm-up, then a cosine down to `floor` of the rate."""
    optimizer = torch.optim.AdamW(parameters, lr, betas=betas, weight_decay=weight_decay, fused=True)

    def rate(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, steps - warmup))))

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, rate)


def update(optimizer, schedule, loss: torch.Tensor, parameters, clip: float = 1.0) -> None:
    loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters, clip)
    optimizer.step()
    schedule.step()
    optimizer.zero_grad(set_to_none=True)


def command_line(main) -> None:
    """Runs `main` with a flag for each of its keyword parameters."""
    parser = argparse.ArgumentParser(description=inspect.getmodule(main).__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, parameter in inspect.signature(main).parameters.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(parameter.default), default=parameter.default,
                            help=f"default {parameter.default}")
    main(**vars(parser.parse_args()))
