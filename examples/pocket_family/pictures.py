"""Batches of drawn pictures as tensors, with their scenes and captions."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import torch

from captions import caption
from drawing import draw
from world import STYLES, SUBJECTS, Scene, sample_scene

SIDE = 64


def any_scene(rng: Random, styled: float = 0.0) -> Scene:
    """A scene; with chance `styled` one that the base model never sees (a style, a subject or a crown)."""
    scene = sample_scene(rng)
    if rng.random() >= styled:
        return scene
    if scene.kind == "person" and rng.random() < 0.4:
        extra = rng.choice([{"subject": subject} for subject in SUBJECTS] + [{"crown": True, "hat": False}])
        return replace(scene, **extra)
    return replace(scene, style=rng.choice(STYLES))


def batch(rng: Random, count: int, styled: float = 0.0, keep: float = 0.6):
    """`count` scenes, their pictures (count, 3, 64, 64) in -1..1, their captions, and the attributes these name."""
    scenes = [any_scene(rng, styled) for _ in range(count)]
    captions, said = zip(*(caption(scene, rng, keep) for scene in scenes))
    return scenes, to_tensor([draw(scene, SIDE) for scene in scenes]), list(captions), list(said)


def to_tensor(images) -> torch.Tensor:
    """PIL pictures to (n, 3, h, w), -1..1."""
    pixels = np.stack([np.asarray(image.convert("RGB")) for image in images])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
