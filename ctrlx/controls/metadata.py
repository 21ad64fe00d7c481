"""What a weight file's free text entries say of how it was trained: kohya's ss_*, the model specification's, and diffusers' own."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

BASES = (  # (in what the metadata calls the training base, the family it means)
    (r"sdxl|sd_xl|stable-diffusion-xl|xl[-_ ]?base|pony|illustrious|noob", "sdxl"),
    (r"sd[-_ ]?v?1|stable-diffusion-v1|sd15|v1-5", "sd15"),
)
TRAINED_ON = {  # ours: theirs, the first that is there
    "base": ("ss_base_model_version", "modelspec.architecture"),
    "model": ("ss_sd_model_name",),
    "hash": ("ss_new_sd_model_hash", "ss_sd_model_hash"),
    "title": ("modelspec.title", "ss_output_name"),
    "control": ("ctrlx.source",),
}
OFTEN = 0.9  # share of the pictures that a word must caption to be called a trigger
MOST = 12  # trigger words told


def trained_on(metadata: Mapping[str, str]) -> dict[str, str]:
    """What the file says it was trained on: base, model, hash, title; what it does not say is left out."""
    found = {}
    for ours, theirs in TRAINED_ON.items():
        said = next((metadata[name] for name in theirs if metadata.get(name) not in (None, "", "None")), None)
        if said is not None:
            found[ours] = said[:200]
    return found


def family_said(metadata: Mapping[str, str]) -> str | None:
    """The family that the training base's name speaks of."""
    said = " ".join(trained_on(metadata).get(part, "") for part in ("base", "model")).lower()
    return next((family for pattern, family in BASES if re.search(pattern, said)), None)


def trigger_words(metadata: Mapping[str, str]) -> list[str]:
    """The words that call a control up: those its author states, else those that caption nearly every picture, else its folders'."""
    stated = metadata.get("modelspec.trigger_phrase") or metadata.get("ss_trigger_words") or metadata.get("trigger_words") or ""
    if words := [word.strip() for word in re.split(r"[,\n]", stated) if word.strip()]:
        return words[:MOST]
    folders = _table(metadata.get("ss_dataset_dirs"))
    pictures = sum(_count(folder.get("img_count")) for folder in folders.values() if isinstance(folder, dict))
    counted: dict[str, int] = {}
    for tags in _table(metadata.get("ss_tag_frequency")).values():
        for tag, count in tags.items() if isinstance(tags, dict) else ():
            counted[tag.strip()] = counted.get(tag.strip(), 0) + _count(count)
    wanted = OFTEN * (pictures or max(counted.values(), default=0))
    often = sorted((tag for tag, count in counted.items() if tag and count >= wanted), key=lambda tag: -counted[tag])
    return (often or [re.sub(r"^\d+_", "", folder) for folder in folders])[:MOST]


def _table(text: str | None) -> dict[str, Any]:
    try:
        found = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
