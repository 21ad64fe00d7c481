"""Which weights a picture was made of: one sha256 for a model's files."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from ctrlx.records import Family, Target, Weights
from ctrlx.targets.locate import MODEL, PIPELINE, locate

PARTS = ("text_encoder", "text_encoder_2", "vae")  # of a family's pipeline, beside the UNet
WEIGHT_FILES = ("*.safetensors", "*.bin")
CHUNK = 1 << 20  # bytes


def fingerprints(family: Family, targets: tuple[Target, ...], registry: Path) -> dict[str, str]:
    """sha256 by target's full name, and by the family's id for the text encoders and VAE that its targets share.

    A LoRA form is told by its own file; the base that it lies on is told beside it.
    """
    if any(target.form == "lora" for target in targets):
        targets = (family.base, *targets)
    shared = locate(family.weights, registry, holds=PIPELINE)
    files = [file for part in PARTS for file in _weight_files(shared / part, family.weights)]
    return {family.id: _together(files), **{target.full_name: _fingerprint(target.weights, registry) for target in targets}}


def _fingerprint(weights: Weights, registry: Path) -> str:
    place = locate(weights, registry, holds=MODEL)
    return _together([place] if place.is_file() else _weight_files(place, weights))


def _weight_files(folder: Path, weights: Weights) -> list[Path]:
    """The files that would be loaded: those of the variant where there is one, safetensors before pickles."""
    for pattern in WEIGHT_FILES:
        found = sorted(folder.glob(pattern))
        of_variant = [file for file in found if weights.variant and f".{weights.variant}." in file.name]
        if found:
            return of_variant or found
    return []


def _together(files: list[Path]) -> str:
    """The file's own sha256 where there is one, else that of all their names and hashes."""
    hashes = [sha256(file) for file in files]
    if len(hashes) == 1:
        return hashes[0]
    return hashlib.sha256("".join(f"{file.name} {sha}\n" for file, sha in zip(files, hashes)).encode()).hexdigest()


def sha256(file: Path) -> str:
    """The Hub's cache names large files by their sha256; any other file is read."""
    name = file.resolve().name
    if re.fullmatch(r"[0-9a-f]{64}", name):
        return name
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
