"""The base model's data: drawn pictures put through the autoencoder once, kept with their scenes."""

from __future__ import annotations

from pathlib import Path
from random import Random

import torch
from diffusers import AutoencoderKL
from tqdm import tqdm

import pictures
from captions import caption
from drawing import draw
from world import sample_scene


class Latents:
    """`count` pictures of the base world as scaled latents (count, 6, 16, 16), fp16; captions are composed anew at each draw."""

    def __init__(self, work: str | Path, count: int, seed: int = 100):
        rng = Random(seed)
        self.scenes = [sample_scene(rng) for _ in range(count)]
        file = Path(work) / f"latents-{count}-{seed}.pt"
        if not file.exists():
            torch.save(self.encode(Path(work)), file)
        self.latents = torch.load(file, weights_only=True)

    @torch.no_grad()
    def encode(self, work: Path, part: int = 100) -> torch.Tensor:
        vae = AutoencoderKL.from_pretrained(work / "vae" / "model")
        done = []
        for start in tqdm(range(0, len(self.scenes), part), desc="latents", mininterval=5):
            x = pictures.to_tensor([draw(scene) for scene in self.scenes[start : start + part]])
            done.append((vae.encode(x).latent_dist.mean * vae.config.scaling_factor).half())
        return torch.cat(done)

    def batch(self, rng: Random, count: int) -> tuple[torch.Tensor, list[str]]:
        chosen = [rng.randrange(len(self.scenes)) for _ in range(count)]
        return self.latents[chosen].float(), [caption(self.scenes[i], rng, rng.choice((0.3, 0.6, 0.85)))[0] for i in chosen]
