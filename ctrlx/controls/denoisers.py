"""Which modules a denoiser has and of what shape, known without torch: from its weight file's header, or from registry/shapes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from ctrlx import catalogue
from ctrlx.controls.header import read_header
from ctrlx.records import Family, Target

RESNET = {"in_layers_2": "conv1", "emb_layers_1": "time_emb_proj", "out_layers_3": "conv2", "skip_connection": "conv_shortcut"}
OUTSIDE = {  # the original code's names outside its blocks
    "input_blocks_0_0": "conv_in", "out_2": "conv_out", "time_embed_0": "time_embedding_linear_1", "time_embed_2": "time_embedding_linear_2",
    "label_emb_0_0": "add_embedding_linear_1", "label_emb_0_2": "add_embedding_linear_2",
}
BLOCK = re.compile(r"(input_blocks|output_blocks)_(\d+)_(\d+)_(\w+)")
MIDDLE = re.compile(r"middle_block_([012])_(\w+)")


@dataclass(frozen=True, eq=False)
class Denoiser:
    """A UNet's linear and convolution modules by dotted name: (out, in) or (out, in, height, width)."""

    shapes: Mapping[str, tuple[int, ...]]

    @cached_property
    def flat(self) -> dict[str, str]:
        """kohya writes '_' for '.'; this leads back."""
        return {name.replace(".", "_"): name for name in self.shapes}

    @cached_property
    def layers(self) -> int:
        """Resnets in a block on the way down."""
        return len({name.split(".")[3] for name in self.shapes if name.startswith("down_blocks.0.resnets.")}) or 1

    def find(self, name: str) -> str | None:
        """The module called `name` here, whoever's naming it is; None where there is none."""
        if name in self.shapes:
            return name
        flat = name.replace(".", "_")
        return self.flat.get(flat) or self.flat.get(from_original(flat, self.layers) or "")


def from_original(flat: str, layers: int) -> str | None:
    """A flat name of the original code as diffusers': 'input_blocks_4_1_proj_in' -> 'down_blocks_1_attentions_0_proj_in'."""
    if flat in OUTSIDE:
        return OUTSIDE[flat]
    if found := MIDDLE.fullmatch(flat):
        place, rest = int(found[1]), found[2]
        return f"mid_block_attentions_0_{rest}" if place == 1 else _resnet(f"mid_block_resnets_{place // 2}", rest)
    found = BLOCK.fullmatch(flat)
    if not found:
        return None
    number, place, rest = int(found[2]), int(found[3]), found[4]
    if found[1] == "input_blocks":
        block, layer = divmod(number - 1, layers + 1)
        if rest == "op":
            return f"down_blocks_{block}_downsamplers_0_conv"
        return _resnet(f"down_blocks_{block}_resnets_{layer}", rest) if place == 0 else f"down_blocks_{block}_attentions_{layer}_{rest}"
    block, layer = divmod(number, layers + 1)
    if place == 0:
        return _resnet(f"up_blocks_{block}_resnets_{layer}", rest)
    return f"up_blocks_{block}_upsamplers_0_conv" if rest == "conv" else f"up_blocks_{block}_attentions_{layer}_{rest}"


def _resnet(place: str, rest: str) -> str | None:
    return f"{place}_{RESNET[rest]}" if rest in RESNET else None


def denoiser_of(target: Target) -> Denoiser | None:
    """What `target`'s denoiser is made of; None where neither its weights nor its family's shapes are on this machine."""
    file = weight_file(target)
    if file is not None:
        names = {name.removesuffix(".weight"): shape for name, shape in read_header(file).shapes.items() if name.endswith(".weight")}
        return Denoiser({name: shape for name, shape in names.items() if len(shape) in (2, 4)})
    return shipped(target.family)


def shipped(family: str) -> Denoiser | None:
    """The shapes that registry/shapes holds for `family`."""
    return _shipped(catalogue.registry_folder() / "shapes" / f"{family}.json")


@cache
def _shipped(file: Path) -> Denoiser | None:
    if not file.is_file():
        return None
    return Denoiser({name: tuple(shape) for name, shape in json.loads(file.read_text(encoding="utf-8")).items()})


def known_denoisers(families: Mapping[str, Family]) -> dict[str, Denoiser]:
    """By family: those of the catalogue that are known here, then those that are only shipped as shapes."""
    found = {name: denoiser_of(family.base) for name, family in families.items()}
    for file in sorted((catalogue.registry_folder() / "shapes").glob("*.json")):
        if file.stem not in found:
            found[file.stem] = shipped(file.stem)
    return {name: denoiser for name, denoiser in found.items() if denoiser is not None}


def weight_file(target: Target) -> Path | None:
    """The safetensors file of a target whose weights lie at a path; the Hub's are of the shape that is shipped."""
    weights = target.weights
    if weights.path is None:
        return None
    place = catalogue.registry_folder() / Path(weights.path).expanduser() / (weights.subfolder or "") / (weights.file or "")
    if place.is_file():
        return place if place.suffix == ".safetensors" else None
    wanted = f"diffusion_pytorch_model{f'.{weights.variant}' if weights.variant else ''}.safetensors"
    return next((file for file in (place / wanted, place / "diffusion_pytorch_model.safetensors") if file.is_file()), None)
