"""What a weight file is and where it would fit, told from its header: no torch, and no tensor is read but the alphas."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from pathlib import Path

from ctrlx.controls import header, metadata
from ctrlx.controls.denoisers import Denoiser
from ctrlx.controls.formats import FOREIGN
from ctrlx.controls.keys import EMBEDDING, UNET, Keys, Module, naming, sort_keys
from ctrlx.controls.pickles import read_pickle
from ctrlx.controls.shapes import change_of, same_weight


@dataclass(frozen=True)
class Fit:
    """What one target would take of a file. `dropped`: modules it has no place for; `foreign`: keys that are no change of a UNet."""

    adapted: int
    total: int
    dropped: tuple[str, ...]
    foreign: tuple[str, ...]


@dataclass(frozen=True)
class Inspection:
    """What a file says of itself. `rank` and `alpha` count modules by value, as text; `targets` by full name."""

    format: str
    family: str | None
    kind: str | None
    components: Mapping[str, int]
    rank: Mapping[str, int]
    alpha: Mapping[str, int]
    trigger_words: tuple[str, ...]
    trained_on: Mapping[str, str]
    targets: Mapping[str, Fit]


@dataclass(frozen=True, eq=False)
class Sorted:
    """A file's names, shapes and free text: all that can be known without its numbers."""

    path: Path
    called: str  # its own name, where it lies under another
    container: str
    keys: Keys
    shapes: Mapping[str, tuple[int, ...]]
    metadata: Mapping[str, str]
    alphas: Mapping[str, float]  # by key

    @cached_property
    def changes(self) -> list[tuple[Module, tuple[tuple[int, ...], int | None] | None]]:
        """Each of the UNet's modules with the shape and rank of its change."""
        return [(module, change_of(module, self.shapes)) for module in self.keys.of(UNET)]

    @cached_property
    def format(self) -> str:
        """'kohya', 'kohya-locon', 'diffusers-peft', 'kohya-loha', … or, for what is no control, what a person calls it."""
        return _format_of(self)


def sort_file(path: Path, called: str = "") -> Sorted:
    """Reads a safetensors header, or a pickle with weights_only. `called`: what the file is named elsewhere. Raises BadInput, BadWeights."""
    if header.container(path) == header.PICKLE:
        tensors = read_pickle(path)
        keys = sort_keys(tensors)
        alphas = {key: float(tensors[key]) for key in _alphas(keys) if tensors[key].numel() == 1}
        return Sorted(path, called or path.name, header.PICKLE, keys, {name: tuple(tensor.shape) for name, tensor in tensors.items()}, {}, alphas)
    found = header.read_header(path)
    keys = sort_keys(found.entries)
    return Sorted(path, called or path.name, header.SAFETENSORS, keys, found.shapes, found.metadata, header.scalars(path, found, _alphas(keys)))


def inspect(file: Sorted, denoisers: Mapping[str, Denoiser], targets: Mapping[str, Denoiser]) -> Inspection:
    """`denoisers` by family to guess from, `targets` by full name to measure against."""
    ranks, alphas = Counter(), Counter()
    for module in file.keys.modules:
        change = change_of(module, file.shapes)
        if change and change[1] is not None:
            ranks[str(change[1])] += 1
        alpha = file.alphas.get(module.parts.get("alpha", ""))
        if alpha is not None and isfinite(alpha):
            alphas[f"{alpha:g}"] += 1
    words = metadata.trigger_words(file.metadata) + [module.name for module in file.keys.of(EMBEDDING)]
    return Inspection(
        format=file.format, family=guess_family(file, denoisers), kind=guess_kind(file), components=file.keys.components,
        rank=dict(ranks.most_common()), alpha=dict(alphas.most_common()), trigger_words=tuple(dict.fromkeys(words)),
        trained_on=metadata.trained_on(file.metadata), targets=_fits(file, targets),
    )


def _fits(file: Sorted, targets: Mapping[str, Denoiser]) -> dict[str, Fit]:
    """By target; those that share a denoiser's shape are measured once."""
    measured = {denoiser: fit(file, denoiser) for denoiser in set(targets.values())}
    return {name: measured[denoiser] for name, denoiser in targets.items()}


def fit(file: Sorted, denoiser: Denoiser) -> Fit:
    """Which of a file's UNet modules the denoiser has, in the right shape."""
    mine = file.changes
    dropped = tuple(module.name for module, change in mine if not _taken(module, change, denoiser))
    others = (key for module in file.keys.modules if module.component != UNET for key in module.parts.values())
    return Fit(len(mine) - len(dropped), len(mine), dropped, (*others, *file.keys.strangers))


def guess_family(file: Sorted, denoisers: Mapping[str, Denoiser]) -> str | None:
    """The family whose UNet takes most of the file's modules; where several take as many, the one that the metadata names.

    By structure, since an attention-only file has none of the keys that other readers go by.
    """
    taken = {name: fit(file, denoiser).adapted for name, denoiser in denoisers.items()}
    most = max(taken.values(), default=0)
    if most * 2 <= len(file.keys.of(UNET)):
        return None
    best = [name for name, count in taken.items() if count == most]
    if len(best) > 1 and "text_encoder_2" in file.keys.components:
        best = [name for name in best if name != "sd15"]  # one text encoder
    said = metadata.family_said(file.metadata)
    return best[0] if len(best) == 1 else said if said in best else None


def guess_kind(file: Sorted) -> str | None:
    """One of the kinds of control; None for what is no control."""
    formats = file.format
    if formats.startswith(("custom-diffusion", "textual-inversion")):
        return formats.removesuffix("-delta")
    if not file.keys.modules:
        return None
    called = f"{file.called} {file.metadata.get('ss_output_name', '')} {file.metadata.get('modelspec.title', '')}".lower()
    return "slider" if "slider" in called else "dreambooth" if "dreambooth" in called else "lora"


def _format_of(file: Sorted) -> str:
    keys, who = file.keys, naming(file.shapes)
    methods = Counter(module.method for module in keys.modules if module.component != EMBEDDING)
    method = next((name for name in methods if name != "LoRA"), "LoRA")
    if is_custom_delta(file.shapes):
        return "custom-diffusion-delta"
    if method == "Custom Diffusion":
        return "custom-diffusion"
    if method != "LoRA":
        return f"{who}-{method.lower().replace(', ', '-')}"
    if not methods:
        found = (what for pattern, what in FOREIGN if any(re.search(pattern, key) for key in keys.strangers))
        return {"a textual inversion": "textual-inversion"}.get(what := next(found, "unknown"), what)
    convolutions = any(len(file.shapes[key]) == 4 for module in keys.of(UNET) for key in module.parts.values())
    return "kohya-locon" if convolutions and who == "kohya" else who


def is_custom_delta(names: Mapping[str, object]) -> bool:
    """Whether these are the names of a Custom Diffusion file of its authors' (delta.bin), or of the original code's checkpoint."""
    pattern = r"(unet\..*|(state_dict\.)?model\.diffusion_model\..*)\.attn2\.to_[kv]\.weight(\.[uv])?"
    return any(re.fullmatch(pattern, name) for name in names) and all(
        re.fullmatch(rf"{pattern}|modifier_token\..*|text_encoder.*|(state_dict\.)?embed", name) for name in names
    )


def _alphas(keys: Keys) -> list[str]:
    return [module.parts["alpha"] for module in keys.modules if "alpha" in module.parts]


def _taken(module: Module, change: tuple | None, denoiser: Denoiser) -> bool:
    name = denoiser.find(module.name)
    return name is not None and change is not None and same_weight(change[0], denoiser.shapes[name])
