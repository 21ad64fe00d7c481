"""The records that commands, store and domain hand to one another: plain frozen data, importable from anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

KINDS = ("slider", "image-slider", "dreambooth", "custom-diffusion", "lora", "textual-inversion")


@dataclass(frozen=True)
class Weights:
    """Where weights come from: a `path` inside registry/ (or absolute), or a Hub `repo` and optionally one `file` or `subfolder` of it."""

    path: str | None = None
    repo: str | None = None
    file: str | None = None
    subfolder: str | None = None
    variant: str | None = None
    revision: str | None = None

    @property
    def label(self) -> str:
        """For a person: 'ByteDance/SDXL-Lightning sdxl_lightning_4step_unet.safetensors'."""
        return " ".join(part for part in (self.path or self.repo, self.subfolder, self.file) if part)


@dataclass(frozen=True)
class Target:
    """One denoiser with the sampler recipe it must be run with."""

    family: str
    name: str
    role: str  # "base" or "distilled"
    method: str  # how it came to be, for a person
    licence: str
    weights: Weights  # of the UNet
    scheduler: str  # class name in diffusers
    scheduler_args: Mapping[str, Any] = field(default_factory=dict)  # laid over the family's scheduler configuration
    steps: int = 4
    guidance: float = 0.0
    timesteps: tuple[int, ...] | None = None  # explicit, where the scheduler's own would be wrong
    only_steps: tuple[int, ...] | None = None  # the step counts it was made for; None: any
    prediction_type: str = "epsilon"  # or "v_prediction", "sample"
    size: int = 1024  # pixels
    form: str = "unet"  # or "lora": weights are a LoRA on the family's base
    lora_scale: float = 1.0
    hidden: bool = False  # a variant that matrices and defaults pass over
    notes: str = ""

    @property
    def full_name(self) -> str:
        return f"{self.family}/{self.name}"


@dataclass(frozen=True)
class ScorerSpec:
    """Which scorer a family is measured with."""

    kind: str  # "open_clip"
    model: str  # architecture name, or the path of a folder in registry/ with open_clip_config.json
    pretrained: str | None = None
    probes: tuple[str, ...] = ()  # texts that no control is about: how far they move is its side effect


@dataclass(frozen=True)
class Family:
    """Models that share text encoders, VAE and UNet shape."""

    id: str
    title: str
    pipeline: str  # class name in diffusers
    weights: Weights  # text encoders, tokenizers, VAE and scheduler configuration
    scorer: ScorerSpec
    prompt: str  # what is drawn when nobody says what
    targets: Mapping[str, Target]
    preferred: tuple[str, ...] = ()  # targets that a picture is finished by where nobody says, the first choice first

    @property
    def base(self) -> Target:
        return next(target for target in self.targets.values() if target.role == "base")

    @property
    def default_target(self) -> Target:
        """What finishes a picture where nobody says: the first preferred target, else the first distilled one, else the base."""
        distilled = [target for target in self.targets.values() if target.role == "distilled" and not target.hidden]
        return next((self.targets[name] for name in self.preferred), (distilled or [self.base])[0])


@dataclass(frozen=True)
class Control:
    """An adapter that changes what a denoiser draws."""

    name: str
    kind: str  # one of KINDS
    family: str
    source: str  # name of the target it was trained on
    sha256: str  # of its weight file
    size: int  # bytes
    origin: str  # "built-in", "trained" or "imported"
    created: str  # ISO 8601, UTC
    concept: str = ""  # what a picture shows at strength 1; its CLIP score measures the control
    prompts: tuple[str, ...] = ()  # pictures to try it on
    rank: int | None = None
    alpha: float | None = None
    modules: int | None = None  # adapted modules in the file
    tags: tuple[str, ...] = ()
    notes: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)  # how it was trained, or where it came from

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"control '{self.name}' has kind '{self.kind}', which is none of {', '.join(KINDS)}")


class ListedControl(NamedTuple):
    """What a list says of a control: a tuple, since there may be very many."""

    name: str
    kind: str
    family: str
    source: str
    rank: int | None
    modules: int | None
    origin: str
    size: int  # bytes
    created: str
    concept: str


@dataclass(frozen=True)
class Coverage:
    """How many of a control's modules a denoiser took."""

    adapted: int
    total: int
    missing: tuple[str, ...] = ()  # names of the modules that it did not take

    @property
    def ratio(self) -> float:
        return self.adapted / self.total if self.total else 0.0


@dataclass(frozen=True)
class Run:
    """One recorded execution."""

    id: str
    command: str  # "transfer", "train", …
    arguments: Mapping[str, Any]
    started: str  # ISO 8601, UTC
    ended: str | None = None
    status: str = "running"  # "done", "failed", "interrupted"
    error: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)  # library -> version
    read: Mapping[str, str] = field(default_factory=dict)  # name -> sha256 of weights it used
    made: tuple[str, ...] = ()  # paths of files it wrote
    result: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Score:
    """One picture pair's raw CLIP cosines, times 100."""

    control: str
    target: str  # full name
    strength: float
    prompt: str
    seed: int
    original: float
    edited: float
    concept: str
    scorer: str  # sha256 of the scorer's weights


@dataclass(frozen=True)
class ScoreSummary:
    """A control's latest scores at one target and strength, as means over prompt-seed pairs."""

    target: str  # full name
    strength: float
    n: int  # pairs
    original: float
    edited: float
    run: str  # id of the run that measured it

    @property
    def percent(self) -> float | None:
        """Efficacy: 100 (edited / original - 1); None where the original is 0."""
        return 100 * (self.edited / self.original - 1) if self.original else None
