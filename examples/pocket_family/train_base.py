"""Stage 2: both text encoders and the SDXL-shaped UNet, trained together.

Loss: min-SNR-5 weighted error of the predicted noise (Hang et al. 2023), 1000 steps of SDXL's schedule; one text in ten is dropped
for classifier-free guidance. What is kept is the moving average of the weights.
"""

from __future__ import annotations

import random
from pathlib import Path

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

import pocket
import tokenizer
from latents import Latents
from recipe import Average, Run, adamw, command_line, update


def loss_of(unet, texts, latents, captions, abars) -> torch.Tensor:
    t = torch.randint(0, 1000, (len(latents),))
    noise = torch.randn_like(latents)
    states, pooled = pocket.drop_text(*texts(captions), chance=0.1)
    predicted = unet(pocket.noised(latents, noise, abars[t]), t, states, added_cond_kwargs=pocket.added(pooled)).sample
    snr = abars[t] / (1 - abars[t])
    weight = snr.clamp(max=5) / snr
    return (weight * (predicted.float() - noise).square().mean((1, 2, 3))).mean()


def main(steps: int = 9000, batch: int = 32, lr: float = 6e-4, pictures: int = 60_000, seed: int = 31, work: str = "work") -> None:
    torch.manual_seed(seed)
    words = Path(work) / "tokenizer"
    if not words.exists():
        tokenizer.train(words)
    data = Latents(work, pictures)
    unet, texts = pocket.new_unet().to(memory_format=torch.channels_last), pocket.TextEncoders(words)
    both = torch.nn.ModuleDict({"unet": unet, "texts": texts})
    optimizer, schedule = adamw(both.parameters(), lr, steps, warmup=200)
    average = Average(both, 0.999)
    run = Run("base", steps, seed, work, both=both, optimizer=optimizer, schedule=schedule, average=average)
    abars = pocket.alphas_cumprod()
    with sdpa_kernel(SDPBackend.MATH):  # the quickest backward at these sizes on a CPU
        for _ in run:
            latents, captions = data.batch(random, batch)
            with torch.autocast("cpu", torch.bfloat16):
                loss = loss_of(unet, texts, latents.to(memory_format=torch.channels_last), captions, abars)
            update(optimizer, schedule, loss, both.parameters())
            average.update(both)
            run.log(loss=loss)
    both.load_state_dict(average.weights)
    unet.save_pretrained(run.folder / "unet")
    texts.first.save_pretrained(run.folder / "text_encoder")
    texts.second.save_pretrained(run.folder / "text_encoder_2")
    run.facts(batch=batch, pictures=pictures, parameters=unet.num_parameters())


if __name__ == "__main__":
    command_line(main)
