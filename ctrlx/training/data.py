"""Folders of pictures as people have them: an imagefolder with metadata.jsonl, .txt files beside the pictures, pairs by file name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from ctrlx.errors import BadInput

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}
NAMES, CAPTIONS = ("file_name", "image"), ("text", "caption", "prompt")  # keys of metadata.jsonl


@dataclass(frozen=True)
class Example:
    """A picture, and what it is told to be."""

    file: Path
    caption: str


def pictures_in(folder: str) -> list[Path]:
    """Its picture files, also those of folders within, by name. Raises BadInput."""
    place = Path(folder)
    if not place.is_dir():
        raise BadInput(f"'{folder[:200]}' is no folder; give one with pictures in it")
    found = sorted(file for file in place.rglob("*") if file.suffix.lower() in SUFFIXES and not file.name.startswith("."))
    if not found:
        raise BadInput(f"there are no pictures in '{folder[:200]}'; put {', '.join(sorted(SUFFIXES))} files there")
    return found


def captioned(folder: str) -> list[Example]:
    """Each picture with its line of metadata.jsonl, or the .txt file of its name. Raises BadInput for one that has neither."""
    files, told = pictures_in(folder), metadata(Path(folder) / "metadata.jsonl")
    if lost := told.keys() - {file.relative_to(folder).as_posix() for file in files}:
        raise BadInput(f"metadata.jsonl tells of '{min(lost)}', which is not in '{folder}'; put the picture there or take the line out")
    found = []
    for file in files:
        text = file.with_suffix(".txt")
        caption = told.get(file.relative_to(folder).as_posix(), "") or (read_text(text) if text.exists() else "")
        if not caption.strip():
            raise BadInput(f"{file} has no caption; write it in {text.name} beside it, or as its line of metadata.jsonl")
        found.append(Example(file, " ".join(caption.split())))
    return found


def metadata(file: Path) -> dict[str, str]:
    """Captions by file name, from lines such as {"file_name": "a.png", "text": "a cat"}; none where there is no file. Raises BadInput."""
    found = {}
    for number, line in enumerate(read_text(file).splitlines() if file.exists() else [], 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            name, caption = (next(row[key] for key in keys if key in row) for keys in (NAMES, CAPTIONS))
        except (ValueError, TypeError, StopIteration, RuntimeError) as problem:
            raise BadInput(f'{file}, line {number} is not like {{"file_name": "a.png", "text": "a cat"}}; mend it') from problem
        found[str(name)] = str(caption)
    return found


def paired(folders: Mapping[float, str]) -> dict[float, list[Path]]:
    """By strength, the pictures that all folders have, in the same order. Raises BadInput for one that a folder lacks."""
    named = {scale: {file.stem: file for file in pictures_in(folder)} for scale, folder in folders.items()}
    everywhere = set.union(*(set(files) for files in named.values()))
    for scale, files in named.items():
        if lacking := everywhere - files.keys():
            raise BadInput(f"'{folders[scale]}' has no picture named '{min(lacking)}' as another folder has; pairs go by file name")
    return {scale: [files[name] for name in sorted(everywhere)] for scale, files in named.items()}


def fingerprint(parts: Iterable[tuple[str, Path]]) -> str:
    """One sha256 over what each picture is told to be and the content of its file."""
    digest = hashlib.sha256()
    for told, file in parts:
        try:
            content = hashlib.sha256(file.read_bytes()).hexdigest()
        except OSError as problem:
            raise BadInput(f"{file} cannot be read ({problem.strerror}); mend it or take it out of the folder") from problem
        digest.update(f"{content} {told}\n".encode())
    return digest.hexdigest()


def open_picture(file: Path, size: int) -> Image.Image:
    """The middle square of a picture at `size` pixels, turned as its camera says. Raises BadInput where it cannot be read."""
    try:
        with Image.open(file) as picture:
            upright = ImageOps.exif_transpose(picture).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as problem:
        raise BadInput(f"{file} cannot be read as a picture; mend it or take it out of the folder") from problem
    return ImageOps.fit(upright, (size, size), Image.Resampling.LANCZOS)


def read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise BadInput(f"{file} cannot be read as UTF-8 text; save it again") from problem
