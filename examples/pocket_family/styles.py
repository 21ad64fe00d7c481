"""The three styles that the base model never sees; each redraws a finished picture."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

BRICK = 4  # pixels of a 64-pixel picture


def lego(picture: Image.Image, scene) -> Image.Image:
    """Square bricks of one colour, each with a round stud lit from the top left."""
    brick = BRICK * picture.width // 64
    small = np.asarray(picture.reduce(brick), np.float32)
    wall = small.repeat(brick, 0).repeat(brick, 1)
    y, x = np.mgrid[:brick, :brick] - (brick - 1) / 2
    radius = np.hypot(x, y) / brick
    light = np.where(radius < 0.36, 34.0, 0.0) + np.where((radius < 0.5) & (x + y > brick * 0.2), -46.0, 0.0)
    light[-1, :] -= 40
    light[:, -1] -= 40
    tiles = picture.width // brick
    return Image.fromarray(np.clip(wall + np.tile(light, (tiles, tiles))[..., None], 0, 255).astype(np.uint8))


def watercolor(picture: Image.Image, scene) -> Image.Image:
    """Edges that ran, pigment gathered along them, pale washes on rough paper."""
    rng = np.random.default_rng(scene.variant)
    side = picture.width
    drift = [smooth_noise(rng, side, 7) * side / 34 for _ in range(2)]
    y, x = np.mgrid[:side, :side]
    rows = np.clip(np.rint(y + drift[0]), 0, side - 1).astype(int)
    columns = np.clip(np.rint(x + drift[1]), 0, side - 1).astype(int)
    ran = Image.fromarray(np.asarray(picture)[rows, columns])
    wash = np.asarray(ran.filter(ImageFilter.GaussianBlur(side / 85)), np.float32)
    edge = np.abs(wash - np.asarray(ran.filter(ImageFilter.GaussianBlur(side / 24)), np.float32)).mean(-1, keepdims=True)
    paper = 1 + 0.10 * smooth_noise(rng, side, 20)[..., None]
    pale = 255 - (255 - wash) * (0.62 + 0.2 * smooth_noise(rng, side, 4)[..., None])
    return Image.fromarray(np.clip(pale * paper - 0.8 * edge, 0, 255).astype(np.uint8))


def crayon(picture: Image.Image, scene) -> Image.Image:
    """Diagonal strokes that leave white paper between them, with dark outlines."""
    rng = np.random.default_rng(scene.variant)
    side = picture.width
    y, x = np.mgrid[:side, :side] * (64 / side)
    wobble = 1.6 * smooth_noise(rng, side, 9)
    stroke = 0.5 + 0.5 * np.sin((x + y + wobble) * 2 * np.pi / 4.6)
    cover = np.clip(0.30 + 0.75 * stroke + 0.18 * rng.standard_normal((side, side)), 0, 1)[..., None]
    color = np.asarray(picture, np.float32)
    gray = np.asarray(picture.convert("L").filter(ImageFilter.GaussianBlur(side / 90)), np.float32)
    outline = np.clip(np.hypot(*np.gradient(gray)) / 26 - 0.3, 0, 0.75)[..., None]
    waxed = color * cover + 250 * (1 - cover)
    return Image.fromarray(np.clip(waxed * (1 - outline) + 60 * outline, 0, 255).astype(np.uint8))


def smooth_noise(rng, side: int, cells: int) -> np.ndarray:
    """Noise in about -1..1 that changes over side / cells pixels."""
    coarse = Image.fromarray(rng.uniform(-1, 1, (cells, cells)).astype(np.float32))
    return np.asarray(coarse.resize((side, side), Image.BICUBIC))


STYLE = {"lego": lego, "watercolor": watercolor, "crayon": crayon}
