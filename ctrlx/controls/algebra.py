"""The change of a weight, however a file writes it down, as the two matrices of a LoRA: exact wherever a closed form is.

Convolution weights (out, in, height, width) are handled as matrices (out, in * height * width).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ctrlx.controls.read import LoRA

EXACT = 1e-6  # singular values below this share of the largest are rounding


def loha(parts: dict[str, Tensor], alpha: float | None) -> LoRA:
    """W = alpha / r * (w1_a w1_b) o (w2_a w2_b), which is a LoRA of rank r^2: its columns are products of columns, its rows of rows."""
    a1, b1, a2, b2 = (parts[f"hada_w{number}"].float() for number in ("1_a", "1_b", "2_a", "2_b"))
    rank = b1.shape[0]
    scale = 1.0 if alpha is None else alpha / rank
    if "hada_t1" in parts:  # Tucker, t (r, r, height, width): each factor is whole
        first, second = (_tucker(parts[f"hada_t{number}"].float(), b, a) for number, b, a in ((1, b1, a1), (2, b2, a2)))
        return dense(scale * first * second)
    up = torch.einsum("or,os->ors", a1, a2).flatten(1)  # (out, r^2)
    down = torch.einsum("ri,si->rsi", b1, b2).flatten(0, 1)  # (r^2, in)
    return LoRA(down, up, scale * rank**2)


def lokr(parts: dict[str, Tensor], alpha: float | None, rank: int | None = None) -> LoRA:
    """W = alpha / r * kron(w1, w2), each whole or a product of two; by kron(a b, c d) = kron(a, c) kron(b, d).

    The scale is 1 where both are whole. Where w2 is whole, the factors come from a singular value decomposition.
    """
    tables = {name.removeprefix("lokr_"): tensor.float() for name, tensor in parts.items() if name.startswith("lokr_")}
    inner = next((tables[name].shape[0] for name in ("w2_b", "w1_b") if name in tables), None)
    scale = 1.0 if alpha is None or inner is None else alpha / inner
    w1 = tables["w1"] if "w1" in tables else tables["w1_a"] @ tables["w1_b"]
    if "w2_a" not in tables or "t2" in tables:
        w2 = tables["w2"] if "w2" in tables else _tucker(tables["t2"], tables["w2_b"], tables["w2_a"])
        return dense(scale * torch.kron(w1[(...,) + (None,) * (w2.ndim - 2)], w2.contiguous()), rank)
    a2, b2 = tables["w2_a"], tables["w2_b"].flatten(1)
    if "w1_a" in tables:
        a1, b1 = tables["w1_a"], tables["w1_b"]
    else:
        a1, b1 = (w1, torch.eye(w1.shape[1])) if w1.shape[1] <= w1.shape[0] else (torch.eye(w1.shape[0]), w1)
    up, down = torch.kron(a1, a2), torch.kron(b1, b2)
    return LoRA(down, up, scale * len(down))


def locon(parts: dict[str, Tensor], alpha: float | None) -> LoRA:
    """Tucker: up (out, r, 1, 1), mid (r, r, height, width), down (r, in, 1, 1); mid and down become one convolution."""
    up, mid, down = parts["up"], parts["mid"], parts["down"]
    both = torch.einsum("abhw,bi->aihw", mid.float(), down.float().flatten(1))
    return LoRA(both, up, float(len(down)) if alpha is None else alpha)


def dense(change: Tensor, rank: int | None = None) -> LoRA:
    """A whole change as a LoRA by its singular values: all that are not rounding, or the `rank` largest."""
    left, values, right = torch.linalg.svd(change.flatten(1).float(), full_matrices=False)
    kept = max(1, int((values > EXACT * values[0]).sum()))
    kept = kept if rank is None else min(kept, rank)
    root = values[:kept].sqrt()
    return LoRA(root[:, None] * right[:kept], left[:, :kept] * root, float(kept))


def shaped(lora: LoRA, weight: tuple[int, ...]) -> LoRA:
    """The same LoRA in the dimensions of the weight that it is for."""
    down, up = lora.down.reshape(lora.rank, *weight[1:]), lora.up.reshape(weight[0], lora.rank, *(1 for _ in weight[2:]))
    return LoRA(down.contiguous(), up.contiguous(), lora.alpha)


def relative_error(lora: LoRA, change: Tensor) -> float:
    """Norm of what a LoRA misses of a change, as a share of the change's."""
    missed = change.flatten(1).float() - lora.alpha / lora.rank * lora.up.flatten(1).float() @ lora.down.flatten(1).float()
    return float(missed.norm() / change.norm()) if change.norm() else 0.0


def _tucker(core: Tensor, inside: Tensor, outside: Tensor) -> Tensor:
    """(r, s, height, width), (s, in), (r, out) -> (out, in, height, width)"""
    return torch.einsum("rshw,si,ro->oihw", core, inside, outside)
