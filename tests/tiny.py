"""A family too small to draw anything, real in every part: an SDXL pipeline of random weights in diffusers layout, and targets on it.

Text comes from two CLIP encoders with byte tokenizers, pictures are 32 x 32, latents 4 x 8 x 8, each UNet has about 0.1 M parameters.
"""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from ctrlx.records import Family, ScorerSpec, Target, Weights
from ctrlx.targets.models import Models
from ctrlx.targets.quiet import quiet

SIZE = 32
UNET = {
    "sample_size": 8,
    "in_channels": 4,
    "out_channels": 4,
    "layers_per_block": 1,
    "block_out_channels": (16, 32),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    "attention_head_dim": (2, 4),
    "norm_num_groups": 8,
    "cross_attention_dim": 32,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": 6 * 8 + 16,
}
SCHEDULER = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "timestep_spacing": "leading", "steps_offset": 1}


def tokenizer(folder: Path) -> CLIPTokenizer:
    """A CLIP tokenizer that merges nothing: a token for each byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(code) for code in printable] + [chr(256 + n) for n in range(256 - len(printable))]
    vocabulary = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(vocabulary)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer.from_pretrained(folder, model_max_length=77)


def text_config() -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=514,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        projection_dim=16,
        bos_token_id=512,
        eos_token_id=513,
        pad_token_id=513,
    )


def unet(seed: int, **changes) -> UNet2DConditionModel:
    torch.manual_seed(seed)
    return UNet2DConditionModel(**{**UNET, **changes}).eval()


def pipeline(folder: Path) -> StableDiffusionXLPipeline:
    torch.manual_seed(0)
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 8),
        layers_per_block=1,
        norm_num_groups=4,
        latent_channels=4,
        sample_size=SIZE,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        scaling_factor=0.13,
    )
    return StableDiffusionXLPipeline(
        vae=vae,
        text_encoder=CLIPTextModel(text_config()).eval(),
        text_encoder_2=CLIPTextModelWithProjection(text_config()).eval(),
        tokenizer=tokenizer(folder / "one"),
        tokenizer_2=tokenizer(folder / "two"),
        unet=unet(1),
        scheduler=EulerDiscreteScheduler(**SCHEDULER),
        add_watermarker=False,
    )


@cache
def registry() -> Path:
    """A folder like registry/, with the family "tiny" in it; made once a session and removed at its end."""
    root = Path(tempfile.mkdtemp(prefix="ctrlx-tiny-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    with quiet():
        pipeline(root).save_pretrained(root / "tiny")
        unet(2).save_pretrained(root / "tiny" / "turbo" / "unet")
        unet(3, time_cond_proj_dim=16).save_pretrained(root / "tiny" / "lcm" / "unet")
    return root


def target(name: str, scheduler: str = "EulerDiscreteScheduler", weights: Weights | None = None, **recipe) -> Target:
    """A target of the family "tiny"; its UNet is the base's unless `weights` says other."""
    defaults = {"role": "distilled", "method": "random", "licence": "MIT", "size": SIZE, "steps": 4}
    return Target("tiny", name, scheduler=scheduler, weights=weights or Weights(path="tiny", subfolder="unet"), **{**defaults, **recipe})


def family(*more: Target) -> Family:
    """The family, with targets "base", "turbo", "lcm" and "dmd2", and `more`."""
    turbo, lcm = (Weights(path=f"tiny/{name}", subfolder="unet") for name in ("turbo", "lcm"))
    targets = (
        target("base", role="base", steps=5, guidance=4.0),
        target("turbo", "EulerAncestralDiscreteScheduler", turbo, scheduler_args={"timestep_spacing": "trailing"}),
        target("lcm", "LCMScheduler", lcm, guidance=8.0, only_steps=(2, 3, 4, 5, 6, 7, 8)),
        target("dmd2", "LCMScheduler", turbo, timesteps=(999, 749, 499, 249), only_steps=(4,)),
        *more,
    )
    return Family(
        "tiny",
        "Tiny",
        "StableDiffusionXLPipeline",
        Weights(path="tiny"),
        ScorerSpec("open_clip", "none"),
        "a thing",
        {one.name: one for one in targets},
    )


def models(*more: Target) -> Models:
    return Models(family(*more), registry(), device="cpu")


def reference(which: Target, home: Models) -> StableDiffusionXLPipeline:
    """diffusers' own pipeline on the same weights, with the target's scheduler."""
    from ctrlx.sampling.schedulers import make_scheduler

    parts = {name: part for name, part in home.shared.pipeline.components.items() if name not in ("unet", "scheduler")}
    made = StableDiffusionXLPipeline(
        **parts, unet=home.denoiser(which).unet, scheduler=make_scheduler(which, home.scheduler_config), add_watermarker=False
    )
    made.set_progress_bar_config(disable=True)
    return made


def variant(which: Target, **changes) -> Target:
    return replace(which, **changes)


def write_family(home: Path, *more: Target, preferred: str = "dmd2") -> Path:
    """The family as a user's own file in `home`/families, so that the command line runs on it."""
    root = registry()
    lines = ['title = "Tiny"', 'pipeline = "StableDiffusionXLPipeline"', 'prompt = "a thing"', f'preferred = ["{preferred}"]']
    lines += ["[weights]", f"path = {json.dumps(str(root / 'tiny'))}", "[scorer]", 'kind = "open_clip"', 'model = "none"']
    for one in family(*more).targets.values():
        told = {name: getattr(one, name) for name in ("role", "method", "licence", "scheduler", "steps", "guidance", "size", "form", "prediction_type")}
        lines += [f"[targets.{one.name}]", *(f"{name} = {json.dumps(value)}" for name, value in told.items())]
        lines += [f"{name} = {list(getattr(one, name))}" for name in ("timesteps", "only_steps") if getattr(one, name)]
        lines += ["scheduler_args = { " + ", ".join(f"{name} = {json.dumps(value)}" for name, value in one.scheduler_args.items()) + " }"]
        where = {name: value for name, value in vars(one.weights).items() if value and name != "path"}
        where["path"] = str(root / one.weights.path)
        lines += ["weights = { " + ", ".join(f"{name} = {json.dumps(value)}" for name, value in where.items()) + " }"]
    file = home / "families" / "tiny.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n")
    return file
