"""Small real controls for tests that need one and no model."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from ctrlx.records import Control

RECORD = {
    "kind": "slider",
    "family": "pocket",
    "source": "base",
    "created": "2025-01-31T12:00:00+00:00",
    "concept": "an old person",
    "prompts": ["a portrait of a person"],
    "rank": 4,
    "alpha": 4.0,
    "modules": 1,
    "tags": ["age"],
    "recipe": {"positive": "an old person", "negative": "a young person", "steps": 220},
}


def weights(seed: int = 0) -> bytes:
    """A safetensors file with one rank-4 LoRA module."""
    random = np.random.default_rng(seed)
    module = "down_blocks.0.attentions.0.to_q"
    return save({f"{module}.lora_{side}.weight": random.random((4, 8)).astype("float16") for side in "AB"})


def control(name: str = "my_slider", **changes) -> Control:
    """A record whose sha256 and size are still to be filled in."""
    fields = {**RECORD, "prompts": tuple(RECORD["prompts"]), "tags": tuple(RECORD["tags"]), "sha256": "", "size": 0, "origin": "trained"}
    return Control(name=name, **{**fields, **changes})


def ship_control(folder: Path, name: str, seed: int = 0, **changes) -> Path:
    """Write controls/<name>.safetensors and .toml under `folder`; the TOML file."""
    data = weights(seed)
    (folder / "controls").mkdir(parents=True, exist_ok=True)
    (folder / "controls" / f"{name}.safetensors").write_bytes(data)
    record = {**RECORD, "sha256": hashlib.sha256(data).hexdigest(), **changes}
    plain = [f"{key} = {json.dumps(value)}" for key, value in record.items() if not isinstance(value, dict)]
    tables = [f"[{key}]\n" + "\n".join(f"{k} = {json.dumps(v)}" for k, v in value.items()) for key, value in record.items() if isinstance(value, dict)]
    file = folder / "controls" / f"{name}.toml"
    file.write_text("\n".join([*plain, *tables]) + "\n")
    return file
