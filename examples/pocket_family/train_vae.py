"""Stage 1: AutoencoderKL, 64 pixels to 16 x 16 latents, in two rounds.

Loss: |x - y| + |grad x - grad y| + (x - y)^2, and a light KL term. Differences of neighbouring pixels keep edges sharp without a
discriminator. The second round counts errors more where the drawing has fine lines, the fainter the more, so that wrinkles survive. Styles and subjects are among the pictures, as SDXL's autoencoder too has seen every style.
"""

from __future__ import annotations

import random

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

import pictures
from recipe import Average, Run, adamw, command_line, update

CONFIG = dict(
    in_channels=3, out_channels=3, latent_channels=6, sample_size=64, block_out_channels=(16, 32, 64), layers_per_block=1,
    down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3, norm_num_groups=8,
    mid_block_add_attention=False, force_upcast=False,
)
KL_WEIGHT = 3e-4


def loss_of(vae: AutoencoderKL, x: torch.Tensor, weights: torch.Tensor | float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Reconstruction with KL, and the reconstruction part alone."""
    posterior = vae.encode(x).latent_dist
    y = vae.decode(posterior.sample()).sample.float()
    reconstruction = reconstruction_error(y - x, weights)
    kl = 0.5 * (posterior.mean.float().square() + posterior.var.float() - 1 - posterior.logvar.float()).mean()
    return reconstruction + KL_WEIGHT * kl, reconstruction.detach()


def reconstruction_error(error: torch.Tensor, weights: torch.Tensor | float) -> torch.Tensor:
    """|e| + e^2, weighted, and |grad e|, averaged over an error (n, 3, h, w)."""
    across, down = error.diff(dim=-1), error.diff(dim=-2)
    return (weights * (error.abs() + error.square())).mean() + across.abs().mean() + down.abs().mean()


def fine_lines(x: torch.Tensor) -> torch.Tensor:
    """Weights (n, 1, h, w), 1 + 4 c / (c^2 + 0.08^2), c how far a pixel stands out: a faint line costs as much to lose as a strong one."""
    around = F.avg_pool2d(F.pad(x, (2, 2, 2, 2), mode="replicate"), 5, 1)
    contrast = (x - around).abs().amax(1, keepdim=True)
    return 1 + 4 * contrast / (contrast.square() + 0.08**2)


def main(steps: int = 4500, refine: int = 3000, batch: int = 24, lr: float = 2e-3, seed: int = 11, work: str = "work") -> None:
    torch.manual_seed(seed)
    vae = AutoencoderKL(**CONFIG)
    first = train(vae, "vae", steps, batch, lr, seed, work, lambda x: 1.0)
    second = train(vae, "vae-refined", refine, batch, lr / 2, seed + 1, work, fine_lines)
    finish(vae.eval())
    vae.save_pretrained(first.folder / "model")
    first.seconds += second.seconds
    first.facts(refined=second.step, batch=batch, pictures=(first.step + second.step) * batch, parameters=vae.num_parameters())


def train(vae, name: str, steps: int, batch: int, lr: float, seed: int, work: str, weigh) -> Run:
    """One round; leaves the moving average of the weights in `vae`."""
    optimizer, schedule = adamw(vae.parameters(), lr, steps, weight_decay=1e-4)
    average = Average(vae, 0.998)
    run = Run(name, steps, seed, work, vae=vae, optimizer=optimizer, schedule=schedule, average=average)
    for _ in run:
        _, x, _, _ = pictures.batch(random, batch, styled=0.15)
        with torch.autocast("cpu", torch.bfloat16):
            loss, reconstruction = loss_of(vae, x, weigh(x))
        update(optimizer, schedule, loss, vae.parameters())
        average.update(vae)
        run.log(loss=loss, reconstruction=reconstruction)
    vae.load_state_dict(average.weights)
    return run


@torch.no_grad()
def finish(vae: AutoencoderKL, count: int = 512) -> None:
    """Gives each latent channel mean 0 and deviation 1, by folding both into the 1 x 1 convolutions on either side of the latents."""
    _, x, _, _ = pictures.batch(random.Random(0), count)
    latents = torch.cat([vae.encode(part).latent_dist.mean for part in x.split(64)])
    channels = latents.shape[1]
    mean, deviation = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    into, out = vae.quant_conv, vae.post_quant_conv
    out.bias += out.weight.flatten(1) @ mean
    out.weight *= deviation.view(1, -1, 1, 1)
    into.bias[:channels] -= mean
    into.bias[:channels] /= deviation
    into.weight[:channels] /= deviation.view(-1, 1, 1, 1)
    into.bias[channels:] -= 2 * deviation.log()
    vae.register_to_config(scaling_factor=1.0)


if __name__ == "__main__":
    command_line(main)
