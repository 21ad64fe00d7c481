"""A chart of lines with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from ctrlx.reports.grid import INK, PAD, PALE, PAPER

COLOURS = ((43, 95, 179), (179, 84, 30), (45, 138, 78), (125, 63, 168), (168, 50, 62), (74, 122, 128))
WIDTH, HEIGHT = 900, 520
LEFT, TOP, RIGHT, BOTTOM = 80, 96, WIDTH - 170, HEIGHT - 70


@dataclass(frozen=True)
class Line:
    """Points (x, mean, low, high), x from 0 to 1."""

    name: str
    points: Sequence[tuple[float, float, float, float]]


def chart(title: str, across: str, up: str, lines: Sequence[Line]) -> Image.Image:
    """Lines over 0 to 1, each with a pale band for its interval and its name beside its colour."""
    highest = max(point[3] for line in lines for point in line.points) or 1.0
    sheet = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    pen = ImageDraw.Draw(sheet, "RGBA")
    head, small = ImageFont.load_default(20), ImageFont.load_default(14)
    pen.text((PAD, PAD), title, INK, head)
    pen.line([(LEFT, TOP), (LEFT, BOTTOM), (RIGHT, BOTTOM)], PALE)
    for share in (0, 0.25, 0.5, 0.75, 1):
        pen.text((_x(share), BOTTOM + 14), f"{share:.0%}", PALE, small, anchor="mm")
        pen.text((LEFT - 8, _y(share * highest, highest)), f"{share * highest:.2g}", PALE, small, anchor="rm")
    pen.text(((LEFT + RIGHT) / 2, BOTTOM + 38), across, PALE, small, anchor="mm")
    pen.text((PAD, PAD + 28), up, PALE, small)
    for i, line in enumerate(lines):
        colour = COLOURS[i % len(COLOURS)]
        band = [(_x(x), _y(low, highest)) for x, _, low, _ in line.points] + [(_x(x), _y(high, highest)) for x, _, _, high in reversed(line.points)]
        if len(line.points) > 1:
            pen.polygon(band, (*colour, 50))
        pen.line([(_x(x), _y(mean, highest)) for x, mean, _, _ in line.points], colour, 3)
        for x, mean, _, _ in line.points:
            pen.ellipse([_x(x) - 4, _y(mean, highest) - 4, _x(x) + 4, _y(mean, highest) + 4], colour)
        pen.text((RIGHT + 20, TOP + 24 * i), line.name, colour, small)
    return sheet


def _x(share: float) -> float:
    return LEFT + (RIGHT - LEFT) * share


def _y(value: float, highest: float) -> float:
    return BOTTOM - (BOTTOM - TOP) * value / highest
