"""The rank of a module's change and the shape of the weight that it is added to, read off the shapes of its parts. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from ctrlx.controls.keys import Module

Shape = tuple[int, ...]


def change_of(module: Module, shapes: Mapping[str, Shape]) -> tuple[Shape, int | None] | None:
    """((out, in) or (out, in, height, width), rank) of a module; None where its parts do not go together or are not understood.

    A dense change, and a LoKr of two whole factors, have no rank.
    """
    parts = {part: tuple(shapes[key]) for part, key in module.parts.items()}
    try:
        if "down" in parts or "up" in parts:
            return _lora(parts)
        if "hada_w1_a" in parts:
            return _loha(parts)
        if any(part.startswith("lokr") for part in parts):
            return _lokr(parts)
        return (parts["custom"], None) if "custom" in parts else None
    except (KeyError, IndexError, ValueError):
        return None


def _lora(parts: Mapping[str, Shape]) -> tuple[Shape, int] | None:
    down, up = parts["down"], parts["up"]
    if len(down) not in (2, 4) or len(up) != len(down) or prod(up[2:]) != 1:
        return None
    rank = down[0]
    if "mid" in parts:  # Tucker: up (out, r, 1, 1), mid (r, r, height, width), down (r, in, 1, 1)
        mid = parts["mid"]
        whole = len(mid) == 4 and mid[:2] == (up[1], rank) and prod(down[2:]) == 1
        return ((up[0], down[1], *mid[2:]), up[1]) if whole else None
    return ((up[0], *down[1:]), rank) if up[1] == rank else None


def _loha(parts: Mapping[str, Shape]) -> tuple[Shape, int] | None:
    """Linear: w1_a (out, r), w1_b (r, in * height * width). Tucker: t1 (r, r, height, width), w1_a (r, out), w1_b (r, in)."""
    a, b = parts["hada_w1_a"], parts["hada_w1_b"]
    if parts["hada_w2_a"] != a or parts["hada_w2_b"] != b:
        return None
    if "hada_t1" in parts:
        return (a[1], b[1], *parts["hada_t1"][2:]), b[0]
    return ((a[0], b[1]), b[0]) if a[1] == b[0] else None


def _lokr(parts: Mapping[str, Shape]) -> tuple[Shape, int | None] | None:
    """W = kron(w1, w2), each whole or a product of two."""
    first = parts.get("lokr_w1") or (parts["lokr_w1_a"][0], parts["lokr_w1_b"][1])
    if "lokr_w2" in parts:
        second = parts["lokr_w2"]
    elif "lokr_t2" in parts:  # (r, r, height, width), w2_a (r, out), w2_b (r, in)
        second = (parts["lokr_w2_a"][1], parts["lokr_w2_b"][1], *parts["lokr_t2"][2:])
    else:
        second = (parts["lokr_w2_a"][0], *parts["lokr_w2_b"][1:])
    ranks = [parts[part][0] for part in ("lokr_w2_b", "lokr_w1_b") if part in parts]
    return (first[0] * second[0], first[1] * second[1], *second[2:]), ranks[0] if ranks else None


def same_weight(change: Shape, weight: Shape) -> bool:
    """Whether a change of this shape is one of a weight of that shape: a 1 x 1 convolution is a linear layer, and a product of
    matrices for a convolution has (in * height * width) columns."""
    bare = [shape[:2] if prod(shape[2:]) == 1 else tuple(shape) for shape in (change, weight)]
    return bare[0] == bare[1] or (len(change) == 2 and change == (weight[0], prod(weight[1:])))
