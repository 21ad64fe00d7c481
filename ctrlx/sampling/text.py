"""Prompts encoded once each, by the family's own pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ctrlx.errors import BadInput
from ctrlx.targets.load import Shared

KEPT = 512  # encoded prompts; one of SDXL's takes 0.3 MB in halves


class Text(NamedTuple):
    """What a UNet is told of n prompts."""

    embeds: Tensor  # (n, tokens, width)
    pooled: Tensor | None  # (n, width of the second encoder); None where the family has one encoder


def encode(shared: Shared, prompts: Sequence[str]) -> Text:
    """The prompts' embeddings, each distinct one encoded once and alone, so that they do not depend on their neighbours.

    They may be trained on: nothing here runs in inference mode. Raises BadInput for a prompt longer than the encoders take.
    """
    return _stack([_encode_one(shared, prompt) for prompt in prompts])


def encode_negative(shared: Shared, negative: str | None, count: int) -> Text:
    """What guidance leads away from, for `count` pictures: a negative prompt, else zeros or the empty prompt as the family's pipeline has it."""
    zeros = negative is None and getattr(shared.pipeline.config, "force_zeros_for_empty_prompt", False)
    text = _encode_one(shared, negative or "")
    if zeros:
        text = Text(*(None if part is None else torch.zeros_like(part) for part in text))
    return _stack([text] * count)


def refuse_long(shared: Shared, prompt: str) -> None:
    """Raises BadInput where an encoder would cut the prompt off."""
    for name in ("tokenizer", "tokenizer_2"):
        tokenizer = getattr(shared.pipeline, name, None)
        if tokenizer is not None:
            count = len(tokenizer(prompt).input_ids)
            if count > tokenizer.model_max_length:
                raise BadInput(
                    f"the prompt '{prompt[:40]}…' has {count} tokens, and the text encoders take {tokenizer.model_max_length}; shorten it"
                )


def _encode_one(shared: Shared, prompt: str) -> Text:
    if prompt not in shared.texts:
        refuse_long(shared, prompt)
        if len(shared.texts) >= KEPT:
            shared.texts.pop(next(iter(shared.texts)))
        with torch.no_grad(), torch.inference_mode(False):
            encoded = shared.pipeline.encode_prompt(
                prompt, device=shared.device, num_images_per_prompt=1, do_classifier_free_guidance=False
            )
        # SDXL's pipeline gives embeddings, negative, pooled, negative pooled; SD 1.5's the first two
        shared.texts[prompt] = Text(encoded[0], encoded[2] if len(encoded) > 2 else None)
    return shared.texts[prompt]


def _stack(texts: Sequence[Text]) -> Text:
    pooled = None if texts[0].pooled is None else torch.cat([text.pooled for text in texts])
    return Text(torch.cat([text.embeds for text in texts]), pooled)
