"""What a training run is told: plain data, checked before anything is loaded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from math import cos, pi
from typing import Any, ClassVar, Protocol

from ctrlx.errors import BadInput, NotKnown

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


SCHEDULES = {  # share of the learning rate at x, the share of the steps that is done
    "constant": lambda x: 1.0,
    "linear": lambda x: 1 - x,
    "cosine": lambda x: (1 + cos(pi * x)) / 2,
}


class Settings(Protocol):
    """What the training loop asks of any kind's settings."""

    steps: int
    accumulation: int
    learning_rate: float
    seed: int

    def rate(self, step: int) -> float: ...

    def fingerprint(self) -> str: ...


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

    accumulation: ClassVar[int] = 1

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

    def rate(self, step: int, warmup: int = 20) -> float:
        """Linear warm-up, then constant, then down to a tenth over the last fifth."""
        left = (self.steps - step) / max(1, self.steps // 5)
        return self.learning_rate * min(1.0, (step + 1) / warmup, max(0.1, left))

    def fingerprint(self) -> str:
        """Two runs with the same fingerprint make the same weights."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class PictureSettings:
    """What all kinds that are trained on pictures are told."""

    steps: int = 500
    batch: int = 1
    accumulation: int = 1  # batches a step
    learning_rate: float = 1e-4
    schedule: str = "constant"
    warmup: int = 0  # steps over which the learning rate rises
    min_snr: float = 0.0  # gamma of arXiv 2303.09556; 0: every timestep weighs the same
    seed: int = 0

    FOLDERS: ClassVar[tuple[str, ...]] = ("data",)  # known by what lies in them, not by where they lie
    NEEDED: ClassVar[tuple[str, ...]] = ("data",)
    LEAST: ClassVar[dict[str, int]] = {"steps": 1, "batch": 1, "accumulation": 1, "warmup": 0, "rank": 1, "class_pictures": 1}
    data: str = ""  # a folder of pictures

    def __post_init__(self):
        for name in self.NEEDED:
            if not getattr(self, name).strip():
                raise BadInput(f"--{name.replace('_', '-')} is empty; give it, or write {name} in the file of --config")
        for name, least in self.LEAST.items():
            if hasattr(self, name) and getattr(self, name) < least:
                raise BadInput(f"--{name.replace('_', '-')} is {getattr(self, name)}; it must be at least {least}")
        if not self.learning_rate > 0 or not getattr(self, "alpha", 1.0) > 0:
            raise BadInput("--learning-rate and --alpha must be greater than 0")
        if self.min_snr < 0 or getattr(self, "prior_weight", 0.0) < 0:
            raise BadInput("--min-snr and --prior-weight cannot be below 0")
        if self.schedule not in SCHEDULES:
            raise NotKnown("schedule", self.schedule, SCHEDULES)
        if getattr(self, "modules", "full") not in MODULES:
            raise NotKnown("set of layers", self.modules, MODULES)

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        return self.learning_rate * SCHEDULES[self.schedule]((step - self.warmup) / max(1, self.steps - self.warmup))

    def fingerprint(self) -> str:
        """Two runs with the same fingerprint on the same pictures make the same weights."""
        told = {name: value for name, value in asdict(self).items() if name not in self.FOLDERS}
        return hashlib.sha256(json.dumps([type(self).__name__, told], sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class LoraShape:
    """Where a LoRA lies and how large it is."""

    rank: int = 4
    alpha: float = 4.0
    modules: str = "attention"


@dataclass(frozen=True, kw_only=True)
class LoraSettings(LoraShape, PictureSettings):
    """A LoRA of a style, or of anything that captions name."""

    trigger: str = ""  # a word put before every caption that has it not

    def caption(self, caption: str) -> str:
        return caption if not self.trigger or self.trigger in caption else f"{self.trigger}, {caption}"


@dataclass(frozen=True, kw_only=True)
class Prior:
    """Pictures of the class, which the model draws itself, keep it from forgetting what else the class looks like."""

    class_prompt: str = ""  # empty: no prior preservation
    class_pictures: int = 100
    prior_weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class DreamboothSettings(Prior, LoraShape, PictureSettings):
    """A subject (Ruiz et al. 2022, DreamBooth) as a LoRA: `instance_prompt` names it by a rare word, `class_prompt` what it is one of."""

    instance_prompt: str = ""

    NEEDED: ClassVar[tuple[str, ...]] = ("data", "instance_prompt")


@dataclass(frozen=True, kw_only=True)
class CustomSettings(Prior, PictureSettings):
    """A concept in the keys and values of cross-attention (Kumari et al. 2022, Custom Diffusion)."""

    concept_prompt: str = ""
    learning_rate: float = 1e-5
    batch: int = 2
    class_pictures: int = 200
    rank: int = 0  # what it is stored at; 0: exactly

    NEEDED: ClassVar[tuple[str, ...]] = ("data", "concept_prompt")
    LEAST: ClassVar[dict[str, int]] = {**PictureSettings.LEAST, "rank": 0}


@dataclass(frozen=True, kw_only=True)
class ImageSliderSettings(LoraShape, PictureSettings):
    """A slider from pictures of the same things at several strengths (Concept Sliders' visual sliders), paired by file name."""

    before: str = ""  # strength -1
    after: str = ""  # strength 1
    graded: tuple[str, ...] = ()  # instead of the two: "STRENGTH=FOLDER" each
    prompt: str = ""  # what the pictures are of

    FOLDERS: ClassVar[tuple[str, ...]] = ("data", "before", "after", "graded")
    NEEDED: ClassVar[tuple[str, ...]] = ()

    def folders(self) -> dict[float, str]:
        """Folders by strength, the lowest first. Raises BadInput."""
        both = {-1.0: self.before, 1.0: self.after}
        found = dict(map(graded_folder, self.graded)) or {scale: folder for scale, folder in both.items() if folder}
        if len(found) < 2:
            raise BadInput("an image slider needs pictures at two strengths; give --before and --after, or --graded STRENGTH=FOLDER twice or more")
        return dict(sorted(found.items()))


def graded_folder(text: str) -> tuple[float, str]:
    """Strength and folder of "0.5=folder". Raises BadInput."""
    strength, _, folder = text.partition("=")
    try:
        found = float(strength)
    except ValueError:
        found = 0.0
    if not folder or not found or not abs(found) < 100:
        raise BadInput(f"--graded '{text[:80]}' is not STRENGTH=FOLDER with a strength other than 0; write --graded 0.5=half_old")
    return found, folder


PICTURE_KINDS = {"lora": LoraSettings, "dreambooth": DreamboothSettings, "image-slider": ImageSliderSettings, "custom-diffusion": CustomSettings}


def settings_of(kind: str, told: Mapping[str, Any], where: str = "") -> PictureSettings:
    """The settings of a kind from what a file and the command line tell. Raises NotKnown with the nearest option, BadInput."""
    known = {field.name: field.default for field in fields(PICTURE_KINDS[kind])}
    if kind == "image-slider":
        del known["data"]
    for name, value in told.items():
        if name not in known:
            raise NotKnown("option", name, known, where)
        check_type(name, value, known[name])
    return PICTURE_KINDS[kind](**{name: tuple(value) if isinstance(known[name], tuple) else value for name, value in told.items()})


def check_type(name: str, value: Any, default: Any) -> None:
    """Raises BadInput where `value` is of another type than `default`."""
    allowed = {float: (int, float), tuple: (list, tuple)}.get(type(default), (type(default),))
    if isinstance(value, bool) != isinstance(default, bool) or not isinstance(value, allowed):
        raise BadInput(f"{name} is {value!r}; it must be like {default!r}")
