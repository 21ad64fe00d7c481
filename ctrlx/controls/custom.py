"""Custom Diffusion files, which hold whole weights of cross-attention, as changes to the weights of the target they were trained on.

Three forms are met: diffusers' attention processors, the authors' delta.bin (whole, or compressed to a change u v), and the original
code's checkpoints.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from safetensors import safe_open
from torch import Tensor

from ctrlx.controls import algebra
from ctrlx.controls.convert import Converted
from ctrlx.controls.denoisers import Denoiser
from ctrlx.controls.inspect import Sorted
from ctrlx.controls.read import ControlWeights, LoRA, refuse_broken
from ctrlx.errors import BadWeights, PartialCoverage
from ctrlx.targets.files import reading

WHOLE = re.compile(r"(?:unet\.|(?:state_dict\.)?model\.diffusion_model\.)(?P<module>.*\.attn2\.to_[kv])\.weight(?:\.(?P<half>[uv]))?")


def convert_custom(
    file: Sorted, tensors: Mapping[str, Tensor], denoiser: Denoiser, source: Path, *, unet_only: bool = False, rank: int | None = None
) -> Converted:
    """The file's changes as LoRAs: exact up to rounding, or of rank `rank` with the error told.

    source: the UNet's weight file that the control was trained on.
    Raises BadWeights, PartialCoverage.
    """
    left_out = _left_out(file, unet_only)
    changed, halves = _sorted(file, tensors)
    modules: dict[str, LoRA] = {}
    error = 0.0
    with reading(source, "safetensors"), safe_open(source, framework="pt") as base:
        for said, weight in changed.items():
            name = _place(file.path, said, weight, denoiser)
            change = weight.float() - base.get_tensor(f"{name}.weight").float()
            if not change.isfinite().all():
                raise BadWeights(f"{file.path} holds numbers that are not finite in '{name}'; its training went wrong, so train it again")
            if not change.any():
                continue
            modules[name] = algebra.shaped(algebra.dense(change, rank), denoiser.shapes[name])
            error = max(error, algebra.relative_error(modules[name], change))
    for said, (u, v) in halves.items():
        name = _place(file.path, said, u.new_empty(u.shape[0], v.shape[1]), denoiser)
        modules[name] = LoRA(v.contiguous(), u.contiguous(), float(v.shape[0]))
        refuse_broken(file.path, name, modules[name].down, modules[name].up)
    if not modules:
        raise BadWeights(f"{file.path} changes nothing: its weights are those of {source}; say with --source which target it was trained on")
    return Converted(ControlWeights(modules), left_out, error)


def _left_out(file: Sorted, unet_only: bool) -> dict[str, int]:
    """Token embeddings and text encoders in the file; refused unless the user said `unet_only`."""
    counted = {"embedding": 0, "text_encoder": 0}
    for key in file.keys.strangers:
        if re.match(r"modifier_token\.|<|(state_dict\.)?embed$", key):
            counted["embedding"] += 1
        elif key.startswith("text_encoder"):
            counted["text_encoder"] += 1
    counted = {name: count for name, count in counted.items() if count}
    if counted and not unet_only:
        raise BadWeights(
            f"{file.path} is a Custom Diffusion file with a learned word or text encoder in it, which ctrlx does not apply; say --unet-only "
            "to import its cross-attention weights alone, and the record keeps what was left out"
        )
    return counted


def _sorted(file: Sorted, tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, tuple[Tensor, Tensor]]]:
    """(whole weights, compressed changes) by the module's name in the file."""
    whole: dict[str, Tensor] = {}
    halves: dict[str, dict[str, Tensor]] = {}
    for module in file.keys.modules:
        if "custom" in module.parts:
            whole[module.name] = tensors[module.parts["custom"]]
        if "custom_bias" in module.parts and tensors[module.parts["custom_bias"]].any():
            raise BadWeights(f"{file.path} changes the bias of '{module.name}', which a LoRA cannot hold; train it on keys and values only")
    for key in file.keys.strangers:
        if found := WHOLE.fullmatch(key):
            if found["half"]:
                halves.setdefault(found["module"], {})[found["half"]] = tensors[key]
            else:
                whole[found["module"]] = tensors[key]
    if any(len(pair) != 2 for pair in halves.values()):
        raise BadWeights(f"{file.path} has only half of a compressed change; fetch the file again")
    return whole, {name: (pair["u"], pair["v"]) for name, pair in halves.items()}


def _place(path: Path, said: str, weight: Tensor, denoiser: Denoiser) -> str:
    name = denoiser.find(said)
    if name is None or tuple(weight.shape) != denoiser.shapes[name]:
        raise PartialCoverage(f"{path} changes '{said}', which this family's UNet does not have in that shape; say with --source what it was trained on")
    return name
