"""What the keys of a weight file mean: which part of which module of which component each one is. No torch.

Every naming that is met is told apart here, for the inspector and the importer alike: kohya's, diffusers' four, PEFT's, ComfyUI's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

UNET, TEXT, TEXT_2, TEXT_3, TRANSFORMER, EMBEDDING = "unet", "text_encoder", "text_encoder_2", "text_encoder_3", "transformer", "embedding"

PARTS = (  # (what a key ends in, the part of its module that it is)
    (r"(\.lora_down|\.lora_A|\.lora_A\.default|[._]lora\.down|\.lora_linear_layer\.down)\.weight", "down"),
    (r"(\.lora_up|\.lora_B|\.lora_B\.default|[._]lora\.up|\.lora_linear_layer\.up)\.weight", "up"),
    (r"\.lora_mid\.weight", "mid"),
    (r"\.alpha", "alpha"),
    (r"\.(hada_w1_a|hada_w1_b|hada_w2_a|hada_w2_b|hada_t1|hada_t2)", None),
    (r"\.(lokr_w1|lokr_w1_a|lokr_w1_b|lokr_w2|lokr_w2_a|lokr_w2_b|lokr_t2)", None),
    (r"\.(dora_scale|lora_magnitude_vector(\.default)?(\.weight)?)", "dora"),
    (r"_custom_diffusion(\.0)?\.weight", "custom"),
    (r"_custom_diffusion(\.0)?\.bias", "custom_bias"),
    (r"\.(oft_blocks|oft_diag|diff|diff_b|w_norm|b_norm|on_input|set_weight|(a1|a2|b1|b2|bm1|bm2)\.weight)", "lycoris"),
)
ENDINGS = tuple((re.compile(rf"(?P<module>.+?)(?P<ending>{ending})"), part) for ending, part in PARTS)
PREFIXES = (  # (how a key begins, its component, what stays of the beginning)
    (r"(lora|lycoris|oft)_unet_((single_)?transformer_blocks|double_blocks|single_blocks|joint_blocks)", TRANSFORMER, r"\2"),
    (r"(lora|oft)_unet_", UNET, ""),
    (r"lycoris_", UNET, ""),
    (r"lora_te2_", TEXT_2, ""),
    (r"lora_te3_", TEXT_3, ""),
    (r"lora_te1?_", TEXT, ""),
    (r"lora_transformer_", TRANSFORMER, ""),
    (r"bundle_emb\.", EMBEDDING, ""),
    (r"(base_model\.model\.)?(unet\.)?(transformer|single_transformer_blocks|transformer_blocks)\.", TRANSFORMER, r"\3."),
    (r"diffusion_model\.(?=(input_blocks|middle_block|output_blocks|time_embed|label_emb|out)\.)", UNET, ""),
    (r"diffusion_model\.", TRANSFORMER, ""),
    (r"(base_model\.model\.)?text_encoder_2\.", TEXT_2, ""),
    (r"(base_model\.model\.)?text_encoder_3\.", TEXT_3, ""),
    (r"(base_model\.model\.)?text_encoder\.", TEXT, ""),
    (r"(base_model\.model\.)?(unet\.)?(?=(conv_in|conv_out|down_blocks|mid_block|up_blocks|time_embedding|add_embedding)\.)", UNET, ""),
)
BEGINNINGS = tuple((re.compile(beginning), component, rest) for beginning, component, rest in PREFIXES)
ALGEBRA = (("dora", "DoRA"), ("hada", "LoHa"), ("lokr", "LoKr"), ("mid", "LoCon, Tucker"), ("lycoris", "LyCORIS"), ("custom", "Custom Diffusion"))


@dataclass(frozen=True, eq=False)
class Module:
    """One module that a file changes: the keys of its parts. Its name is as the file has it: dotted, or flat with '_' for '.'."""

    component: str
    name: str
    parts: dict[str, str] = field(default_factory=dict)  # part -> key

    @property
    def method(self) -> str:
        """How its change is written: "LoRA", "LoHa", …"""
        return next((method for part, method in ALGEBRA if any(mine.startswith(part) for mine in self.parts)), "LoRA")


@dataclass(frozen=True)
class Keys:
    """A file's keys, sorted into modules; `strangers` are what nothing is known of."""

    modules: tuple[Module, ...]
    strangers: tuple[str, ...]

    def of(self, component: str) -> list[Module]:
        return [module for module in self.modules if module.component == component]

    @property
    def components(self) -> dict[str, int]:
        """How many modules of each component."""
        counted: dict[str, int] = {}
        for module in self.modules:
            counted[module.component] = counted.get(module.component, 0) + 1
        return counted


def sort_keys(keys: Iterable[str]) -> Keys:
    """Every key in its module, or among the strangers."""
    modules: dict[tuple[str, str], Module] = {}
    strangers = []
    for key in keys:
        found = _placed(key)
        if found is None:
            strangers.append(key)
            continue
        component, name, part = found
        module = modules.setdefault((component, name), Module(component, name))
        if part in module.parts:
            strangers.append(key)  # a second name for the same part
        else:
            module.parts[part] = key
    return Keys(tuple(modules.values()), tuple(strangers))


def naming(keys: Iterable[str]) -> str:
    """Whose naming most keys follow, as a person calls it."""
    counted: dict[str, int] = {}
    for key in keys:
        for pattern, who in NAMINGS:
            if pattern.search(key):
                counted[who] = counted.get(who, 0) + 1
                break
    return max(counted, key=counted.__getitem__) if counted else "unknown"


NAMINGS = tuple(
    (re.compile(pattern), who)
    for pattern, who in (
        (r"_custom_diffusion", "custom-diffusion"),
        (r"^(lora|oft|lycoris)_", "kohya"),
        (r"^base_model\.model\.", "peft"),
        (r"^diffusion_model\.", "comfy"),
        (r"\.processor\.", "diffusers-attention-processors"),
        (r"\.lora_[AB]\.", "diffusers-peft"),
        (r"[._]lora\.(down|up)|lora_linear_layer", "diffusers"),
    )
)


def _placed(key: str) -> tuple[str, str, str] | None:
    """(component, module, part) of a key; None for a stranger."""
    for beginning, component, rest in BEGINNINGS:
        found = beginning.match(key)
        if found:
            inner = (found.expand(rest) if rest else "") + key[found.end():]
            break
    else:
        return None
    if component == EMBEDDING:
        return component, inner.split(".")[0], inner
    for pattern, part in ENDINGS:
        matched = pattern.fullmatch(inner)
        if matched:
            ending = matched["ending"].lstrip(".")
            return component, _tidy(matched["module"], ending), part or ending
    return None


def _tidy(module: str, ending: str) -> str:
    """An attention processor's own layers are the attention's: 'attn1.processor.to_out' + '_lora' -> 'attn1.to_out.0'."""
    module = module.replace(".processor.", ".")
    outside = ending.startswith(("_lora", "_custom")) and module.endswith(".to_out")
    return f"{module}.0" if outside else module
