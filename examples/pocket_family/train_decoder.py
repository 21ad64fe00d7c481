"""Stage 2b: the autoencoder's decoder alone, on latents that no longer change, so it may run while the base trains on them.

Same loss as the second round of train_vae.py, less the KL term; the encoder and everything up to the latents is frozen.
"""

from __future__ import annotations

import random
from pathlib import Path

import torch
from diffusers import AutoencoderKL

import pictures
from recipe import Average, Run, adamw, command_line, update
from train_vae import fine_lines, reconstruction_error


def main(steps: int = 4000, batch: int = 24, lr: float = 1e-3, seed: int = 13, work: str = "work") -> None:
    torch.manual_seed(seed)
    vae = AutoencoderKL.from_pretrained(Path(work) / "vae" / "model").train()
    vae.requires_grad_(False)
    trained = torch.nn.ModuleDict({"post_quant_conv": vae.post_quant_conv, "decoder": vae.decoder}).requires_grad_(True)
    optimizer, schedule = adamw(trained.parameters(), lr, steps, weight_decay=1e-4)
    average = Average(trained, 0.999)
    run = Run("decoder", steps, seed, work, trained=trained, optimizer=optimizer, schedule=schedule, average=average)
    for _ in run:
        _, x, _, _ = pictures.batch(random, batch, styled=0.15)
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                latents = vae.encode(x).latent_dist.sample()
            loss = reconstruction_error(vae.decode(latents).sample.float() - x, fine_lines(x))
        update(optimizer, schedule, loss, trained.parameters())
        average.update(trained)
        run.log(loss=loss)
    trained.load_state_dict(average.weights)
    vae.eval().save_pretrained(run.folder / "model")
    run.facts(batch=batch, pictures=run.step * batch)


if __name__ == "__main__":
    command_line(main)
