"""Stage 3: turbo, by adversarial diffusion distillation (ADD; Sauer et al. 2023, arXiv 2311.17042).

The student starts as the base. It gets a drawing's latents noised to one of four timesteps and predicts them clean at once: x^.
  L = -mean D(x^_s) + lambda * c(t) |x^ - x_teacher(x^_t; guided)|^2
D: hinge discriminator on the frozen base encoder's features of renoised latents, judged against drawings. The second term is score
distillation: x^ is noised to a random t, the frozen base denoises it once with guidance, and the student moves towards that.
c(t) = sqrt(abar_t): the teacher's word counts less where it sees little.
"""

from __future__ import annotations

import copy
import random
from pathlib import Path

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

import discriminator
import pocket
from distillation import TIMESTEPS, Distillation
from latents import Latents
from recipe import Average, Run, adamw, command_line, update


def main(steps: int = 2500, batch: int = 32, lr: float = 1e-4, guidance: float = 4.0, distil: float = 1.0, seed: int = 51,
         pictures: int = 60_000, work: str = "work") -> None:
    torch.manual_seed(seed)
    data, add = Latents(work, pictures), Distillation(Path(work), guidance)
    student = copy.deepcopy(add.teacher).requires_grad_(True).train().to(memory_format=torch.channels_last)
    heads = discriminator.heads_for(student)
    optimizer, schedule = adamw(student.parameters(), lr, steps, betas=(0.0, 0.99))
    heads_optimizer, heads_schedule = adamw(heads.parameters(), 4 * lr, steps, betas=(0.0, 0.99))
    average = Average(student, 0.995)
    run = Run("turbo", steps, seed, work, student=student, heads=heads, optimizer=optimizer, schedule=schedule,
              heads_optimizer=heads_optimizer, heads_schedule=heads_schedule, average=average)
    with sdpa_kernel(SDPBackend.MATH):
        for _ in run:
            real, captions = data.batch(random, batch)
            states, pooled = add.read(captions)
            s = TIMESTEPS[torch.randint(0, 4, (batch,))]
            with torch.autocast("cpu", torch.bfloat16):
                made = add.clean(student, pocket.noised(real, torch.randn_like(real), add.abars[s]), s, states, pooled)
                t = torch.randint(20, 980, (batch,))
                noisy = pocket.noised(made.detach(), torch.randn_like(made), add.abars[t])
                word = add.teachers_word(noisy, t, states, pooled)
                score = (add.abars[t].sqrt() * (made - word).square().mean((1, 2, 3))).mean()
                where = torch.randint(20, 800, (batch,))
                adversarial = -add.judged(heads, made, where, states, pooled).mean()
            update(optimizer, schedule, adversarial + distil * score, student.parameters())
            average.update(student)
            with torch.autocast("cpu", torch.bfloat16):
                heads_optimizer.zero_grad(set_to_none=True)
                twice = [torch.cat([v, v]) for v in (where, states, pooled)]
                verdict = add.judged(heads, torch.cat([real, made.detach()]), *twice)
                loss = discriminator.hinge(*verdict.chunk(2))
            update(heads_optimizer, heads_schedule, loss, heads.parameters())
            run.log(adversarial=adversarial, score=score, discriminator=loss)
    student.load_state_dict(average.weights)
    student.save_pretrained(run.folder / "unet")
    run.facts(batch=batch, guidance=guidance, parameters=student.num_parameters())


if __name__ == "__main__":
    command_line(main)
