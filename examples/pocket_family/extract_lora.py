"""dmd2's LoRA form: the difference between its UNet and the base's, each layer's truncated to a rank: python extract_lora.py --stage dmd2

The best approximation of each layer's difference in squared error is its truncated singular value decomposition (Eckart & Young 1936);
how much of the difference it holds is written down. Biases and norms have no place in a LoRA and stay the base's.
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import StableDiffusionXLPipeline, UNet2DConditionModel

from recipe import Run, command_line


def truncated(difference: torch.Tensor, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
    """down (rank, in…) and up (out, rank…) whose product is nearest to `difference` (out, in…)."""
    u, s, v = torch.linalg.svd(difference.flatten(1), full_matrices=False)
    rank = min(rank, len(s))
    root = s[:rank].sqrt()
    up, down = u[:, :rank] * root, root[:, None] * v[:rank]
    return down.view(rank, *difference.shape[1:]), up.view(*up.shape, *(1 for _ in difference.shape[2:]))


def main(stage: str = "dmd2", rank: int = 48, work: str = "work") -> None:
    base, other = (UNet2DConditionModel.from_pretrained(Path(work) / name / "unet") for name in ("base", stage))
    layers, whole, lost = {}, 0.0, 0.0
    for name, layer in base.named_modules():
        if not isinstance(layer, (torch.nn.Linear, torch.nn.Conv2d)) or min(layer.weight.shape[:2]) < 16:
            continue
        difference = (other.get_submodule(name).weight - layer.weight).detach()
        down, up = truncated(difference, rank)
        layers[f"{name}.lora_A.weight"], layers[f"{name}.lora_B.weight"] = down.half().contiguous(), up.half().contiguous()
        made = (up.flatten(1) @ down.flatten(1)).view_as(difference)
        whole, lost = whole + float(difference.square().sum()), lost + float((difference - made).square().sum())
    run = Run(f"{stage}-lora", 0, 0, work)
    StableDiffusionXLPipeline.save_lora_weights(run.folder / "lora", unet_lora_layers=layers)
    run.facts(rank=rank, layers=len(layers) // 2, held=round(1 - lost / whole, 4))


if __name__ == "__main__":
    command_line(main)
