"""A new LoRA on a UNet, and its file: peft does the work."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import StableDiffusionXLPipeline
from peft import LoraConfig, get_peft_model_state_dict
from peft.tuners.lora import LoraLayer

from ctrlx.training.settings import MODULES

NAME = "training"  # as a plan names it
ADAPTER = f"control {NAME}"  # as peft names it


def new_lora(unet, *, rank: int, alpha: float, modules: str, seed: int) -> None:
    """Adds the adapter ADAPTER, zero at first (down random, up zeros), to the layers of the set `modules`."""
    torch.manual_seed(seed)
    unet.requires_grad_(False)
    unet.add_adapter(LoraConfig(r=rank, lora_alpha=alpha, target_modules=MODULES[modules], init_lora_weights=True), ADAPTER)


def set_scale(unet, strength: float) -> None:
    """The adapter at `strength`, trainable; at 0 it is off and the UNet is the frozen one."""
    for layer in unet.modules():
        if isinstance(layer, LoraLayer):
            layer.set_adapter([ADAPTER] if strength else [], inference_mode=False)
            if strength:
                layer.set_scale(ADAPTER, strength)


def lora_parameters(unet) -> list[torch.nn.Parameter]:
    """What an optimizer is to train, always in the same order."""
    return [parameter for name, parameter in sorted(unet.named_parameters()) if f".{ADAPTER}." in name]


def count_modules(unet) -> int:
    """How many layers carry the adapter."""
    return sum(1 for name, _ in unet.named_parameters() if name.endswith(f"lora_A.{ADAPTER}.weight"))


def write_lora(unet, file: Path) -> None:
    """The adapter as a diffusers LoRA file (safetensors with peft's configuration in its header), complete or not there at all."""
    half = file.with_name(f".{file.name}.half")
    layers = {name: value.to(torch.float32).contiguous() for name, value in get_peft_model_state_dict(unet, adapter_name=ADAPTER).items()}
    StableDiffusionXLPipeline.save_lora_weights(
        file.parent, unet_lora_layers=layers, weight_name=half.name,
        unet_lora_adapter_metadata=unet.peft_config[ADAPTER].to_dict(),
    )
    half.replace(file)
