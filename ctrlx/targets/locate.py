"""Where a model's weights lie on this machine: in registry/, at a path of the user's, or in the Hub's cache. Nothing is downloaded."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from ctrlx.errors import BadCatalogue, MissingWeights
from ctrlx.records import Weights

PIPELINE = "model_index.json"  # marks a folder that holds a whole pipeline
MODEL = "config.json"  # marks a folder that holds one model


def locate(weights: Weights, registry: Path, holds: str = MODEL) -> Path:
    """The file that `weights` names, or else the folder, which must have the file `holds` in it.

    `registry` is the folder that a relative `weights.path` starts from.
    Raises MissingWeights, saying which repository and file and how to get them.
    """
    if weights.path is not None:
        return _in_folder(weights, registry, holds)
    if weights.repo is not None:
        return _in_hub_cache(weights, holds)
    raise BadCatalogue("weights need a 'path' or a 'repo'; give one of them in the family's file")


def _in_folder(weights: Weights, registry: Path, holds: str) -> Path:
    place = (registry / Path(weights.path).expanduser() / (weights.subfolder or "") / (weights.file or "")).resolve()
    if place.is_file() or (place / holds).is_file():
        return place
    wanted = f"{weights.label} has no {holds}" if place.is_dir() else f"{weights.label} is not there"
    raise MissingWeights(f"{wanted} (looked for {place}); install ctrlx again, or correct 'path' in the family's file")


def _in_hub_cache(weights: Weights, holds: str) -> Path:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    name = str(PurePosixPath(weights.subfolder or "") / (weights.file or holds))
    try:
        found = try_to_load_from_cache(weights.repo, name, revision=weights.revision)
    except HFValidationError:
        raise BadCatalogue(f"'{weights.repo}' is no name of a Hub repository; it must look like 'owner/name'") from None
    if not isinstance(found, str):
        raise MissingWeights(
            f"{weights.label} is not on this machine; get it with `{download_command(weights, holds)}`, "
            f"or give the path of a local copy in a family file of your own: weights = {{ {_local(weights)} }}"
        )
    return Path(found) if weights.file else Path(found).parent


def _local(weights: Weights) -> str:
    """How a family file names a copy of these weights in a folder of the user's."""
    parts = {"path": f"/…/{weights.repo.rpartition('/')[2]}", "subfolder": weights.subfolder, "file": weights.file, "variant": weights.variant}
    return ", ".join(f'{key} = "{value}"' for key, value in parts.items() if value)


def download_command(weights: Weights, holds: str = MODEL) -> str:
    """The shell command that fetches `weights` and no more than is needed of its repository."""
    command = ["hf", "download", weights.repo]
    if weights.revision:
        command += ["--revision", weights.revision]
    if weights.file:
        return " ".join([*command, str(PurePosixPath(weights.subfolder or "") / weights.file)])
    inside = f"{weights.subfolder}/" if weights.subfolder else ""
    variant = f".{weights.variant}" if weights.variant else ""
    wanted = [f"{inside}*.json", f"{inside}*{variant}.safetensors"]
    if holds == PIPELINE:
        wanted.insert(1, f"{inside}*.txt")
    return " ".join([*command, "--include", *(f"'{pattern}'" for pattern in wanted)])
