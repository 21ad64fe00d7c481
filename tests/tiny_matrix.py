"""The tiny family with a scorer of its own, in a user's home, so that a matrix runs end to end: a random open_clip model, and controls."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import open_clip
import torch
from safetensors.torch import save_file

from ctrlx.records import Control
from ctrlx.sampling.pictures import generate
from ctrlx.sampling.plans import alone
from ctrlx.store import Registry
from tests import tiny
from tests.controls import files

MODEL = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "head_width": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 514, "width": 16, "heads": 2, "layers": 1},
}
PREPROCESS = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "interpolation": "bicubic", "resize_mode": "shortest"}
CONCEPT = "a shiny thing"
PROBES = ("a house", "on the left")


@cache
def scorer() -> Path:
    """A random scorer in open_clip's local-dir layout, made once a session."""
    folder = tiny.registry() / "scorer"
    torch.manual_seed(5)
    model = open_clip.CLIP(MODEL["embed_dim"], MODEL["vision_cfg"], MODEL["text_cfg"])
    words = tiny.tokenizer(folder)
    words.save_pretrained(folder)
    _spread(model.eval(), words)
    config = json.loads(json.dumps(MODEL))
    config["text_cfg"]["hf_tokenizer_name"] = "tiny"
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": PREPROCESS}))
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, folder / "open_clip_model.safetensors")
    return folder


@torch.no_grad()
def _spread(model: open_clip.CLIP, words) -> None:
    """A random model sees all pictures alike: its answers are centred on the family's own, then moved a little towards CONCEPT."""
    models = tiny.models()
    drawn = generate(models, alone(models.family.base, models.scheduler_config), "a thing", list(range(8)))
    seen = model.encode_image(torch.from_numpy(drawn).permute(0, 3, 1, 2).float() / 127.5 - 1)
    ids = words([CONCEPT], padding="max_length", max_length=77, return_tensors="pt").input_ids
    towards = model.encode_text(ids, normalize=True)[0] * seen.std(0).norm()
    model.visual.attnpool.c_proj.bias += towards - seen.mean(0)


def write_family(home: Path, *more, probes: tuple[str, ...] = PROBES) -> Path:
    """The tiny family with that scorer, in `home`/families."""
    file = tiny.write_family(home, *more)
    told = f"model = {json.dumps(str(scorer()))}\nprobes = {json.dumps(list(probes))}"
    file.write_text(file.read_text().replace('model = "none"', told))
    return file


def add_control(folder: Path, name: str, seed: int, source: str = "base", size: float = 0.3, **changes) -> Control:
    """A slider of random weights in the registry."""
    file = folder / f"{name}.safetensors"
    save_file(files.diffusers_peft(files.slider(tiny.unet(1), seed, size=size)), file)
    given = {"kind": "slider", "concept": CONCEPT, "prompts": ("a cat", "a red dog"), **changes}
    with Registry.open() as registry:
        return registry.add_control(Control(name=name, family="tiny", source=source, sha256="", size=0, origin="trained", created="2025-01-31", **given), file)
