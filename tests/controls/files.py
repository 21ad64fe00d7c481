"""Control files for the tiny UNet, in the namings that are met, all holding the same LoRAs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ctrlx.controls.read import ControlWeights, LoRA

KINDS = (".to_q", ".to_k", ".to_v", ".to_out.0", ".proj_in", ".conv1", ".time_emb_proj", ".conv_shortcut", "samplers.0.conv")


def slider(unet: nn.Module, seed: int = 0, rank: int = 4, alpha: float = 1.0, size: float = 0.3) -> ControlWeights:
    """LoRAs of normal noise on attention and resnets, linear and convolution, as Concept Sliders train them."""
    made = torch.Generator().manual_seed(seed)
    modules = {}
    for name, module in unet.named_modules():
        if name.endswith(KINDS) and isinstance(module, (nn.Linear, nn.Conv2d)):
            out, *rest = module.weight.shape
            down, up = (rank, *rest), (out, rank, *(1 for _ in rest[1:]))
            modules[name] = LoRA(*(size * torch.randn(shape, generator=made) for shape in (down, up)), alpha)
    return ControlWeights(modules)


def diffusers_peft(weights: ControlWeights) -> dict[str, Tensor]:
    return {f"unet.{name}": tensor for name, tensor in weights.state_dict().items()}


def diffusers_middle(weights: ControlWeights) -> dict[str, Tensor]:
    names = {"lora_A": "lora.down", "lora_B": "lora.up"}
    return {_replaced(name, names): tensor for name, tensor in diffusers_peft(weights).items()}


def kohya(weights: ControlWeights) -> dict[str, Tensor]:
    """What kohya's scripts and the sliders project write; alpha is 0-d."""
    state = {}
    for name, lora in weights.modules.items():
        module = "lora_unet_" + name.replace(".", "_")
        state |= {f"{module}.lora_down.weight": lora.down, f"{module}.lora_up.weight": lora.up, f"{module}.alpha": torch.tensor(lora.alpha)}
    return state


def _replaced(name: str, pairs: dict[str, str]) -> str:
    for old, new in pairs.items():
        name = name.replace(old, new)
    return name
