"""The scorer: a small open_clip model (ResNet and text transformer), contrastively trained on drawings with their captions.

It knows the base world, the styles and the subjects. Loss: symmetric cross-entropy over the batch (Radford et al. 2021); pictures are
roughened as for the oracle, so that small faults of a generator do not count as content.
"""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import open_clip
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

import pictures
import tokenizer
from oracle import CHOICES, NUMBERS, truth
from recipe import Run, adamw, command_line, update
from train_oracle import roughen
from world import band_of

MODEL = {
    "embed_dim": 128,
    "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 24, "head_width": 32},
    "text_cfg": {"context_length": tokenizer.LENGTH, "vocab_size": 0, "width": 96, "heads": 3, "layers": 3,
                 "hf_tokenizer_name": "pocket"},
}
PREPROCESS = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "interpolation": "bicubic", "resize_mode": "shortest"}


def new_scorer(words) -> open_clip.CLIP:
    text = {k: v for k, v in MODEL["text_cfg"].items() if k != "hf_tokenizer_name"} | {"vocab_size": len(words)}
    return open_clip.CLIP(MODEL["embed_dim"], MODEL["vision_cfg"], text)


def tokens(words, texts: list[str]) -> torch.Tensor:
    return words(texts, padding="max_length", truncation=True, max_length=tokenizer.LENGTH, return_tensors="pt").input_ids


def main(steps: int = 2000, batch: int = 96, lr: float = 1.5e-3, seed: int = 41, work: str = "work") -> None:
    torch.manual_seed(seed)
    if not (Path(work) / "tokenizer").exists():
        tokenizer.train(Path(work) / "tokenizer")
    words = tokenizer.load(Path(work) / "tokenizer")
    model = new_scorer(words)
    optimizer, schedule = adamw(model.parameters(), lr, steps, warmup=200, weight_decay=0.05)
    run = Run("scorer", steps, seed, work, model=model, optimizer=optimizer, schedule=schedule)
    for _ in run:
        _, x, captions, _ = pictures.batch(random, batch, styled=0.25, keep=random.choice((0.35, 0.6, 0.9)))
        with torch.autocast("cpu", torch.bfloat16):
            image, text, scale = model(roughen(x), tokens(words, captions))[:3]
        logits = scale.float() * image.float() @ text.float().T
        labels = torch.arange(batch)
        loss = (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2
        update(optimizer, schedule, loss, model.parameters())
        with torch.no_grad():
            model.logit_scale.clamp_(max=4.6052)
        run.log(loss=loss, scale=scale)
    model.eval()
    write(model, words, run.folder / "model")
    run.facts(batch=batch, pictures=run.step * batch, parameters=sum(p.numel() for p in model.parameters()),
              zero_shot=zero_shot(model, words))


def write(model, words, folder: Path) -> None:
    """open_clip's local-dir layout."""
    shutil.rmtree(folder, ignore_errors=True)
    words.save_pretrained(folder)
    config = json.loads(json.dumps(MODEL))
    config["text_cfg"] |= {"vocab_size": len(words)}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": PREPROCESS}, indent=1) + "\n")
    weights = {k: v.half().contiguous() if v.is_floating_point() else v for k, v in model.state_dict().items()}
    save_file(weights, folder / "open_clip_model.safetensors", metadata={"format": "pt"})


QUESTIONS = {  # attribute -> the text that asks about one of its words
    "age": ("a {} person", ("young", "old")),
    "smile": ("a {} person", ("sad", "smiling")),
    "build": ("a {} person", ("thin", "muscular")),
    "kind": ("a {}", None),
    "background": ("a {} background", None),
    "color": ("a person wearing a {} shirt", None),
    "style": ("in {} style", None),
    "subject": ("a {}", ("robot", "panda", "person")),
}


@torch.no_grad()
def zero_shot(model, words, count: int = 1500) -> dict[str, float]:
    """Share of held-out drawings whose own word scores highest among its attribute's words."""
    scenes, x, _, _ = pictures.batch(random.Random(4242), count, styled=0.2)
    images = torch.cat([model.encode_image(part, normalize=True) for part in x.split(100)])
    result = {}
    for attribute, (question, choices) in QUESTIONS.items():
        choices = choices or tuple(word for word in CHOICES[attribute] if word != "none")
        texts = model.encode_text(tokens(words, [question.format(word) for word in choices]), normalize=True)
        guesses = (images @ texts.T).argmax(1).tolist()
        right = []
        for scene, guess in zip(scenes, guesses):
            word = truth(scene)[attribute]
            if attribute in NUMBERS and word is not None:
                word = band_of(attribute, word)
            if attribute == "subject":
                word = scene.subject or ("person" if scene.kind == "person" else None)
            if attribute == "color" and scene.kind != "person":
                continue
            if word in choices:
                right.append(choices[guess] == word)
        result[attribute] = round(sum(right) / len(right), 4)
    return result


if __name__ == "__main__":
    command_line(main)
