"""CLIP scores: cosine x 100 between a picture and a text, by any open_clip model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import open_clip
import torch
from PIL import Image

from ctrlx.errors import BadWeights, MissingWeights
from ctrlx.records import ScorerSpec

BATCH = 64


class ClipScorer:
    """One open_clip model with its preprocessing and tokenizer, in evaluation mode."""

    def __init__(self, spec: ScorerSpec, registry: Path, device: str = "cpu"):
        """
        Raises:
            MissingWeights: the model is neither in registry/ nor in the Hub's cache.
            BadWeights: its files cannot be read.
        """
        self.spec, self.device = spec, device
        local = (registry / spec.model).resolve()
        name = f"local-dir:{local}" if spec.pretrained is None else spec.model
        if spec.pretrained is None and not local.is_dir():
            raise MissingWeights(f"the scorer '{spec.model}' is not in {registry}; reinstall ctrlx or name another in the family's file")
        try:
            self.model, _, self.preprocess = open_clip.create_model_and_transforms(name, pretrained=spec.pretrained, device=device)
            self.tokenize = open_clip.get_tokenizer(name)
        except (OSError, RuntimeError, ValueError) as problem:
            kind = BadWeights if spec.pretrained is None else MissingWeights
            raise kind(f"the scorer '{spec.model}' cannot be loaded ({first_line(problem)}); "
                       "reinstall ctrlx, or connect once so that open_clip can fetch it") from problem
        self.model.float().eval().requires_grad_(False)
        self.sha256 = fingerprint(self.model)

    @torch.inference_mode()
    def embed_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Unit vectors, shape (n, d)."""
        parts = []
        for start in range(0, len(images), BATCH):
            pixels = torch.stack([self.preprocess(image) for image in images[start : start + BATCH]]).to(self.device)
            parts.append(self.model.encode_image(pixels, normalize=True).cpu())
        return torch.cat(parts).numpy()

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors, shape (n, d)."""
        return self.model.encode_text(self.tokenize(list(texts)).to(self.device), normalize=True).cpu().numpy()

    def scores(self, images: Sequence[Image.Image], text: str) -> np.ndarray:
        """Cosine x 100 of each picture with one text, shape (n,), -100..100."""
        return 100 * self.embed_images(images) @ self.embed_texts([text])[0]


def fingerprint(model: torch.nn.Module) -> str:
    """sha256 over names and values of all weights: states which scorer a figure came from."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def first_line(problem: BaseException) -> str:
    return (str(problem).strip().splitlines() or [type(problem).__name__])[0][:200]
