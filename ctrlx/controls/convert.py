"""A weight file of any naming and algebra as LoRAs of one UNet: whole, or refused with what stands in the way."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from ctrlx.controls import algebra, header
from ctrlx.controls.denoisers import Denoiser
from ctrlx.controls.formats import refuse_foreign
from ctrlx.controls.inspect import Sorted
from ctrlx.controls.keys import EMBEDDING, TRANSFORMER, UNET, Module
from ctrlx.controls.pickles import read_pickle
from ctrlx.controls.read import ControlWeights, LoRA, read_control, refuse_broken, stated_alpha
from ctrlx.controls.shapes import same_weight
from ctrlx.errors import BadWeights, PartialCoverage
from ctrlx.targets.files import PICKLES, read_tensors, reading

UNABLE = {
    "DoRA": "a DoRA, whose magnitudes need the weights that it was trained on; save it as a LoRA, or merge it there and extract one",
    "LyCORIS": "a LyCORIS file with more than LoRA, LoHa and LoKr in it, which no LoRA can hold; extract a LoRA from it with lycoris-lora",
}
Alphas = Callable[[str, int], float]


@dataclass(frozen=True, eq=False)
class Converted:
    """A file's LoRAs by the UNet's own names; `left_out` counts, by component, what was left out because the user said so."""

    weights: ControlWeights
    left_out: Mapping[str, int] = field(default_factory=dict)
    error: float = 0.0  # largest share of a module's change that was lost; 0 where nothing was


def tensors_of(file: Sorted) -> dict[str, Tensor]:
    """All of a sorted file's tensors, on the CPU. Raises BadWeights, also where the file was changed since it was sorted."""
    if file.container == header.PICKLE:
        tensors = read_pickle(file.path)
    elif file.path.suffix not in PICKLES:
        tensors = read_tensors(file.path)
    else:
        with reading(file.path, "safetensors"), safe_open(file.path, framework="pt") as opened:
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}
    if {name: tuple(tensor.shape) for name, tensor in tensors.items()} != dict(file.shapes):
        raise BadWeights(f"{file.path} changed while it was read; wait until whatever writes it is done")
    return tensors


def convert(
    file: Sorted, tensors: Mapping[str, Tensor], denoiser: Denoiser, *, unet_only: bool = False, rank: int | None = None,
    config: Mapping | None = None,
) -> Converted:
    """The LoRAs of a file, exact but for a LoKr of whole factors at a smaller `rank`. `config` is PEFT's adapter_config.json.

    Raises BadWeights for what cannot be held by LoRAs, PartialCoverage where the UNet lacks some of the modules.
    """
    left_out = parts_left_out(file, unet_only)
    _refuse_unable(file)
    stated = _stated(file, config)
    modules: dict[str, LoRA] = {}
    places = _places(file, denoiser)
    for module, name in places.items():
        if name in modules:
            raise BadWeights(f"{file.path} changes '{name}' twice, under two names; fetch the file again")
        parts = {part: tensors[key] for part, key in module.parts.items()}
        modules[name] = algebra.shaped(_lora(file.path, name, parts, stated, rank), denoiser.shapes[name])
        refuse_broken(file.path, name, modules[name].down, modules[name].up)
    return Converted(ControlWeights(modules), left_out)


def parts_left_out(file: Sorted, unet_only: bool) -> dict[str, int]:
    """How much of each other component the file has. Raises BadWeights where there is any and the user did not say `unet_only`."""
    others = sorted(file.keys.components.items(), reverse=True)
    counted = {name: count for name, count in others if name not in (UNET, TRANSFORMER)}
    if counted and not unet_only and UNET in file.keys.components:
        said = " and ".join(f"{count} {'embedding vectors' if name == EMBEDDING else f'modules of its {name}'}" for name, count in counted.items())
        raise BadWeights(
            f"{file.path} changes text encoders too, with {said}, which ctrlx does not apply; "
            "say --unet-only to leave them out, and the record keeps how many were left out"
        )
    return counted


def as_stored(weights: ControlWeights, metadata: Mapping[str, str]) -> bytes:
    """A safetensors file in diffusers' naming, each module's rank and alpha in the header where diffusers and ctrlx look for them."""
    ranks = {name: lora.rank for name, lora in weights.modules.items()}
    alphas = {name: lora.alpha for name, lora in weights.modules.items()}
    config = {"r": weights.rank, "lora_alpha": next(iter(alphas.values())), "rank_pattern": ranks, "alpha_pattern": alphas,
              "target_modules": list(ranks)}
    told = {**metadata, "format": "pt", "lora_adapter_metadata": json.dumps({f"unet.{name}": value for name, value in config.items()})}
    return save({f"unet.{name}": tensor.contiguous() for name, tensor in weights.state_dict().items()}, told)


def reads_as(path: Path, wanted: ControlWeights) -> bool:
    """Whether a file, as it is, is read as exactly these LoRAs: then it can be kept as it is."""
    if path.suffix in PICKLES:
        return False
    try:
        found = read_control(path).modules
    except BadWeights:
        return False
    return found.keys() == wanted.modules.keys() and all(
        lora.alpha == wanted.modules[name].alpha and torch.equal(lora.down, wanted.modules[name].down)
        and torch.equal(lora.up, wanted.modules[name].up)
        for name, lora in found.items()
    )


def _refuse_unable(file: Sorted) -> None:
    if not file.keys.of(UNET) or file.keys.strangers:
        strangers = file.keys.strangers or [key for module in file.keys.modules for key in module.parts.values()]
        refuse_foreign(file.path, strangers)
        raise BadWeights(f"{file.path} has weights that ctrlx does not know, such as '{strangers[0][:80]}'; it reads LoRAs of a UNet")
    if TRANSFORMER in file.keys.components:
        raise BadWeights(f"{file.path} is made for a transformer and not for a UNet alone; ctrlx reads LoRAs of a UNet")
    for module in file.keys.of(UNET):
        if module.method in UNABLE:
            raise BadWeights(f"{file.path} is {UNABLE[module.method]}")


def _places(file: Sorted, denoiser: Denoiser) -> dict[Module, str]:
    """Each module of the file and its name in the UNet."""
    places = {id(module): denoiser.find(module.name) for module, _ in file.changes}
    lost = []
    for module, change in file.changes:
        if change is None:
            raise BadWeights(f"{file.path} has parts of '{module.name}' that do not go together; fetch the file again")
        name = places[id(module)]
        if name is None or not same_weight(change[0], denoiser.shapes[name]):
            lost.append(module.name)
    if lost:
        total = len(file.changes)
        raise PartialCoverage(
            f"{file.path} fits this family's UNet in {total - len(lost)} of {total} modules; it has no place for "
            f"{', '.join(lost[:3])}{', …' if len(lost) > 3 else ''}; see `ctrlx inspect` for the family that it fits"
        )
    return {module: places[id(module)] for module, _ in file.changes}


def _lora(path: Path, name: str, parts: Mapping[str, Tensor], stated: Alphas | None, rank: int | None) -> LoRA:
    alpha = float(parts["alpha"]) if "alpha" in parts else None
    if "hada_w1_a" in parts:
        return algebra.loha(dict(parts), alpha)
    if any(part.startswith("lokr") for part in parts):
        return algebra.lokr(dict(parts), alpha, rank)
    if "mid" in parts:
        return algebra.locon(dict(parts), alpha)
    refuse_broken(path, name, parts.get("down"), parts.get("up"))
    own = len(parts["down"])
    return LoRA(parts["down"], parts["up"], alpha if alpha is not None else stated(name, own) if stated else float(own))


def _stated(file: Sorted, config: Mapping | None) -> Alphas | None:
    """Alpha as PEFT's configuration states it: beside the file, or in its header."""
    if config is None and (text := file.metadata.get("lora_adapter_metadata")):
        with reading(file.path, "a LoRA whose header states its configuration"):
            config = {re.sub(r"^unet\.", "", name): value for name, value in json.loads(text).items()}
    if not config:
        return None
    with reading(file.path, "an adapter whose configuration states its alpha"):
        return stated_alpha(file.path, config)
