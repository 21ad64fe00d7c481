"""Control files read into one form: a LoRA for each module of the UNet. What is not understood in full is refused, never dropped.

Read today: diffusers and PEFT names (`unet.….lora_A.weight`, with or without `unet.`), older diffusers names, and kohya names
(`lora_unet_….lora_down.weight`), in which the Concept Sliders project writes its pickles too.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from torch import Tensor

from ctrlx.controls.formats import is_kohya, refuse_foreign
from ctrlx.errors import BadWeights
from ctrlx.targets.files import read_metadata, read_tensors, reading
from ctrlx.targets.quiet import quiet

SDXL = SimpleNamespace(layers_per_block=2)  # all that the converter of kohya's block numbers asks of a UNet's configuration


class LoRA(NamedTuple):
    """One module's change: W + strength * alpha / rank * up @ down."""

    down: Tensor  # (rank, in) or (rank, in, height, width)
    up: Tensor  # (out, rank) or (out, rank, 1, 1)
    alpha: float

    @property
    def rank(self) -> int:
        return self.down.shape[0]


@dataclass(frozen=True, eq=False)
class ControlWeights:
    """A control's LoRAs by the name of the UNet's module, on the CPU, in the file's own dtype."""

    modules: Mapping[str, LoRA]

    @property
    def rank(self) -> int:
        """The rank that most modules have."""
        return Counter(lora.rank for lora in self.modules.values()).most_common(1)[0][0]

    def state_dict(self) -> dict[str, Tensor]:
        """As PEFT names it: `<module>.lora_A.weight` is down, `<module>.lora_B.weight` is up."""
        state = {}
        for name, lora in self.modules.items():
            state[f"{name}.lora_A.weight"], state[f"{name}.lora_B.weight"] = lora.down, lora.up
        return state


def read_control(path: Path, unet_config: Any = SDXL) -> ControlWeights:
    """The control in a .safetensors file or a pickle of tensors.

    `unet_config` matters for kohya files that number blocks as the original SDXL code does.
    Raises BadWeights: truncated, corrupt, not finite, or with anything in it that would not be applied.
    """
    tensors = read_tensors(path)
    refuse_foreign(path, tensors)
    alphas = {_owner(name): float(tensor) for name, tensor in tensors.items() if name.endswith(".alpha")}
    loras = {name: tensor for name, tensor in tensors.items() if not name.endswith(".alpha")}
    renamed = _from_kohya(path, loras, unet_config) if is_kohya(tensors) else _from_diffusers(loras)
    source = {id(tensor): name for name, tensor in loras.items()}  # converters rename, so a tensor's identity follows it
    lost = source.keys() - {id(tensor) for tensor in renamed.values()}
    if lost:
        raise BadWeights(
            f"{path} names modules in ways that do not go together; {len(lost)} weights such as '{source[min(lost)]}' would be lost"
        )
    stated = _stated_alpha(path)
    modules = {}
    for name in sorted({_owner(key) for key in renamed}):
        down, up = renamed.get(f"{name}.lora_A.weight"), renamed.get(f"{name}.lora_B.weight")
        refuse_broken(path, name, down, up)
        alpha = alphas.pop(_owner(source[id(down)]), None)
        modules[name] = LoRA(down, up, stated(name, len(down)) if alpha is None else alpha)
    if alphas:
        raise BadWeights(f"{path} has the alpha of '{next(iter(alphas))}' but not its weights; fetch the file again")
    return ControlWeights(modules)


def _owner(key: str) -> str:
    """The module that a key belongs to: 'lora_unet_conv_in.alpha' -> 'lora_unet_conv_in', 'mid.to_q.lora_A.weight' -> 'mid.to_q'."""
    return key.removesuffix(".alpha").rsplit(".lora", 1)[0]


def _from_kohya(path: Path, loras: Mapping[str, Tensor], unet_config: Any) -> dict[str, Tensor]:
    from diffusers.loaders import StableDiffusionXLLoraLoaderMixin

    try:
        with quiet():
            converted, _ = StableDiffusionXLLoraLoaderMixin.lora_state_dict(dict(loras), unet_config=unet_config)
    except (ValueError, KeyError, IndexError, AttributeError) as error:
        raise BadWeights(f"{path} names modules in a way that no converter knows ({' '.join(str(error).split())[:160]})") from error
    return _from_diffusers(converted)


def _from_diffusers(loras: Mapping[str, Tensor]) -> dict[str, Tensor]:
    from diffusers.utils.state_dict_utils import convert_unet_state_dict_to_peft

    return convert_unet_state_dict_to_peft({name.removeprefix("unet."): tensor for name, tensor in loras.items()})


def refuse_broken(path: Path, name: str, down: Tensor | None, up: Tensor | None) -> None:
    """Raises BadWeights unless `down` and `up` are the two halves of one LoRA, all of it finite."""
    if down is None or up is None:
        raise BadWeights(f"{path} has only half of the LoRA of '{name}'; fetch the file again")
    if down.ndim not in (2, 4) or up.ndim != down.ndim or up.shape[1] != down.shape[0]:
        raise BadWeights(
            f"{path} has a LoRA of '{name}' whose halves do not fit, {tuple(down.shape)} and {tuple(up.shape)}; fetch the file again"
        )
    if not (down.isfinite().all() and up.isfinite().all()):
        raise BadWeights(f"{path} holds numbers that are not finite in '{name}'; its training went wrong, so train it again")


def _stated_alpha(path: Path) -> Callable[[str, int], float]:
    """Alpha by (module, rank) as the header's LoraConfig states it; the rank, which is a scale of 1, where it states nothing."""
    text = read_metadata(path).get("lora_adapter_metadata")
    if text is None:
        return lambda module, rank: float(rank)
    with reading(path, "a LoRA whose header states its configuration"):
        return stated_alpha(path, {name.removeprefix("unet."): value for name, value in json.loads(text).items()})


def stated_alpha(path: Path, config: Mapping[str, Any]) -> Callable[[str, int], float]:
    """Alpha by (module, rank) as a LoraConfig of PEFT states it. Raises BadWeights for a DoRA."""
    default, patterns = config["lora_alpha"], config.get("alpha_pattern") or {}
    if config.get("use_dora"):
        raise BadWeights(f"{path} is a DoRA, whose magnitudes ctrlx does not apply; save it as a LoRA")

    def alpha(module: str, rank: int) -> float:
        found = next((value for pattern, value in patterns.items() if re.match(rf"(.*\.)?({pattern})$", module)), default)
        return float(found * math.sqrt(rank) if config.get("use_rslora") else found)  # rslora scales by alpha / sqrt(rank)

    return alpha
