"""Families and targets loaded from files: the parts that a family shares, and each target's UNet."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline, UNet2DConditionModel

from ctrlx.errors import BadCatalogue, BadInput, BadWeights
from ctrlx.records import Family, Target
from ctrlx.targets.files import read_json, read_tensors, reading
from ctrlx.targets.locate import PIPELINE, locate
from ctrlx.targets.quiet import quiet


@dataclass
class Shared:
    """What the targets of a family have in common: a diffusers pipeline without its UNet."""

    pipeline: Any
    device: torch.device
    dtype: torch.dtype
    texts: dict[str, Any] = field(default_factory=dict)  # encoded prompts, kept by ctrlx.sampling.text


def best_device() -> torch.device:
    """The fastest kind of device that this machine has."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def find_device(name: str | None) -> torch.device:
    """The device called "cpu", "cuda", "cuda:1" or "mps"; the fastest where nobody says. Raises BadInput for one that is not here."""
    if name is None:
        return best_device()
    try:
        torch.empty(1, device=name).tolist()
    except (RuntimeError, AssertionError, NotImplementedError) as problem:
        raise BadInput(f"'{name[:40]}' is no device of this machine; leave --device out for '{best_device().type}'") from problem
    return torch.device(name)


def best_dtype(device: torch.device) -> torch.dtype:
    """float32 on a CPU, which computes slowly in halves; float16 elsewhere."""
    return torch.float32 if device.type == "cpu" else torch.float16


def find_dtype(name: str | None, device: torch.device) -> torch.dtype:
    """The dtype called "float32", "float16" or "bfloat16"; the device's own where nobody says."""
    return getattr(torch, name) if name else best_dtype(device)


def threads(device: torch.device) -> int | None:
    """How many threads sums are split over, which decides their last bits on a CPU; None elsewhere."""
    return torch.get_num_threads() if device.type == "cpu" else None


@torch.inference_mode(False)  # weights made in inference mode could never be trained around
def load_shared(family: Family, registry: Path, device: torch.device, dtype: torch.dtype) -> Shared:
    """Text encoders, tokenizers and VAE, in the family's own diffusers pipeline, so that it encodes prompts by its own rules.

    A VAE that says it overflows in float16 (`force_upcast`) is kept in float32.
    Raises MissingWeights, BadWeights.
    """
    folder = locate(family.weights, registry, holds=PIPELINE)
    with reading(folder, f"a {family.pipeline}"), quiet():
        pipeline = _pipeline_class(family).from_pretrained(
            folder, unet=None, torch_dtype=dtype, variant=family.weights.variant, use_safetensors=True, local_files_only=True
        )
    with quiet():
        pipeline.to(device)
        if dtype == torch.float16 and pipeline.vae.config.force_upcast:
            pipeline.vae.to(torch.float32)
    for part in (pipeline.vae, pipeline.text_encoder, getattr(pipeline, "text_encoder_2", None)):
        if part is not None:
            part.requires_grad_(False)
    return Shared(pipeline, device, dtype)


def load_scheduler_config(family: Family, registry: Path) -> dict[str, Any]:
    """The family's scheduler configuration, which every target's scheduler starts from."""
    folder = locate(family.weights, registry, holds=PIPELINE)
    return read_json(folder / "scheduler" / "scheduler_config.json")


@torch.inference_mode(False)  # weights made in inference mode could never be trained around
def load_unet(target: Target, family: Family, registry: Path, device: torch.device, dtype: torch.dtype) -> UNet2DConditionModel:
    """The UNet of a target whose form is "unet", frozen: a folder in diffusers layout, or one file of its state dict.

    Raises MissingWeights, BadWeights; never leaves a weight at random.
    """
    place = locate(target.weights, registry)
    unet = _from_folder(place, target.weights.variant, dtype) if place.is_dir() else _from_file(place, family, registry, dtype)
    return unet.to(device).requires_grad_(False).eval()


def _pipeline_class(family: Family) -> type[DiffusionPipeline]:
    import diffusers

    found = getattr(diffusers, family.pipeline, None)
    if not (isinstance(found, type) and issubclass(found, DiffusionPipeline)):
        raise BadCatalogue(
            f"family '{family.id}' names the pipeline '{family.pipeline}', which diffusers {diffusers.__version__} does not have"
        )
    return found


def _from_folder(folder: Path, variant: str | None, dtype: torch.dtype) -> UNet2DConditionModel:
    with reading(folder, "a UNet in diffusers layout"), quiet():
        unet, found = UNet2DConditionModel.from_pretrained(
            folder, torch_dtype=dtype, variant=variant, use_safetensors=True, local_files_only=True, output_loading_info=True
        )
    _refuse_gaps(folder, found["missing_keys"], found["unexpected_keys"])
    return unet


def _from_file(file: Path, family: Family, registry: Path, dtype: torch.dtype) -> UNet2DConditionModel:
    """A state dict alone says nothing about its architecture, which is that of the family's base."""
    tensors = read_tensors(file)
    config = read_json(locate(replace(family.base.weights, file="config.json"), registry))
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(config)
    missing, unexpected = unet.state_dict().keys() - tensors.keys(), tensors.keys() - unet.state_dict().keys()
    _refuse_gaps(file, missing, unexpected)
    with reading(file, f"a UNet like that of {family.base.full_name}"):
        unet.load_state_dict({name: tensor.to(dtype) for name, tensor in tensors.items()}, assign=True)
    return unet


def _refuse_gaps(place: Path, missing: Any, unexpected: Any) -> None:
    for names, what in ((sorted(missing), "lacks"), (sorted(unexpected), "has the unknown")):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise BadWeights(f"{place} is not a UNet of this family: it {what} '{names[0]}'{more}; check which file the target needs")
