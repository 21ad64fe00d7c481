"""What a training run is told: plain data, checked before anything is loaded."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from ctrlx.errors import BadInput

# Which of a UNet's layers get a LoRA: regular expressions over module names (Concept Sliders' names for the sets, where it has one).
CONVOLUTIONS = r"(.*\.(conv1|conv2|conv_shortcut)|.*samplers\.\d+\.conv)"
MODULES = {
    "full": rf"(.*attn[12]\.(to_q|to_k|to_v|to_out\.0)|.*\.ff\.net\.(0\.proj|2)|.*\.(proj_in|proj_out)|{CONVOLUTIONS})",
    "noxattn": rf"(.*attn1\.(to_q|to_k|to_v|to_out\.0)|.*\.ff\.net\.(0\.proj|2)|.*\.(proj_in|proj_out)|{CONVOLUTIONS})",
    "attention": r".*attn[12]\.(to_q|to_k|to_v|to_out\.0)",
    "selfattn": r".*attn1\.(to_q|to_k|to_v|to_out\.0)",
    "xattn": r".*attn2\.(to_q|to_k|to_v|to_out\.0)",
    "xattn-strict": r".*attn2\.(to_k|to_v)",
}


@dataclass(frozen=True)
class SliderSettings:
    """A text slider (Gandikota et al. 2023, Concept Sliders): strength moves `target_prompt` from `negative` towards `positive`."""

    target_prompt: str
    positive: str
    negative: str
    preserve: tuple[str, ...] = ()  # attributes that must not move with it; each is appended to all three prompts
    guidance: float = 3.0  # eta: how far past the plain difference of positive and negative
    rank: int = 4
    alpha: float = 4.0
    modules: str = "full"
    steps: int = 300
    batch: int = 12
    learning_rate: float = 1e-3
    bank: int = 48  # pictures of the model itself that it is trained on
    seed: int = 0

    def __post_init__(self):
        for name in ("target_prompt", "positive", "negative"):
            if not getattr(self, name).strip():
                raise BadInput(f"--{name.replace('_', '-')} is empty; say in words what the slider is to move")
        for name, least in (("rank", 1), ("steps", 1), ("batch", 1), ("bank", 1)):
            if getattr(self, name) < least:
                raise BadInput(f"--{name} is {getattr(self, name)}; it must be at least {least}")
        if not self.learning_rate > 0 or not self.alpha > 0:
            raise BadInput("--learning-rate and --alpha must be greater than 0")
        if self.modules not in MODULES:
            raise BadInput(f"--modules '{self.modules}' is not a set of layers; there is {', '.join(MODULES)}")

    def prompts(self) -> list[tuple[str, str, str]]:
        """(target, positive, negative) with each attribute to preserve appended, or as they are where there is none."""
        three = (self.target_prompt, self.positive, self.negative)
        return [tuple(f"{prompt}, {attribute}" for prompt in three) for attribute in self.preserve] or [three]

    def fingerprint(self) -> str:
        """Two runs with the same fingerprint make the same weights."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]
