"""Controls put on a UNet as PEFT adapters, never fused into it, counted module by module, and taken off without a trace."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from ctrlx.controls.read import ControlWeights, LoRA
from ctrlx.errors import BadInput, PartialCoverage
from ctrlx.records import Coverage


@contextmanager
def attached(unet: nn.Module, controls: Mapping[str, ControlWeights], threshold: float = 1.0) -> Iterator[dict[str, Coverage]]:
    """The UNet with these controls on it, all at strength 0; the same modules and bits as before when the block ends, however it ends.

    Yields each control's coverage by name. Raises PartialCoverage.
    """
    asked_for_gradients = [(parameter, parameter.requires_grad) for parameter in unet.parameters()]
    done: list[str] = []
    try:
        coverage = {}
        for name, weights in controls.items():
            coverage[name] = attach(unet, name, weights, threshold)
            done.append(name)
        yield coverage
    finally:
        for name in reversed(done):
            detach(unet, name)
        for parameter, asked in asked_for_gradients:
            parameter.requires_grad_(asked)


def attach(unet: nn.Module, name: str, weights: ControlWeights, threshold: float = 1.0) -> Coverage:
    """Puts a control on the UNet, in the UNet's dtype and on its device, and turns all controls off until `set_strengths`.

    Returns how many of its modules the UNet took. Raises PartialCoverage, and leaves the UNet alone, below `threshold`.
    """
    from peft import inject_adapter_in_model, set_peft_model_state_dict

    adapter = _adapter(name)
    if adapter in getattr(unet, "peft_config", {}):
        raise BadInput(f"a control named '{name}' is already on this UNet; take it off first")
    fitting = {module: lora for module, lora in weights.modules.items() if _fits(unet, module, lora)}
    _refuse_partial(name, _coverage(weights, fitting), threshold)
    if not fitting:
        return _coverage(weights, fitting)
    reference = next(unet.parameters())
    state = {key: tensor.to(reference.device, reference.dtype) for key, tensor in ControlWeights(fitting).state_dict().items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT shortens long lists of modules, then warns that it did; and warns of a second adapter
        inject_adapter_in_model(_config(fitting), unet, adapter, low_cpu_mem_usage=True, state_dict=state)
        set_peft_model_state_dict(unet, state, adapter, low_cpu_mem_usage=True)
    unet._hf_peft_config_loaded = True  # what diffusers looks at before it touches adapters
    set_strengths(unet, {})
    taken = _coverage(weights, _taken(unet, adapter, fitting))
    try:
        _refuse_partial(name, taken, threshold)
    except PartialCoverage:
        detach(unet, name)
        raise
    return taken


def detach(unet: nn.Module, name: str) -> None:
    """Takes a control off and leaves the others as they are; modules that no control is left on are again what they were."""
    adapter = _adapter(name)
    for path, layer in list(_layers(unet)):
        layer.set_adapter([on for on in layer.active_adapters if on != adapter], inference_mode=True)  # else PEFT turns another one on
        layer.delete_adapter(adapter)
        if not layer.lora_A:
            parent, _, child = path.rpartition(".")
            setattr(unet.get_submodule(parent), child, layer.get_base_layer())
    configs = getattr(unet, "peft_config", {})
    configs.pop(adapter, None)
    if not configs and hasattr(unet, "peft_config"):
        del unet.peft_config
        unet._hf_peft_config_loaded = False


def set_strengths(unet: nn.Module, strengths: Mapping[str, float]) -> None:
    """Exactly these controls are on, each at its strength, which may be negative; all others, and those at 0, cost nothing."""
    known = getattr(unet, "peft_config", {})
    for name in strengths:
        if _adapter(name) not in known:
            raise BadInput(f"control '{name}' has a strength but is not on this UNet; attach it first")
    on = {_adapter(name): strength for name, strength in strengths.items() if strength != 0}
    if not known:
        return
    for _, layer in _layers(unet):
        layer.set_adapter(list(on), inference_mode=True)
        for adapter, strength in on.items():
            layer.set_scale(adapter, strength)


def _adapter(name: str) -> str:
    """PEFT's name for a control: it keeps adapters in a ModuleDict, where dots and the names of its methods are forbidden."""
    return "control " + name.replace(".", "\N{MIDDLE DOT}")


def _layers(unet: nn.Module) -> Iterator[tuple[str, Any]]:
    """Every module that carries controls, by its path in the UNet."""
    from peft.tuners.lora import LoraLayer

    return ((path, module) for path, module in unet.named_modules() if isinstance(module, LoraLayer))


def _fits(unet: nn.Module, module: str, lora: LoRA) -> bool:
    """Whether the UNet has this module, and with these widths."""
    try:
        layer = unet.get_submodule(module)
    except AttributeError:
        return False
    layer = layer.get_base_layer() if hasattr(layer, "get_base_layer") else layer
    if not isinstance(layer, (nn.Linear, nn.Conv2d)):
        return False
    out, *rest = layer.weight.shape  # (out, in) or (out, in, height, width)
    return [*lora.down.shape[1:]] == rest and [*lora.up.shape] == [out, lora.rank, *(1 for _ in rest[1:])]


def _config(modules: Mapping[str, LoRA]) -> Any:
    from peft import LoraConfig

    first = next(iter(modules.values()))
    return LoraConfig(
        r=first.rank,
        lora_alpha=first.alpha,
        target_modules=list(modules),
        rank_pattern={f"^{re.escape(name)}": lora.rank for name, lora in modules.items() if lora.rank != first.rank},
        alpha_pattern={f"^{re.escape(name)}": lora.alpha for name, lora in modules.items() if lora.alpha != first.alpha},
        init_lora_weights=False,
    )


def _taken(unet: nn.Module, adapter: str, modules: Mapping[str, LoRA]) -> set[str]:
    """The modules that now carry these very numbers at the right scale."""
    taken = set()
    for path, layer in _layers(unet):
        if adapter in layer.lora_A and path in modules:
            down, up = layer.lora_A[adapter].weight, layer.lora_B[adapter].weight
            wanted = modules[path]
            same = torch.equal(down, wanted.down.to(down)) and torch.equal(up, wanted.up.to(up))
            if same and layer.lora_alpha[adapter] == wanted.alpha and layer.r[adapter] == wanted.rank:
                taken.add(path)
    return taken


def _coverage(weights: ControlWeights, taken: Any) -> Coverage:
    missing = tuple(sorted(name for name in weights.modules if name not in taken))
    return Coverage(len(weights.modules) - len(missing), len(weights.modules), missing)


def _refuse_partial(name: str, coverage: Coverage, threshold: float) -> None:
    if coverage.ratio < threshold:
        first = ", ".join(coverage.missing[:3]) + (", …" if len(coverage.missing) > 3 else "")
        raise PartialCoverage(
            f"control '{name}' fits this UNet in {coverage.adapted} of {coverage.total} modules, {coverage.ratio:.0%} where {threshold:.0%} "
            f"is asked for; it has no place for {first}; use a target of the control's own family, or ask for less coverage"
        )
