"""Which file of a folder is its control: PEFT's adapter, diffusers' LoRA, or the one weight file that is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ctrlx.errors import BadInput, BadWeights

CONFIG = "adapter_config.json"
KNOWN = (
    "adapter_model.safetensors", "pytorch_lora_weights.safetensors", "pytorch_custom_diffusion_weights.safetensors",
    "adapter_model.bin", "pytorch_lora_weights.bin", "pytorch_custom_diffusion_weights.bin", "delta.bin",
)
WEIGHTS = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")


def choose(names: list[str], where: str) -> str:
    """The weight file among `names`, which lie in `where`. Raises BadInput where there is none, or no telling which."""
    for known in KNOWN:
        if known in names:
            return known
    found = sorted(name for name in names if name.endswith(WEIGHTS))
    found = [name for name in found if name.endswith(".safetensors")] or found
    if len(found) == 1:
        return found[0]
    if not found:
        raise BadInput(f"{where} has no weight file in it; give the path of one")
    raise BadInput(f"{where} has {len(found)} weight files, {', '.join(found[:4])}{', …' if len(found) > 4 else ''}; say which")


def adapter_config(file: Path) -> dict[str, Any] | None:
    """PEFT's configuration beside its weight file; None where there is none.

    Raises BadWeights for another method than LoRA, whose weights would be taken for one.
    """
    beside = file.parent / CONFIG
    if not beside.is_file() or not file.name.startswith("adapter_model"):
        return None
    try:
        config = json.loads(beside.read_text(encoding="utf-8"))
        method = config.get("peft_type", "LORA")
    except (OSError, ValueError, AttributeError, RecursionError) as wrong:
        raise BadWeights(f"{beside} cannot be read ({wrong}); fetch the folder again") from None
    if method != "LORA":
        raise BadWeights(f"{file} is a {method} adapter of PEFT's; convert it with peft.convert_to_lora first")
    if not isinstance(config.get("lora_alpha"), (int, float)):
        raise BadWeights(f"{beside} does not state lora_alpha; without it the strength of {file.name} is not known")
    return config
