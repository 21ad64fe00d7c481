"""What a kind is trained on, found and fingerprinted in the user's folders before torch is imported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ctrlx.training import data
from ctrlx.training.settings import CustomSettings, ImageSliderSettings, LoraSettings, PictureSettings


@dataclass(frozen=True)
class Gathered:
    """What was found in the user's folders: pictures, a prompt for each, and one fingerprint of it all."""

    files: tuple[Path, ...]
    prompts: tuple[str, ...]
    fingerprint: str
    scales: tuple[float, ...] = ()  # of an image slider: the strength of each picture


def gather(settings: PictureSettings) -> Gathered:
    """Reads the user's folders, before anything slow. Raises BadInput."""
    scales: tuple[float, ...] = ()
    if isinstance(settings, ImageSliderSettings):
        found = [(scale, file) for scale, files in data.paired(settings.folders()).items() for file in files]
        scales, files = tuple(scale for scale, _ in found), tuple(file for _, file in found)
        prompts = (settings.prompt,) * len(files)
    elif isinstance(settings, LoraSettings):
        examples = data.captioned(settings.data)
        files, prompts = tuple(one.file for one in examples), tuple(settings.caption(one.caption) for one in examples)
    else:
        files = tuple(data.pictures_in(settings.data))
        prompts = (settings.concept_prompt if isinstance(settings, CustomSettings) else settings.instance_prompt,) * len(files)
    told = [f"{scale:g}" for scale in scales] or prompts
    return Gathered(files, prompts, data.fingerprint(zip(told, files)), scales)
