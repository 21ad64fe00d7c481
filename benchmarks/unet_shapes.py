"""Writes registry/shapes: the modules and shapes of the UNets of SDXL and Stable Diffusion 1.5, made from diffusers without any weights.

    python -m benchmarks.unet_shapes
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel

SHAPES = Path(__file__).parents[1] / "registry" / "shapes"
CONFIGS = {
    "sdxl": {
        "block_out_channels": (320, 640, 1280),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": (1, 2, 10),
        "attention_head_dim": (5, 10, 20),
        "cross_attention_dim": 2048,
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
    "sd15": {"cross_attention_dim": 768, "attention_head_dim": 8},
}


def shapes(config: dict) -> dict[str, list[int]]:
    """Every linear and convolution module's weight shape, by the module's name."""
    with torch.device("meta"):
        unet = UNet2DConditionModel(**config)
    return {
        name: list(module.weight.shape)
        for name, module in unet.named_modules()
        if isinstance(module, (torch.nn.Linear, torch.nn.Conv2d))
    }


def main(folder: Path = SHAPES) -> dict[str, int]:
    """Writes a file for each family; how many modules each has."""
    folder.mkdir(parents=True, exist_ok=True)
    counted = {}
    for family, config in CONFIGS.items():
        found = shapes(config)
        lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(shape)}" for name, shape in found.items())
        (folder / f"{family}.json").write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
        counted[family] = len(found)
    return counted


if __name__ == "__main__":
    print(main())
