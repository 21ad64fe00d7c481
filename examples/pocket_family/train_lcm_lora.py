"""lcm's LoRA form: latent consistency distillation of a LoRA on the base (Luo et al. 2023, arXiv 2311.05556).

The loss is train_lcm.py's, with one fixed guidance folded in, no guidance input, and only the LoRA trained; the target network is a
moving average of the LoRA on the same frozen base.
"""

from __future__ import annotations

import copy
import random
from pathlib import Path

import torch
from diffusers import StableDiffusionXLPipeline
from peft import LoraConfig, get_peft_model_state_dict
from torch.nn.attention import SDPBackend, sdpa_kernel

import pocket
from distillation import Distillation
from latents import Latents
from recipe import Average, Run, adamw, command_line, update
from train_lcm import SKIP, Consistency, huber

LAYERS = ["to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2", "conv1", "conv2", "conv_shortcut",
          "downsamplers.0.conv", "upsamplers.0.conv", "time_emb_proj"]  # as the published LCM-LoRA has them


def main(steps: int = 2500, batch: int = 32, lr: float = 5e-4, rank: int = 32, guidance: float = 4.0, seed: int = 62,
         pictures: int = 60_000, work: str = "work") -> None:
    torch.manual_seed(seed)
    data, base = Latents(work, pictures), Distillation(Path(work), guidance)
    rule, student = Consistency(base), copy.deepcopy(base.teacher)
    student.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=LAYERS))
    target = copy.deepcopy(student).requires_grad_(False)
    trained = torch.nn.ParameterDict({name.replace(".", "/"): p for name, p in student.named_parameters() if p.requires_grad})
    followers = {name.replace(".", "/"): p for name, p in target.named_parameters()}
    optimizer, schedule = adamw(trained.parameters(), lr, steps, weight_decay=0.0)
    average = Average(trained, 0.98)
    run = Run("lcm-lora", steps, seed, work, trained=trained, optimizer=optimizer, schedule=schedule, average=average)
    with sdpa_kernel(SDPBackend.MATH):
        for _ in run:
            real, captions = data.batch(random, batch)
            states, pooled = base.read(captions)
            t = torch.randint(1, 1000 // SKIP + 1, (batch,)) * SKIP - 1
            s = (t - SKIP).clamp(min=0)
            with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
                for name, value in average.weights.items():
                    followers[name].copy_(value)
                x = pocket.noised(real, torch.randn_like(real), base.abars[t])
                behind = rule.solver_step(x, t, s, states, pooled, torch.full((batch,), guidance))
                wanted = rule.f(target, behind, s, states, pooled)
            with torch.autocast("cpu", torch.bfloat16):
                loss = huber(rule.f(student, x, t, states, pooled), wanted)
            update(optimizer, schedule, loss, trained.parameters())
            average.update(trained)
            run.log(loss=loss)
    trained.load_state_dict(average.weights)
    layers = {name: value.half().contiguous() for name, value in get_peft_model_state_dict(student).items()}
    StableDiffusionXLPipeline.save_lora_weights(run.folder / "lora", unet_lora_layers=layers,
                                                unet_lora_adapter_metadata=student.peft_config["default"].to_dict())
    run.facts(batch=batch, rank=rank, guidance=guidance, parameters=sum(p.numel() for p in trained.parameters()))


if __name__ == "__main__":
    command_line(main)
