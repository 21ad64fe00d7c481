"""The pictures of a matrix: what makes each one, as a key, and the drawing of those that are missing."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from ctrlx.records import Coverage, Target
from ctrlx.sampling.drawing import default_batch, refuse
from ctrlx.sampling.loop import denoise
from ctrlx.sampling.pictures import decode, to_images
from ctrlx.sampling.plans import Applied, Plan, alone
from ctrlx.targets.models import Models

FORMAT = 1  # of a key; a change of the drawing code that changes pixels must raise it
FLAT = 1.0  # standard deviation of a picture's values, of 255, below which it shows nothing
LARGEST = 3.4e38  # stands for a difference that is no number, which JSON could not say


class Wanted(NamedTuple):
    """One picture of a matrix. `control` is None, and `strength` 0, for an original."""

    key: str
    target: str
    control: str | None
    strength: float
    prompt: str
    seed: int


class Drawn(NamedTuple):
    """A picture that was drawn; `fault` is "" or why it is none: "nan", "flat"."""

    wanted: Wanted
    image: Image.Image
    fault: str


def digest(facts: Mapping[str, Any]) -> str:
    """sha256 of the facts as canonical JSON."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, separators=(",", ":"), default=str).encode()).hexdigest()


def recipe_of(models: Models, target: Target, weights: Mapping[str, str]) -> dict[str, Any]:
    """All that makes a target's pictures but prompt, seed and control; `weights` are its fingerprints."""
    told = ("scheduler", "scheduler_args", "prediction_type", "form", "lora_scale")
    leg = alone(target, models.scheduler_config).legs[0]
    return {
        "format": FORMAT,
        "target": {name: value for name, value in asdict(target).items() if name in told},
        "timesteps": list(leg.timesteps),
        "guidance": leg.guidance,
        "scheduler_config": {name: value for name, value in models.scheduler_config.items() if not name.startswith("_")},
        "weights": sorted(weights.values()),
        "size": [target.size, target.size],
        "dtype": str(models.dtype),
        "device": models.device.type,
    }


def plan_of(models: Models, target: Target, control: str | None, strength: float, start_noise: int | None) -> Plan:
    """The target's own recipe, with the control on it where there is one."""
    controls = [Applied(control, strength)] if control else []
    return alone(target, models.scheduler_config, controls=controls, start_noise=start_noise if control else None)


def draw(models: Models, plan: Plan, wanted: Sequence[Wanted], on_step: Callable[[], None] = lambda: None) -> Iterator[Drawn]:
    """Each wanted picture as soon as its batch is drawn; all of them by one plan, prompts mixed.

    Raises BadInput for a prompt that the encoders would cut off.
    """
    refuse(models, plan, [one.prompt for one in wanted], None)
    batch = default_batch(plan)
    for start in range(0, len(wanted), batch):
        part = wanted[start : start + batch]
        for step in denoise(models, plan, [one.prompt for one in part], [one.seed for one in part]):
            on_step()
        whole = torch.isfinite(step.latents).flatten(1).all(1).tolist()
        pixels = decode(models.shared, step.latents, batch)
        for one, image, values, finite in zip(part, to_images(pixels), pixels, whole, strict=True):
            yield Drawn(one, image, "nan" if not finite else "flat" if values.std() < FLAT else "")


def probe(models: Models, plan: Plan, pairs: Sequence[tuple[str, int]]) -> np.ndarray:
    """Latents of a small batch, always drawn in the same way, to see whether a model is still what it was."""
    *_, last = denoise(models, plan, [prompt for prompt, _ in pairs], [seed for _, seed in pairs])
    return last.latents.float().cpu().numpy()


def largest_difference(before: np.ndarray, after: np.ndarray) -> float:
    """Largest absolute difference of two arrays; values that are no number in both count as the same."""
    difference = np.abs(after - before)[~(np.isnan(before) & np.isnan(after))]
    return float(np.nan_to_num(difference, nan=LARGEST, posinf=LARGEST).max(initial=0.0))


def partial_sentence(name: str, target: str, found: Coverage, threshold: float) -> str:
    """Why a control was not drawn on a target, and what to do."""
    return (f"control '{name}' fits '{target}' in {found.adapted} of {found.total} modules where {threshold:.0%} is asked for; "
            "leave it out with --controls, or ask for less with --min-coverage")


def png_of(image: Image.Image) -> bytes:
    """The picture as a PNG file's bytes."""
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()
