"""Custom Diffusion (Kumari et al. 2022, arXiv 2212.04488): the keys and values of cross-attention themselves are trained.

What is stored is their change, as a LoRA: exact up to rounding, or of a smaller rank with the error told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from ctrlx.controls import algebra
from ctrlx.controls.read import ControlWeights
from ctrlx.errors import BadWeights

KEY_VALUES = re.compile(r".*attn2\.to_[kv]\.weight")


def unfreeze(unet) -> dict[str, torch.nn.Parameter]:
    """The weights that are trained, by the name of their module; all others are frozen."""
    unet.requires_grad_(False)
    found = {name.removesuffix(".weight"): weight for name, weight in sorted(unet.named_parameters()) if KEY_VALUES.fullmatch(name)}
    for weight in found.values():
        weight.requires_grad_(True)
    return found


@torch.no_grad()
def give_back(weights: Mapping[str, torch.nn.Parameter], originals: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What each weight changed by; the weights are the originals again, bit for bit."""
    changes = {name: weight.detach() - originals[name] for name, weight in weights.items()}
    for name, weight in weights.items():
        weight.copy_(originals[name])
        weight.requires_grad_(False)
    return changes


def as_lora(changes: Mapping[str, Tensor], rank: int | None) -> tuple[ControlWeights, float]:
    """The changes as LoRAs of at most `rank`, or exact; and the largest share of a change that is missed. Raises BadWeights."""
    modules, error = {}, 0.0
    for name, change in changes.items():
        change = change.float().cpu()
        if not change.isfinite().all():
            raise BadWeights(f"the training went wrong: '{name}' is not finite any more; give a smaller --learning-rate and --restart")
        if change.any():
            modules[name] = algebra.shaped(algebra.dense(change, rank), tuple(change.shape))
            error = max(error, algebra.relative_error(modules[name], change))
    if not modules:
        raise BadWeights("the training changed nothing; give more --steps or a greater --learning-rate and --restart")
    return ControlWeights(modules), error
