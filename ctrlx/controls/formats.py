"""What a weight file's keys say that it is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from ctrlx.errors import BadWeights

KOHYA = re.compile(r"lora_unet_\w+\.(lora_down\.weight|lora_up\.weight|alpha)")
DIFFUSERS = re.compile(r"[\w.]+(\.lora_[AB]|[._]lora\.(down|up))\.weight|[\w.]+\.alpha")

# What is neither, yet often met: what a person calls it, by a pattern of one of its keys. The first that fits is named.
FOREIGN = (
    (r"hada_w", "a LoHa"),
    (r"lokr_w", "a LoKr"),
    (r"dora_scale|lora_magnitude_vector", "a DoRA, whose magnitudes would be lost"),
    (r"lora_mid\.weight", "a LoCon in Tucker form"),
    (r"oft_blocks|oft_unet_", "an OFT"),
    (r"on_input|w_norm|\.diff(_b)?$", "a LyCORIS file with more than LoRAs in it"),
    (r"lllite_unet_", "a ControlNet-LLLite"),
    (r"lora_controlnet", "a ControlNet"),
    (r"image_proj\.|ip_adapter\.", "an IP-Adapter"),
    (r"custom_diffusion", "a Custom Diffusion file, which holds whole weights and not changes to them"),
    (r"bundle_emb", "a LoRA with text embeddings bundled in"),
    (r"string_to_param|emb_params|^clip_[lg]$|^<.+>$", "a textual inversion"),
    (r"^lora_te\d?_|^text_encoder", "a LoRA that changes text encoders too"),
    (r"^base_model\.model\.", "an adapter in PEFT's own layout"),
    (
        r"^(unet|lora_unet)[._](single_)?transformer_blocks|^(lora_)?transformer|^diffusion_model\.|double_blocks|joint_blocks",
        "made for a transformer, not for a UNet",
    ),
    (r"^(model\.diffusion_model|first_stage_model|cond_stage_model)\.|^conv_in\.weight$", "a whole model, not a control"),
)


def is_kohya(keys: Iterable[str]) -> bool:
    """Whether every key is one of kohya's for a UNet."""
    return all(KOHYA.fullmatch(key) for key in keys)


def refuse_foreign(path: Path, keys: Iterable[str]) -> None:
    """Raises BadWeights, saying what the file is, unless every key is one of a LoRA for a UNet, all of one naming."""
    keys = list(keys)
    if not keys:
        raise BadWeights(f"{path} holds no weights; fetch it again")
    for pattern, what in FOREIGN:
        found = next((key for key in keys if re.search(pattern, key)), None)
        if found is not None:
            raise BadWeights(
                f"{path} is {what} ('{found[:80]}'); ctrlx reads LoRAs of a UNet, and would rather read none than a part of one"
            )
    naming = max((KOHYA, DIFFUSERS), key=lambda naming: sum(bool(naming.fullmatch(key)) for key in keys))
    strangers = [key for key in keys if not naming.fullmatch(key)]
    if strangers:
        beside = f", beside {len(keys) - len(strangers)} that are a LoRA's" if len(strangers) < len(keys) else ""
        raise BadWeights(f"{path} has weights that ctrlx does not know, such as '{strangers[0][:80]}'{beside}; it reads LoRAs of a UNet")
