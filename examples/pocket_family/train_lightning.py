"""lightning, by progressive adversarial distillation (Lin et al. 2024, arXiv 2402.13929).

Rounds: guidance is folded in at 32 steps (squared error), then 32 -> 8 -> 4 steps. In each, the student makes in one step what the
last round's model (the teacher) makes in several, judged by a discriminator built on the base UNet's encoder that sees both ends:
  L = softplus(-D(x_t, x^_s)),   x_s the teacher's steps from t to s, x^_s the student's one
Steps are Euler's, which for noise predictions are DDIM's: x_s = sqrt(abar_s) x0 + sqrt(1 - abar_s) eps. The first part of each
adversarial round has the discriminator know where the step began (conditional, keeps the flow), the rest not (pictures get clean).
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
from distillation import Distillation
from latents import Latents
from recipe import Average, Run, adamw, command_line, update

ROUNDS = ((32, 8), (8, 4))


def trailing(steps: int) -> torch.Tensor:
    """Timesteps of Euler with trailing spacing, and -1 for the clean end: 4 -> 999 749 499 249 -1."""
    return torch.tensor([round(1000 - i * 1000 / steps) - 1 for i in range(steps + 1)])


class Flow:
    """Deterministic steps along a model's trajectories."""

    def __init__(self, base: Distillation):
        self.base = base
        self.abars = torch.cat([base.abars, torch.ones(1)])  # index -1: the clean picture

    def step(self, unet, x, t, s, states, pooled) -> torch.Tensor:
        """From timesteps t (n,) to s (n,)."""
        abar, following = (self.abars[v].view(-1, 1, 1, 1) for v in (t, s))
        x0 = self.base.clean(unet, x, t, states, pooled)
        eps = (x - abar.sqrt() * x0) / (1 - abar).sqrt()
        return following.sqrt() * x0 + (1 - following).clamp(min=0).sqrt() * eps

    @torch.no_grad()
    def teach(self, teacher, x, schedule: torch.Tensor, start: torch.Tensor, count: int, states, pooled) -> torch.Tensor:
        """`count` of the teacher's steps from its positions `start` (n,) of `schedule`."""
        for i in range(count):
            x = self.step(teacher, x, schedule[start + i], schedule[start + i + 1], states, pooled)
        return x


class Judge(torch.nn.Module):
    """Both ends of a step, looked at by the frozen encoder, side by side for the heads; the beginning may be hidden."""

    def __init__(self, base: Distillation):
        super().__init__()
        self.features = base.features
        widths = base.teacher.config.block_out_channels
        self.heads = discriminator.Heads(tuple(2 * width for width in (*widths, widths[-1])))

    def forward(self, x, end, t, s, states, pooled, conditional: bool) -> torch.Tensor:
        there = self.features(end, s.clamp(min=0), states, pooled)
        here = self.features(x, t, states, pooled)
        return self.heads([torch.cat([a if conditional else torch.zeros_like(a), b], 1) for a, b in zip(here, there)], pooled)


def fold_guidance(flow: Flow, student, data, work, steps: int, batch: int, lr: float, guidance: float, seed: int) -> Run:
    """Round 0: one unguided step equals one guided step of the base, at 32 steps; leaves the average in `student`."""
    optimizer, schedule = adamw(student.parameters(), lr, steps)
    average = Average(student, 0.99)
    run = Run("lightning-guidance", steps, seed, work, student=student, optimizer=optimizer, schedule=schedule, average=average)
    times = trailing(32)[:-1]
    for _ in run:
        real, captions = data.batch(random, batch)
        states, pooled = flow.base.read(captions)
        t = times[torch.randint(len(times), (batch,))]
        with torch.autocast("cpu", torch.bfloat16):
            x = pocket.noised(real, torch.randn_like(real), flow.base.abars[t])
            abar = flow.base.abars[t].view(-1, 1, 1, 1)
            eps = (x - abar.sqrt() * flow.base.teachers_word(x, t, states, pooled, guidance)) / (1 - abar).sqrt()
            loss = F.mse_loss(student(x, t, states, added_cond_kwargs=pocket.added(pooled)).sample.float(), eps)
        update(optimizer, schedule, loss, student.parameters())
        average.update(student)
        run.log(loss=loss)
    student.load_state_dict(average.weights)
    return run


def adversarial_round(flow: Flow, student, data, work, many: int, few: int, steps: int, batch: int, lr: float, seed: int) -> Run:
    """`few` steps for `many`; leaves the average in `student`."""
    teacher, judge = copy.deepcopy(student).requires_grad_(False).eval(), Judge(flow.base)
    optimizer, schedule = adamw(student.parameters(), lr, steps, betas=(0.0, 0.99))
    judge_optimizer, judge_schedule = adamw(judge.heads.parameters(), 2 * lr, steps, betas=(0.0, 0.99))
    average = Average(student, 0.99)
    run = Run(f"lightning-{few}", steps, seed, work, student=student, heads=judge.heads, optimizer=optimizer, schedule=schedule,
              judge_optimizer=judge_optimizer, judge_schedule=judge_schedule, average=average)
    fine, leap = trailing(many), many // few
    for step in run:
        real, captions = data.batch(random, batch)
        states, pooled = flow.base.read(captions)
        start = leap * torch.randint(few, (batch,))
        t, s = fine[start], fine[start + leap]
        judged = {"t": t, "s": s, "states": states, "pooled": pooled, "conditional": step < steps // 2}
        with torch.autocast("cpu", torch.bfloat16):
            x = pocket.noised(real, torch.randn_like(real), flow.base.abars[t])
            true = flow.teach(teacher, x, fine, start, leap, states, pooled)
            made = flow.step(student, x, t, s, states, pooled)
            fooling = F.softplus(-judge(x, made, **judged)).mean()
        update(optimizer, schedule, fooling, student.parameters())
        average.update(student)
        judge_optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16):
            verdict = F.softplus(judge(x, made.detach(), **judged)).mean() + F.softplus(-judge(x, true, **judged)).mean()
        update(judge_optimizer, judge_schedule, verdict, judge.heads.parameters())
        run.log(fooling=fooling, verdict=verdict)
    student.load_state_dict(average.weights)
    return run


def main(steps: int = 1200, batch: int = 32, lr: float = 1e-4, guidance: float = 4.0, seed: int = 81, pictures: int = 60_000,
         work: str = "work") -> None:
    torch.manual_seed(seed)
    data, flow = Latents(work, pictures), Flow(Distillation(Path(work), guidance))
    student = copy.deepcopy(flow.base.teacher).requires_grad_(True).to(memory_format=torch.channels_last)
    with sdpa_kernel(SDPBackend.MATH):
        runs = [fold_guidance(flow, student, data, work, steps, batch, 2 * lr, guidance, seed)]
        for number, (many, few) in enumerate(ROUNDS, 1):
            runs.append(adversarial_round(flow, student, data, work, many, few, steps, batch, lr, seed + number))
    whole = Run("lightning", 0, seed, work)
    whole.step, whole.seconds = sum(run.step for run in runs), sum(run.seconds for run in runs)
    student.save_pretrained(whole.folder / "unet")
    whole.facts(batch=batch, guidance=guidance, rounds="guidance at 32, 32 to 8, 8 to 4", parameters=student.num_parameters())


if __name__ == "__main__":
    command_line(main)
