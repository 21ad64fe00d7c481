"""The oracle: a small network, trained on drawings only, that reads a scene back from its picture. It judges the models."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from captions import STYLE_WORDS
from world import BANDS, COLORS, HAIR, HAIR_STYLES, KINDS, SKIN, SUBJECTS, Scene, nearest_band

CHOICES = {
    "kind": KINDS,
    "background": tuple(COLORS),
    "color": tuple(COLORS),
    "hair": (*HAIR, "white"),
    "hair_style": HAIR_STYLES,
    "skin": tuple(SKIN),
    "style": ("none", *STYLE_WORDS),
    "subject": ("none", *SUBJECTS),
    "crown": ("no", "yes"),
    "glasses": ("no", "yes"),
    "hat": ("no", "yes"),
    "beard": ("no", "yes"),
}
NUMBERS = tuple(BANDS)  # age, smile, build
OF_PEOPLE = {"hair", "hair_style", "skin", "subject", "crown", "glasses", "hat", "beard", *NUMBERS}
NOT_OF_SUBJECTS = {"hair", "hair_style", "skin", "age", "smile", "beard"}


def block(width_in: int, width_out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(width_in, width_out, 3, stride, 1, bias=False), nn.BatchNorm2d(width_out), nn.SiLU())


class Oracle(nn.Module):
    """(n, 3, 64, 64) in -1..1 -> {attribute: logits (n, choices)} and {number: (n,)}."""

    def __init__(self, width: int = 24):
        super().__init__()
        w = width
        self.trunk = nn.Sequential(
            block(3, w, 1), block(w, 2 * w, 2), block(2 * w, 2 * w, 1), block(2 * w, 4 * w, 2), block(4 * w, 4 * w, 1),
            block(4 * w, 6 * w, 2), block(6 * w, 6 * w, 1), block(6 * w, 8 * w, 2), nn.Flatten(), nn.Dropout(0.1),
            nn.Linear(8 * w * 16, 256), nn.SiLU(),
        )
        self.choices = nn.ModuleDict({name: nn.Linear(256, len(values)) for name, values in CHOICES.items()})
        self.numbers = nn.Linear(256, len(NUMBERS))

    def forward(self, pictures: torch.Tensor) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        features = self.trunk(pictures)
        numbers = self.numbers(features)
        return {k: head(features) for k, head in self.choices.items()}, {k: numbers[:, i] for i, k in enumerate(NUMBERS)}

    @torch.no_grad()
    def read(self, pictures: torch.Tensor) -> list[dict[str, str | float]]:
        """What each picture shows: a word per attribute, and the numbers under 'age', 'smile' and 'build'."""
        read = []
        for part in pictures.split(128):
            choices, numbers = self(part)
            words = {k: v.argmax(1).tolist() for k, v in choices.items()}
            values = {k: v.tolist() for k, v in numbers.items()}
            read += [{k: CHOICES[k][words[k][i]] for k in CHOICES} | {k: values[k][i] for k in NUMBERS} for i in range(len(part))]
        return read


def truth(scene: Scene) -> dict[str, str | float | None]:
    """What the oracle should read from a drawing of `scene`; None where the question has no answer."""
    hair = scene.hair if scene.grayness < 0.3 else "white" if scene.grayness > 0.9 else None
    answers = {
        "kind": scene.kind, "background": scene.background, "color": scene.color, "skin": scene.skin,
        "hair": None if scene.hat or scene.hair_style == "no" else hair,
        "hair_style": None if scene.hat else scene.hair_style,
        "style": scene.style or "none", "subject": scene.subject or "none",
        **{k: "yes" if getattr(scene, k) else "no" for k in ("crown", "glasses", "hat", "beard")},
        **{k: getattr(scene, k) for k in NUMBERS},
    }
    hidden = OF_PEOPLE if scene.kind != "person" else NOT_OF_SUBJECTS if scene.subject else set()
    return {k: None if k in hidden else v for k, v in answers.items()}


def loss_of(oracle: Oracle, pictures: torch.Tensor, scenes: list[Scene]) -> torch.Tensor:
    choices, numbers = oracle(pictures)
    answers = [truth(scene) for scene in scenes]
    loss = pictures.new_zeros(())
    for name, logits in choices.items():
        labels = torch.tensor([-100 if a[name] is None else CHOICES[name].index(a[name]) for a in answers])
        if (labels >= 0).any():
            loss = loss + F.cross_entropy(logits.float(), labels)
    for name, values in numbers.items():
        known = torch.tensor([a[name] is not None for a in answers])
        wanted = torch.tensor([a[name] or 0.0 for a in answers])
        loss = loss + 4 * F.smooth_l1_loss(values.float()[known], wanted[known], beta=0.1)
    return loss


def shows(read: dict[str, str | float], attribute: str, word: str) -> bool:
    """Whether a reading shows `word` ('old', 'blue', …) for `attribute`."""
    if attribute in NUMBERS:
        return nearest_band(attribute, read[attribute]) == word
    return read[attribute] == word


def load(folder: str | Path) -> Oracle:
    oracle = Oracle()
    oracle.load_state_dict(torch.load(Path(folder) / "oracle.pt", weights_only=True))
    return oracle.eval()
