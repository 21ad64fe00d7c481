"""dmd2, by improved distribution matching distillation (Yin et al. 2024, arXiv 2405.14867).

Two models are trained: the generator G, which draws at timesteps 999 749 499 249, and the fake score mu, which learns what G draws, on
a faster time scale (several steps for one of G's). For x = G(x_t) noised again to t':
  gradient of L_G at x  =  (mu(x_t') - base(x_t', guided)) / mean |x - base|     (distribution matching; no regression loss)
                           + lambda * d/dx softplus(-C(mu's features of x_t'))     (GAN, against real drawings)
G's inputs at 749, 499 and 249 are its own pictures of the step before, noised anew: backward simulation, as at inference.
"""

from __future__ import annotations

import copy
import random
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

import discriminator
import pocket
from distillation import TIMESTEPS, Distillation
from latents import Latents
from recipe import Average, Run, adamw, command_line, update

FAKE_STEPS = 3  # of the fake score, for each of the generator


class Matching:
    """Generator, fake score and classifier, and their losses."""

    def __init__(self, base: Distillation):
        self.base = base
        self.generator = copy.deepcopy(base.teacher).requires_grad_(True)
        self.fake = copy.deepcopy(base.teacher).requires_grad_(True)
        self.features = discriminator.Features(self.fake)
        self.fake.requires_grad_(True)
        self.classifier = discriminator.heads_for(self.fake)

    def draw(self, shape, states, pooled, number: int) -> torch.Tensor:
        """The generator's x0 after `number` earlier steps of its own; only the last has a gradient."""
        x = torch.randn(shape)
        with torch.no_grad():
            for t, following in zip(TIMESTEPS[:number], TIMESTEPS[1:]):
                x0 = self.base.clean(self.generator, x, t.expand(shape[0]), states, pooled)
                x = pocket.noised(x0, torch.randn(shape), self.base.abars[following].expand(shape[0]))
        return self.base.clean(self.generator, x, TIMESTEPS[number].expand(shape[0]), states, pooled)

    def generator_loss(self, x0, states, pooled) -> tuple[torch.Tensor, torch.Tensor]:
        """Distribution matching and GAN parts."""
        t = torch.randint(20, 980, (len(x0),))
        noisy = pocket.noised(x0, torch.randn_like(x0), self.base.abars[t])
        with torch.no_grad():
            real = self.base.teachers_word(noisy.detach(), t, states, pooled)
            fake = self.base.clean(self.fake, noisy.detach(), t, states, pooled)
            size = (x0.detach() - real).abs().mean((1, 2, 3), keepdim=True).clamp(min=1e-3)
            gradient = (fake - real) / size
        matching = 0.5 * F.mse_loss(x0, (x0 - gradient).detach())
        verdict = self.classifier(self.features(noisy, t, states, pooled), pooled)
        return matching, F.softplus(-verdict).mean()

    def fake_loss(self, x0, real, states, pooled) -> tuple[torch.Tensor, torch.Tensor]:
        """The fake score's denoising loss on the generator's pictures, and the classifier's on both."""
        t = torch.randint(0, 1000, (len(x0),))
        noise = torch.randn_like(x0)
        noisy = pocket.noised(x0, noise, self.base.abars[t])
        eps = self.fake(noisy, t, states, added_cond_kwargs=pocket.added(pooled)).sample.float()
        both = torch.cat([noisy, pocket.noised(real, torch.randn_like(real), self.base.abars[t])])
        twice = [torch.cat([v, v]) for v in (t, states, pooled)]
        told, true = self.classifier(self.features(both, *twice), twice[2]).chunk(2)
        return (eps - noise).square().mean(), (F.softplus(told) + F.softplus(-true)).mean()


def main(steps: int = 1200, batch: int = 32, lr: float = 5e-5, guidance: float = 4.0, gan: float = 0.01, seed: int = 71,
         pictures: int = 60_000, work: str = "work") -> None:
    torch.manual_seed(seed)
    data, base = Latents(work, pictures), Distillation(Path(work), guidance)
    both = Matching(base)
    judges = torch.nn.ModuleDict({"fake": both.fake, "classifier": both.classifier})
    optimizer, schedule = adamw(both.generator.parameters(), lr, steps, betas=(0.0, 0.99))
    judges_optimizer, judges_schedule = adamw(judges.parameters(), 2 * lr, steps * FAKE_STEPS, betas=(0.0, 0.99))
    average = Average(both.generator, 0.99)
    run = Run("dmd2", steps, seed, work, generator=both.generator, judges=judges, optimizer=optimizer, schedule=schedule,
              judges_optimizer=judges_optimizer, judges_schedule=judges_schedule, average=average)
    with sdpa_kernel(SDPBackend.MATH):
        for _ in run:
            for _ in range(FAKE_STEPS):
                real, captions = data.batch(random, batch)
                states, pooled = base.read(captions)
                with torch.autocast("cpu", torch.bfloat16):
                    with torch.no_grad():
                        drawn = both.draw(real.shape, states, pooled, random.randrange(4))
                    score, verdict = both.fake_loss(drawn, real, states, pooled)
                update(judges_optimizer, judges_schedule, score + gan * verdict, judges.parameters())
            with torch.autocast("cpu", torch.bfloat16):
                matching, adversarial = both.generator_loss(both.draw(real.shape, states, pooled, random.randrange(4)), states, pooled)
            update(optimizer, schedule, matching + gan * adversarial, both.generator.parameters())
            judges_optimizer.zero_grad(set_to_none=True)
            average.update(both.generator)
            run.log(matching=matching, adversarial=adversarial, fake=score, classifier=verdict)
    both.generator.load_state_dict(average.weights)
    both.generator.save_pretrained(run.folder / "unet")
    run.facts(batch=batch, guidance=guidance, gan=gan, fake_steps=FAKE_STEPS, parameters=both.generator.num_parameters())


if __name__ == "__main__":
    command_line(main)
