"""Pictures drawn in batches and handed out as they are finished, so that whoever stops keeps what there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from PIL import Image

from ctrlx.sampling.loop import check_size, denoise
from ctrlx.sampling.pictures import decode, to_images
from ctrlx.sampling.plans import Plan
from ctrlx.sampling.predict import doubles
from ctrlx.sampling.sweep import BATCH_PIXELS
from ctrlx.sampling.text import refuse_long
from ctrlx.targets.models import Models

Pair = tuple[str, int]  # prompt, seed


class Drawn(NamedTuple):
    """One picture, and its place in the batch that it was drawn in, on which its last bits may depend."""

    prompt: str
    seed: int
    image: Image.Image
    batch: int
    position: int


def draw(
    models: Models,
    plan: Plan,
    pairs: Sequence[Pair],
    negative: str | None = None,
    batch: int | None = None,
    on_progress: Callable[[str, int, int], None] = lambda *_: None,
) -> Iterator[Drawn]:
    """A picture for each prompt and seed, in order. on_progress(what, done, total) counts the plan's steps over all batches.

    Raises BadInput before anything is drawn, for a size that the VAE has not and for a prompt that the encoders would cut off.
    """
    refuse(models, plan, [prompt for prompt, _ in pairs], negative)
    batch = batch or default_batch(plan)
    total, done = plan.steps * len(range(0, len(pairs), batch)), 0
    for start in range(0, len(pairs), batch):
        part = pairs[start : start + batch]
        for step in denoise(models, plan, [prompt for prompt, _ in part], [seed for _, seed in part], negative):
            done += 1
            on_progress("drawing", done, total)
        images = to_images(decode(models.shared, step.latents, batch))
        for position, ((prompt, seed), image) in enumerate(zip(part, images, strict=True)):
            yield Drawn(prompt, seed, image, len(part), position)


def draw_again(models: Models, plan: Plan, pair: Pair, negative: str | None, batch: int, position: int) -> Drawn:
    """One picture of a batch of `batch`, its neighbours replaced by copies of itself: the same sums in the same order."""
    refuse(models, plan, [pair[0]], negative)
    return list(draw(models, plan, [pair] * batch, negative, batch))[position]


def refuse(models: Models, plan: Plan, prompts: Sequence[str], negative: str | None) -> None:
    """Raises BadInput for what cannot be drawn, before any UNet is loaded."""
    check_size(models, plan.size)
    for prompt in {*prompts, negative or ""}:
        refuse_long(models.shared, prompt)


def default_batch(plan: Plan) -> int:
    """How many pictures go together where nobody says."""
    width, height = plan.size
    return max(1, BATCH_PIXELS // (width * height))


def forwards(models: Models, plan: Plan) -> int:
    """UNet evaluations that one picture takes: one a step, two where guidance doubles the batch."""
    return sum(len(leg.timesteps) * (2 if doubles(models.denoiser(leg.target).unet, leg.guidance) else 1) for leg in plan.legs)
