"""Embeddings as the store keeps them: float32, little-endian."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ctrlx.scoring.clip import BATCH, ClipScorer


def to_bytes(vectors: np.ndarray) -> list[bytes]:
    """Each row of (n, d)."""
    return [vector.astype("<f4").tobytes() for vector in vectors]


def stacked(rows: Iterable[bytes]) -> np.ndarray:
    """(n, d) of float64, so that sums lose nothing more."""
    return np.stack([np.frombuffer(row, "<f4") for row in rows]).astype(np.float64)


def embed_files(scorer: ClipScorer, files: Sequence[tuple[str, Path]]) -> Iterator[dict[str, bytes]]:
    """Embeddings by name, of (name, picture file), some at a time."""
    for start in range(0, len(files), BATCH):
        part = files[start : start + BATCH]
        images = [Image.open(path).convert("RGB") for _, path in part]
        yield dict(zip([name for name, _ in part], to_bytes(scorer.embed_images(images)), strict=True))


def stack(vectors: Iterable[np.ndarray]) -> np.ndarray:
    """Vectors (d,) as (n, d) of float64."""
    return np.stack(list(vectors)).astype(np.float64)
