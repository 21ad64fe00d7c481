"""A control as others' programs read it: kohya's naming, diffusers', or a PEFT folder, with the metadata that their pages show."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from ctrlx.controls.convert import as_stored
from ctrlx.controls.read import ControlWeights, LoRA

BASES = {"sdxl": ("sdxl_base_v1-0", "stable-diffusion-xl-v1-base/lora"), "sd15": ("sd_v1", "stable-diffusion-v1/lora")}


def at_strength(weights: ControlWeights, strength: float) -> ControlWeights:
    """The same control at 1 as these weights at `strength`: alpha carries it, so that no number is rounded."""
    return ControlWeights({name: LoRA(lora.down, lora.up, lora.alpha * strength) for name, lora in weights.modules.items()})


def metadata_for(family: str, name: str, weights: ControlWeights, trigger_words: tuple[str, ...], tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """The ss_, modelspec and sshs entries; what is not known of a family is left out and never guessed."""
    told = {
        "ss_output_name": name, "ss_network_module": "networks.lora", "ss_network_dim": str(weights.rank),
        "ss_network_alpha": f"{next(iter(weights.modules.values())).alpha:g}", "modelspec.sai_model_spec": "1.0.0", "modelspec.title": name,
        "sshs_model_hash": sha256(_data(tensors)).hexdigest(),
    }
    if trigger_words:
        told["modelspec.trigger_phrase"] = ", ".join(trigger_words)
    if family in BASES:
        told["ss_base_model_version"], told["modelspec.architecture"] = BASES[family]
    return told


def write_kohya(weights: ControlWeights, family: str, name: str, trigger_words: tuple[str, ...]) -> bytes:
    """`lora_unet_<module>.lora_down.weight`, `.lora_up.weight` and `.alpha`, which ComfyUI, A1111 and diffusers load."""
    tensors = {}
    for module, lora in weights.modules.items():
        flat = f"lora_unet_{module.replace('.', '_')}"
        tensors[f"{flat}.lora_down.weight"], tensors[f"{flat}.lora_up.weight"] = lora.down.contiguous(), lora.up.contiguous()
        tensors[f"{flat}.alpha"] = torch.tensor(float(lora.alpha))
    return save(tensors, metadata_for(family, name, weights, trigger_words, tensors))


def write_diffusers(weights: ControlWeights, family: str, name: str, trigger_words: tuple[str, ...]) -> bytes:
    """`unet.<module>.lora_A.weight`, the configuration in the header, which `load_lora_weights` reads."""
    return as_stored(weights, metadata_for(family, name, weights, trigger_words, weights.state_dict()))


def write_peft(weights: ControlWeights, folder: Path) -> None:
    """adapter_model.safetensors and adapter_config.json, as PEFT's `from_pretrained` reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    ranks = {name: lora.rank for name, lora in weights.modules.items()}
    alphas = {name: lora.alpha for name, lora in weights.modules.items()}
    config = {"peft_type": "LORA", "r": weights.rank, "lora_alpha": next(iter(alphas.values())), "rank_pattern": ranks, "alpha_pattern": alphas,
              "target_modules": list(ranks), "bias": "none", "inference_mode": True}
    tensors = {f"base_model.model.{name}": tensor.contiguous() for name, tensor in weights.state_dict().items()}
    (folder / "adapter_model.safetensors").write_bytes(save(tensors, {"format": "pt"}))
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")


def _data(tensors: Mapping[str, Tensor]) -> bytes:
    """The bytes that a safetensors file of these tensors holds after its header."""
    content = save({name: tensor.contiguous() for name, tensor in tensors.items()})
    return content[8 + int.from_bytes(content[:8], "little"):]
