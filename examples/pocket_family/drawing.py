"""Draws a scene: people and animals in people.py, things and places in things.py, styles in styles.py."""

from __future__ import annotations

from PIL import Image, ImageDraw

import people
import styles
import things
from world import COLORS, Scene

OVERSAMPLING = 3  # drawn this much larger, then averaged down: smooth edges


class Canvas:
    """Drawing in units of the frame: (0, 0) is the top left corner, (1, 1) the bottom right one."""

    def __init__(self, side: int, color: tuple[int, int, int]):
        self.side = side
        self.image = Image.new("RGB", (side, side), color)
        self.pen = ImageDraw.Draw(self.image)

    def ellipse(self, x, y, rx, ry, fill, outline=None, width=0.0):
        box = [v * self.side for v in (x - rx, y - ry, x + rx, y + ry)]
        self.pen.ellipse(box, fill=fill, outline=outline, width=round(width * self.side))

    def box(self, x0, y0, x1, y1, fill, radius=0.0):
        if x1 > x0 and y1 > y0:
            self.pen.rounded_rectangle([v * self.side for v in (x0, y0, x1, y1)], radius * self.side, fill=fill)

    def polygon(self, points, fill):
        self.pen.polygon([(x * self.side, y * self.side) for x, y in points], fill=fill)

    def line(self, points, fill, width):
        self.pen.line([(x * self.side, y * self.side) for x, y in points], fill=fill,
                      width=max(1, round(width * self.side)), joint="curve")


def draw(scene: Scene, size: int = 64) -> Image.Image:
    """The picture of `scene`, RGB, size x size pixels; the same scene gives the same pixels."""
    canvas = Canvas(size * OVERSAMPLING, COLORS[scene.background])
    things.draw_backdrop(canvas, scene)
    if scene.kind == "person":
        people.draw_person(canvas, scene)
    else:
        things.DRAW[scene.kind](canvas, scene)
    picture = canvas.image.reduce(OVERSAMPLING)
    return styles.STYLE[scene.style](picture, scene) if scene.style else picture
