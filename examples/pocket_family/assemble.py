"""Puts a stage's weights into registry/pocket as fp16 safetensors in diffusers' layout: python assemble.py --stage base --work work"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from diffusers import AutoencoderKL, UNet2DConditionModel

import pocket
from recipe import HERE, command_line
from distillation import load_texts

REGISTRY = HERE.parent.parent / "registry" / "pocket"


def main(stage: str = "base", work: str = "work", registry: str = str(REGISTRY)) -> None:
    {"base": base, "scorer": scorer}.get(stage, distilled)(stage, Path(work), Path(registry))
    for file in Path(registry).rglob("config.json"):  # diffusers writes down the folder that it read from
        kept = {key: value for key, value in json.loads(file.read_text()).items() if key != "_name_or_path"}
        file.write_text(json.dumps(kept, indent=2) + "\n")


def base(stage: str, work: Path, registry: Path) -> None:
    """The whole pipeline: autoencoder, both text encoders with their tokenizers, the base UNet, the schedule."""
    vae = AutoencoderKL.from_pretrained(work / "decoder" / "model").half()
    unet = UNet2DConditionModel.from_pretrained(work / "base" / "unet").half()
    pocket.pipeline(vae, load_texts(work).half(), unet).save_pretrained(registry)


def distilled(stage: str, work: Path, registry: Path) -> None:
    """A UNet alone: the rest is the base's."""
    UNet2DConditionModel.from_pretrained(work / stage / "unet").half().save_pretrained(registry / stage / "unet")


def scorer(stage: str, work: Path, registry: Path) -> None:
    shutil.copytree(work / "scorer" / "model", registry / "scorer", dirs_exist_ok=True)


if __name__ == "__main__":
    command_line(main)
