"""Pictures as PNG files that say how they were made, and are whole or not there at all."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from ctrlx.errors import BadInput

KEY = "ctrlx"  # of the iTXt chunk that holds the recipe as JSON
PROMPT_KEY = "Description"  # one of the PNG standard's own keywords, which viewers show


def write_picture(image: Image.Image, folder: Path, name: str, recipe: Mapping[str, Any]) -> Path:
    """`image` in `folder`, with `recipe` in its metadata; a file of that name is never overwritten: the new one is numbered.

    Raises OSError where it cannot be written; then no part of it is left.
    """
    told = PngImagePlugin.PngInfo()
    told.add_itxt(PROMPT_KEY, recipe["prompt"])
    told.add_itxt(KEY, json.dumps(recipe, ensure_ascii=False))
    path = _free(folder, name)
    unfinished = path.with_name(f".{path.stem}.{os.urandom(4).hex()}.tmp")
    try:
        image.save(unfinished, "PNG", pnginfo=told)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def read_picture(path: Path) -> tuple[np.ndarray, dict[str, Any]]:
    """The pixels (height, width, 3) of uint8 and the recipe of a picture that ctrlx made.

    Raises BadInput for anything else.
    """
    try:
        with Image.open(path) as image:
            image.load()
            text, pixels = dict(getattr(image, "text", {})), np.asarray(image.convert("RGB"))
    except FileNotFoundError:
        raise BadInput(f"there is no picture {path}; give the path of a PNG that ctrlx made") from None
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError, Image.DecompressionBombError) as problem:
        raise BadInput(f"{path} cannot be read as a picture ({' '.join(str(problem).split())[:120]}); give a PNG that ctrlx made") from problem
    if KEY not in text:
        raise BadInput(f"{path} does not say how it was made; give a PNG that `ctrlx generate` wrote and no other program saved again")
    try:
        recipe = json.loads(text[KEY])
    except ValueError as problem:
        raise BadInput(f"{path} says how it was made in a way that cannot be read ({problem}); its metadata has been altered") from problem
    return pixels, recipe


def file_name(prompt: str, seed: int) -> str:
    """'A red house!', 3 -> 'a-red-house-3': letters and digits only, so that no prompt becomes a path."""
    words = re.sub(r"[^a-z0-9]+", "-", prompt.lower()).strip("-")[:48].strip("-")
    return f"{words or 'picture'}-{seed}"


def largest_difference(pixels: np.ndarray, image: Image.Image) -> int:
    """Between pixels (height, width, 3) of uint8 and a picture, in steps of 1/255; 255 where the sizes differ."""
    others = np.asarray(image.convert("RGB"))
    return int(abs(pixels.astype(int) - others).max()) if pixels.shape == others.shape else 255


def _free(folder: Path, name: str) -> Path:
    path, number = folder / f"{name}.png", 2
    while path.exists():
        path, number = folder / f"{name}_{number}.png", number + 1
    return path
