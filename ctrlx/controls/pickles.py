"""Pickled weight files, opened as tensors only: one that holds code is refused before any of it runs."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import Any

from ctrlx.errors import BadWeights


def read_pickle(path: Path) -> dict[str, Any]:
    """The named tensors of a pickle, those of nested tables under dotted names: {"unet": {"a": t}} gives {"unet.a": t}.

    What is a text or a number is left out: a file's step count and names are no weights.
    Raises BadWeights: code in it, a compressed or escaping archive, no named tensors.
    """
    import torch

    if zipfile.is_zipfile(path):
        _refuse_odd_archive(path)
    try:
        with warnings.catch_warnings(), path.open("rb") as file:  # an open file, since torch goes by the suffix of a path
            warnings.simplefilter("ignore")
            found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as wrong:  # noqa: BLE001 - the unpickler raises whatever a broken file leads it to
        raise _refused(path, wrong) from None
    if not isinstance(found, dict):
        raise BadWeights(f"{path} holds a {type(found).__name__} and no table of named tensors; save it as a LoRA in safetensors")
    tensors: dict[str, Any] = {}
    _flatten(found, "", tensors)
    if not tensors:
        raise BadWeights(f"{path} holds no weights; fetch it again")
    return tensors


def _flatten(table: dict, prefix: str, into: dict[str, Any]) -> None:
    import torch

    for name, value in table.items():
        if isinstance(value, torch.Tensor):
            into[f"{prefix}{name}"] = value.detach()
        elif isinstance(value, dict):
            _flatten(value, f"{prefix}{name}.", into)
        elif isinstance(value, (list, tuple)):
            _flatten(dict(enumerate(value)), f"{prefix}{name}.", into)


def _refuse_odd_archive(path: Path) -> None:
    """torch writes its archives uncompressed, and with names that lead nowhere else."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as wrong:
        raise _refused(path, wrong) from None
    for name in names:
        if name.filename.startswith(("/", "\\")) or ".." in name.filename.replace("\\", "/").split("/"):
            raise BadWeights(f"{path} is an archive with the name '{name.filename[:80]}', which leads out of it; do not trust where it came from")
        if name.compress_type != zipfile.ZIP_STORED:
            raise BadWeights(f"{path} is a compressed archive and no weight file; unpack it and give the weight file in it")
    if not any(name.filename.endswith("data.pkl") for name in names):
        raise BadWeights(f"{path} is an archive and no weight file; unpack it and give the weight file in it")


def _refused(path: Path, wrong: Exception) -> BadWeights:
    text = " ".join(str(wrong).split())
    if "Unsupported global" in text or "Unsupported class" in text or "Unsupported operand" in text:
        called = text.partition("GLOBAL ")[2].split(" ")[0]
        return BadWeights(
            f"{path} is a pickle that wants to run code{f' ({called[:80]})' if called else ''} and was not opened: "
            "it is not a pickle of tensors only; ask its author for safetensors"
        )
    return BadWeights(f"{path} cannot be read as a pickle of tensors only; it may be truncated or corrupt, so fetch it again ({text[:120]})")
