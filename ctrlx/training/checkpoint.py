"""The checkpoint of a training run: one file, replaced whole, so that a kill at any moment leaves the last one good."""

from __future__ import annotations

import os
import time
from pathlib import Path

import torch

from ctrlx.errors import BadInput, HomeTrouble

EVERY_SECONDS = 30


class Checkpoint:
    """Weights, optimizer and step of one run. `fingerprint` ties it to its settings."""

    def __init__(self, folder: Path, fingerprint: str, parameters: list[torch.nn.Parameter], optimizer: torch.optim.Optimizer):
        self.file = folder / "checkpoint.pt"
        self.fingerprint, self.parameters, self.optimizer = fingerprint, parameters, optimizer
        self.losses: list[float] = []  # of every step so far
        self.saved_at = time.monotonic()

    def load(self) -> int:
        """Puts the saved state back and returns the number of steps done; 0 where nothing was saved.

        Raises:
            BadInput: the checkpoint was made with other settings, or cannot be read.
        """
        if not self.file.exists():
            return 0
        way_out = f"delete {self.file.parent} or give --restart to begin anew"
        try:
            saved = torch.load(self.file, weights_only=True, map_location="cpu")
        except Exception as problem:
            raise BadInput(f"the checkpoint {self.file} cannot be read; {way_out}") from problem
        if saved["fingerprint"] != self.fingerprint:
            raise BadInput(f"an unfinished run with other settings lies in {self.file.parent}; {way_out}")
        with torch.no_grad():
            for parameter, value in zip(self.parameters, saved["weights"], strict=True):
                parameter.copy_(value)
        self.optimizer.load_state_dict(saved["optimizer"])
        self.losses[:] = saved.get("losses", [])
        return saved["step"]

    def save_when_due(self, step: int) -> None:
        if time.monotonic() - self.saved_at >= EVERY_SECONDS:
            self.save(step)

    def save(self, step: int) -> None:
        half = self.file.with_suffix(".half")
        weights = [parameter.detach().cpu() for parameter in self.parameters]
        state = {"fingerprint": self.fingerprint, "step": step, "weights": weights, "losses": self.losses}
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            torch.save({**state, "optimizer": self.optimizer.state_dict()}, half)
            os.replace(half, self.file)
        except OSError as problem:
            raise HomeTrouble(f"the checkpoint {self.file} cannot be written ({problem.strerror}); free or unlock that folder") from problem
        self.saved_at = time.monotonic()
