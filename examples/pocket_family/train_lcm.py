"""lcm, by latent consistency distillation with a guidance embedding (Luo et al. 2023, arXiv 2310.04378).

The student's UNet takes the guidance scale as an input (`time_cond_proj_dim`). With f(x, t) = c_skip(t) x + c_out(t) x0(x, t):
  L = huber( f_student(x_t, w, t), f_target(x_s, w, s) ),   x_s = one DDIM step of the guided base from t to s = t - 20
f_target is an exponential moving average of the student; w is drawn from 2..8 for each picture; t from 50 even timesteps.
"""

from __future__ import annotations

import copy
import random
from pathlib import Path

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

import pocket
from distillation import Distillation
from latents import Latents
from recipe import Average, Run, adamw, command_line, update

SKIP = 20  # timesteps between neighbours of the solver's 50
GUIDANCE = (2.0, 8.0)
EMBEDDING = 64
SIGMA_DATA, TIMESTEP_SCALING = 0.5, 10.0  # as LCMScheduler has them


def student_of(teacher):
    """The teacher with an input for guidance, which does nothing at first."""
    student = pocket.new_unet(time_cond_proj_dim=EMBEDDING)
    left = student.load_state_dict(teacher.state_dict(), strict=False)
    assert left.missing_keys == ["time_embedding.cond_proj.weight"] and not left.unexpected_keys
    torch.nn.init.zeros_(student.time_embedding.cond_proj.weight)
    return student


def embedding(w: torch.Tensor) -> torch.Tensor:
    """(n,) guidance scales to (n, EMBEDDING): sines and cosines of 1000 (w - 1), as SDXL's pipeline has them."""
    half = EMBEDDING // 2
    frequencies = torch.exp(torch.arange(half) * -(torch.log(torch.tensor(10000.0)) / (half - 1)))
    angles = 1000 * (w - 1).view(-1, 1) * frequencies
    return torch.cat([angles.sin(), angles.cos()], 1)


def boundary(t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """c_skip and c_out: at t = 0 the function gives back what it was given."""
    scaled = (TIMESTEP_SCALING * t.float()).view(-1, 1, 1, 1)
    root = scaled**2 + SIGMA_DATA**2
    return SIGMA_DATA**2 / root, scaled / root.sqrt()


def huber(a: torch.Tensor, b: torch.Tensor, c: float = 0.001) -> torch.Tensor:
    """sqrt((a - b)^2 + c^2) - c, averaged."""
    return (((a - b).square() + c * c).sqrt() - c).mean()


class Consistency:
    """The consistency function of a UNet and one step of the solver."""

    def __init__(self, base: Distillation):
        self.base = base

    def f(self, unet, x, t, states, pooled, w=None) -> torch.Tensor:
        """`w`: guidance scales (n,) for a UNet that takes them as an input."""
        abar = self.base.abars[t].view(-1, 1, 1, 1)
        told = {} if w is None else {"timestep_cond": embedding(w)}
        eps = unet(x, t, states, added_cond_kwargs=pocket.added(pooled), **told).sample.float()
        skip, out = boundary(t)
        return skip * x + out * (x - (1 - abar).sqrt() * eps) / abar.sqrt()

    @torch.no_grad()
    def solver_step(self, x, t, s, states, pooled, w) -> torch.Tensor:
        """DDIM from t to s along the base guided at w."""
        x0 = self.base.teachers_word(x, t, states, pooled, w.view(-1, 1, 1, 1))
        abar, following = (self.base.abars[v].view(-1, 1, 1, 1) for v in (t, s))
        eps = (x - abar.sqrt() * x0) / (1 - abar).sqrt()
        return following.sqrt() * x0 + (1 - following).sqrt() * eps


def main(steps: int = 3000, batch: int = 32, lr: float = 2e-4, seed: int = 61, pictures: int = 60_000, work: str = "work") -> None:
    torch.manual_seed(seed)
    data, base = Latents(work, pictures), Distillation(Path(work), 1.0)
    rule = Consistency(base)
    student = student_of(base.teacher).to(memory_format=torch.channels_last)
    target = copy.deepcopy(student).requires_grad_(False)
    optimizer, schedule = adamw(student.parameters(), lr, steps)
    average = Average(student, 0.98)
    run = Run("lcm", steps, seed, work, student=student, optimizer=optimizer, schedule=schedule, average=average)
    target.load_state_dict(average.weights)
    with sdpa_kernel(SDPBackend.MATH):
        for _ in run:
            real, captions = data.batch(random, batch)
            states, pooled = base.read(captions)
            t = torch.randint(1, 1000 // SKIP + 1, (batch,)) * SKIP - 1  # 19, 39, … 999
            s = (t - SKIP).clamp(min=0)
            w = torch.empty(batch).uniform_(*GUIDANCE)
            with torch.autocast("cpu", torch.bfloat16):
                x = pocket.noised(real, torch.randn_like(real), base.abars[t])
                behind = rule.solver_step(x, t, s, states, pooled, w)
                with torch.no_grad():
                    wanted = rule.f(target, behind, s, states, pooled, w)
                loss = huber(rule.f(student, x, t, states, pooled, w), wanted)
            update(optimizer, schedule, loss, student.parameters())
            average.update(student)
            target.load_state_dict(average.weights)
            run.log(loss=loss)
    student.load_state_dict(average.weights)
    student.save_pretrained(run.folder / "unet")
    run.facts(batch=batch, guidance=list(GUIDANCE), parameters=student.num_parameters())


if __name__ == "__main__":
    command_line(main)
