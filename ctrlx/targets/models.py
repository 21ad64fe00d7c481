"""A family's models on one device: each is loaded when it is first asked for, then kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel

from ctrlx.catalogue import registry_folder
from ctrlx.controls.attach import attach, attached, detach
from ctrlx.controls.read import ControlWeights, read_control
from ctrlx.errors import WrongFamily
from ctrlx.records import Coverage, Family, Target
from ctrlx.targets.load import Shared, best_device, best_dtype, load_scheduler_config, load_shared, load_unet
from ctrlx.targets.locate import locate


@dataclass(frozen=True, eq=False)
class Denoiser:
    """A target's UNet, and the adapters that make the target of it: empty, or its LoRA form at its scale."""

    unet: UNet2DConditionModel
    own: Mapping[str, float]


class Models:
    """What pictures of a family are made with.

    registry: the folder that relative weights paths start from. device, dtype: the fastest that this machine has, by default.
    offload: UNets wait in the machine's own memory, and only the one that is asked for predictions is on the device.
    """

    def __init__(
        self,
        family: Family,
        registry: Path | None = None,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
        offload: bool = False,
    ):
        self.family = family
        self.registry = registry or registry_folder()
        self.device = torch.device(device) if device else best_device()
        self.dtype = dtype or best_dtype(self.device)
        self.offload = offload
        self._denoisers: dict[str, Denoiser] = {}

    @cached_property
    def shared(self) -> Shared:
        """Text encoders and VAE. Raises MissingWeights, BadWeights."""
        return load_shared(self.family, self.registry, self.device, self.dtype)

    @cached_property
    def scheduler_config(self) -> dict[str, Any]:
        """The family's scheduler configuration; reading it loads no model."""
        return load_scheduler_config(self.family, self.registry)

    def denoiser(self, target: Target) -> Denoiser:
        """`target`, ready to be asked for predictions. A LoRA form shares its UNet with the family's base.

        Raises WrongFamily, MissingWeights, BadWeights, PartialCoverage.
        """
        if target.family != self.family.id:
            raise WrongFamily(
                f"'{target.full_name}' is no target of family '{self.family.id}'; load the models of '{target.family}' for it"
            )
        if target.name not in self._denoisers:
            self._denoisers[target.name] = self._lora_form(target) if target.form == "lora" else self._unet_form(target)
        return self._denoisers[target.name]

    @torch.inference_mode(False)  # weights moved in inference mode could never be trained around
    def ready(self, target: Target) -> Denoiser:
        """`target` on the device, and with `offload` no other UNet there. Raises as `denoiser` does."""
        wanted = self.denoiser(target)
        if self.offload:
            for other in self._denoisers.values():
                if other.unet is not wanted.unet:
                    other.unet.to("cpu")
            wanted.unet.to(self.device)
        return wanted

    def keep_only(self, targets: Iterable[Target]) -> None:
        """Lets go of every UNet that none of `targets` runs on. No control may be on one."""
        kept = {target.name for target in targets}
        if any(self.family.targets[name].form == "lora" for name in kept):
            kept.add(self.family.base.name)
        for name in [name for name in self._denoisers if name not in kept]:
            for adapter in (gone := self._denoisers.pop(name)).own:
                detach(gone.unet, adapter)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _unet_form(self, target: Target) -> Denoiser:
        device = torch.device("cpu") if self.offload else self.device
        return Denoiser(load_unet(target, self.family, self.registry, device, self.dtype), {})

    def _lora_form(self, target: Target) -> Denoiser:
        unet = self.denoiser(self.family.base).unet
        name = f"target {target.name}"
        attach(unet, name, read_control(locate(target.weights, self.registry), unet.config))
        return Denoiser(unet, {name: target.lora_scale})

    @contextmanager
    def attached(
        self, targets: Iterable[Target], controls: Mapping[str, ControlWeights], threshold: float = 1.0
    ) -> Iterator[dict[str, dict[str, Coverage]]]:
        """Controls on the UNets of `targets` for as long as the block lasts; yields coverage by target name, then control name.

        They do nothing until a plan gives them a strength. Raises PartialCoverage before any UNet is changed by that control.
        """
        coverage: dict[str, dict[str, Coverage]] = {}
        done: dict[int, dict[str, Coverage]] = {}
        with ExitStack() as stack:
            for target in targets:
                unet = self.denoiser(target).unet
                if id(unet) not in done:
                    done[id(unet)] = stack.enter_context(attached(unet, controls, threshold))
                coverage[target.name] = done[id(unet)]
            yield coverage
