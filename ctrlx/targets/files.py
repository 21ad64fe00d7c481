"""Weight files read into tensors, and whatever can be wrong with one said in a sentence."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from ctrlx.errors import BadWeights

PICKLES = {".pt", ".pth", ".bin", ".ckpt"}


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Turns what libraries raise over a broken file into BadWeights: which file, what it should have been, what was found."""
    try:
        yield
    except (OSError, SafetensorError, ValueError, RuntimeError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
        found = " ".join(str(error).split())[:160] or type(error).__name__
        raise BadWeights(f"{path} cannot be read as {what}; it may be truncated or corrupt, so fetch it again ({found})") from error


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Every tensor of a .safetensors file, or of a pickled state dict, by name, on the CPU.

    Pickles are opened with weights_only=True, so that one that holds code is refused.
    Raises BadWeights.
    """
    if path.suffix not in PICKLES:
        with reading(path, "safetensors"):
            return load_file(path)
    with reading(path, "a pickle of tensors only"):
        found = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(found, dict) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise BadWeights(f"{path} holds something other than named tensors; ctrlx reads state dicts only")
    return found


def read_metadata(path: Path) -> dict[str, str]:
    """The header's free text entries of a .safetensors file; none for a pickle."""
    if path.suffix in PICKLES:
        return {}
    with reading(path, "safetensors"), safe_open(path, framework="pt") as file:
        return file.metadata() or {}


def read_json(path: Path) -> dict:
    """A JSON file's object. Raises BadWeights."""
    with reading(path, "JSON"):
        return json.loads(path.read_text(encoding="utf-8"))
