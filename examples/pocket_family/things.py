"""Draws backdrops, things, animals and places. Each takes its paint from the scene and its small differences from `variant`."""

from __future__ import annotations

from math import cos, pi, sin

from palette import DARK, LIGHT, mix
from world import COLORS, Scene

GROUND = (112, 140, 92)
SEA = (74, 150, 190)
SAND = (236, 214, 160)
BARK = (112, 76, 50)


def draw_backdrop(canvas, scene: Scene) -> None:
    """Behind everything: nothing, a field under the sky, or a wall with a window."""
    back = COLORS[scene.background]
    if scene.kind in ("beach", "city"):
        return
    if scene.backdrop == "outdoors":
        horizon = 0.66 + 0.02 * (scene.variant % 3)
        canvas.box(-0.1, horizon, 1.1, 1.1, mix(back, GROUND, 0.65))
        x = 0.14 if scene.variant % 2 else 0.84
        for dx, r in ((-0.06, 0.05), (0, 0.07), (0.07, 0.05)):
            canvas.ellipse(x + dx, 0.13, r, r * 0.8, mix(back, LIGHT, 0.7))
    elif scene.backdrop == "indoors":
        canvas.box(-0.1, 0.8, 1.1, 1.1, mix(back, DARK, 0.35))
        x = 0.03 if scene.variant % 2 else 0.77
        canvas.box(x, 0.06, x + 0.2, 0.36, mix(back, LIGHT, 0.75))
        canvas.line([(x + 0.1, 0.06), (x + 0.1, 0.36)], mix(back, DARK, 0.3), 0.02)
        canvas.line([(x, 0.21), (x + 0.2, 0.21)], mix(back, DARK, 0.3), 0.02)


def draw_house(canvas, scene):
    paint, s = COLORS[scene.color], scene.scale
    x, y = 0.5 + scene.x, 0.5 + scene.y
    canvas.box(x - 0.27 * s, y - 0.05 * s, x + 0.27 * s, y + 0.34 * s, paint)
    canvas.polygon([(x - 0.34 * s, y - 0.03 * s), (x + 0.34 * s, y - 0.03 * s), (x, y - 0.34 * s)], mix(paint, (90, 40, 40), 0.6))
    canvas.box(x - 0.06 * s, y + 0.12 * s, x + 0.06 * s, y + 0.34 * s, (96, 54, 44))
    for side in (-1, 1)[: 1 + scene.variant % 2]:
        cx = x + side * 0.165 * s
        canvas.box(cx - 0.055 * s, y + 0.03 * s, cx + 0.055 * s, y + 0.14 * s, (206, 232, 246))


def draw_tree(canvas, scene):
    paint, s = COLORS[scene.color], scene.scale
    x, y = 0.5 + scene.x, 0.42 + scene.y
    canvas.box(x - 0.05 * s, y + 0.1 * s, x + 0.05 * s, y + 0.46 * s, BARK)
    if scene.variant % 2:
        for row in range(3):
            top, half = y - (0.34 - 0.16 * row) * s, (0.16 + 0.06 * row) * s
            canvas.polygon([(x, top), (x - half, top + 0.26 * s), (x + half, top + 0.26 * s)], paint)
    else:
        for dx, dy in ((-0.14, 0.02), (0.14, 0.02), (0, -0.14), (0, 0.04)):
            canvas.ellipse(x + dx * s, y + dy * s, 0.17 * s, 0.17 * s, paint)


def draw_flower(canvas, scene):
    paint, s = COLORS[scene.color], scene.scale
    x, y = 0.5 + scene.x, 0.36 + scene.y
    canvas.line([(x, y), (x + 0.03, y + 0.56 * s)], (60, 130, 70), 0.035)
    canvas.ellipse(x + 0.11 * s, y + 0.42 * s, 0.1 * s, 0.04 * s, (60, 130, 70))
    petals = 5 + scene.variant % 3
    for i in range(petals):
        a = 2 * pi * i / petals
        canvas.ellipse(x + 0.16 * s * cos(a), y + 0.16 * s * sin(a), 0.105 * s, 0.105 * s, paint)
    canvas.ellipse(x, y, 0.09 * s, 0.09 * s, (250, 196, 60) if scene.color != "yellow" else (150, 90, 40))


def draw_car(canvas, scene):
    paint, s = COLORS[scene.color], scene.scale
    x, y = 0.5 + scene.x, 0.55 + scene.y
    canvas.box(x - 0.2 * s, y - 0.2 * s, x + 0.18 * s, y + 0.02 * s, mix(paint, DARK, 0.15), radius=0.07 * s)
    for side in (-1, 1):
        canvas.box(x - 0.01 * s + side * 0.085 * s - 0.07 * s, y - 0.15 * s, x - 0.01 * s + side * 0.085 * s + 0.06 * s, y - 0.02 * s,
                   (206, 232, 246))
    canvas.box(x - 0.34 * s, y - 0.04 * s, x + 0.34 * s, y + 0.14 * s, paint, radius=0.05 * s)
    canvas.ellipse(x + 0.31 * s, y + 0.03 * s, 0.03 * s, 0.03 * s, (255, 240, 170))
    for side in (-1, 1):
        canvas.ellipse(x + side * 0.2 * s, y + 0.15 * s, 0.09 * s, 0.09 * s, DARK)
        canvas.ellipse(x + side * 0.2 * s, y + 0.15 * s, 0.04 * s, 0.04 * s, (190, 190, 194))


def draw_ball(canvas, scene):
    paint, s = COLORS[scene.color], scene.scale
    x, y, r = 0.5 + scene.x, 0.54 + scene.y, 0.27 * scene.scale
    canvas.ellipse(x, y + r, r * 0.9, 0.04 * s, mix(COLORS[scene.background], DARK, 0.4))
    canvas.ellipse(x, y, r, r, paint)
    stripe = mix(paint, LIGHT, 0.6) if scene.color != "white" else (150, 150, 156)
    if scene.variant % 2:
        canvas.box(x - r * 0.97, y - 0.05 * s, x + r * 0.97, y + 0.05 * s, stripe)
    else:
        canvas.ellipse(x, y, r * 0.45, r, None, outline=stripe, width=0.03)
    canvas.ellipse(x - r * 0.4, y - r * 0.5, r * 0.16, r * 0.12, LIGHT)


def draw_cat(canvas, scene):
    paint, s = COLORS[scene.color], scene.scale
    x, y = 0.5 + scene.x, 0.42 + scene.y
    ink = DARK if scene.color != "black" else (200, 200, 204)
    canvas.ellipse(x, y + 0.48 * s, 0.24 * s, 0.3 * s, mix(paint, DARK, 0.12))
    for side in (-1, 1):
        canvas.polygon([(x + side * 0.26 * s, y - 0.36 * s), (x + side * 0.27 * s, y - 0.02 * s), (x + side * 0.04 * s, y - 0.16 * s)], paint)
        canvas.polygon([(x + side * 0.23 * s, y - 0.27 * s), (x + side * 0.23 * s, y - 0.1 * s), (x + side * 0.11 * s, y - 0.16 * s)],
                       (240, 160, 170))
    canvas.ellipse(x, y, 0.28 * s, 0.23 * s, paint)
    for side in (-1, 1):
        canvas.ellipse(x + side * 0.12 * s, y - 0.02 * s, 0.06 * s, 0.06 * s, (190, 226, 110))
        canvas.ellipse(x + side * 0.12 * s, y - 0.02 * s, 0.022 * s, 0.055 * s, (24, 24, 28))
        for dy in (0.06, 0.11):
            canvas.line([(x + side * 0.08 * s, y + 0.085 * s), (x + side * 0.33 * s, y + dy * s)], ink, 0.012)
    canvas.ellipse(x, y + 0.07 * s, 0.03 * s, 0.022 * s, (226, 110, 126))


def draw_dog(canvas, scene):
    paint, s = COLORS[scene.color], scene.scale
    x, y = 0.5 + scene.x, 0.42 + scene.y
    dark = mix(paint, DARK, 0.45) if scene.color != "black" else (110, 110, 118)
    canvas.ellipse(x, y + 0.5 * s, 0.26 * s, 0.3 * s, mix(paint, DARK, 0.12))
    canvas.ellipse(x, y, 0.25 * s, 0.26 * s, paint)
    for side in (-1, 1):
        canvas.ellipse(x + side * 0.27 * s, y + 0.02 * s, 0.085 * s, 0.22 * s, dark)
        canvas.ellipse(x + side * 0.1 * s, y - 0.06 * s, 0.05 * s, 0.055 * s, LIGHT)
        canvas.ellipse(x + side * 0.1 * s, y - 0.05 * s, 0.028 * s, 0.035 * s, (24, 24, 28))
    canvas.ellipse(x, y + 0.13 * s, 0.14 * s, 0.11 * s, mix(paint, LIGHT, 0.6))
    if scene.variant % 2:
        canvas.box(x - 0.035 * s, y + 0.16 * s, x + 0.035 * s, y + 0.28 * s, (236, 100, 120), radius=0.03 * s)
    canvas.ellipse(x, y + 0.07 * s, 0.055 * s, 0.04 * s, (24, 24, 28))


def draw_beach(canvas, scene):
    sky, paint = COLORS[scene.background], COLORS[scene.color]
    canvas.ellipse(0.5 + 2.5 * scene.x, 0.42, 0.12, 0.12, mix((255, 226, 120), sky, 0.1))
    canvas.box(-0.1, 0.46, 1.1, 0.75, mix(SEA, sky, 0.3))
    for row in range(2):
        y = 0.53 + 0.09 * row
        canvas.line([(0.1 + 0.3 * row, y), (0.4 + 0.3 * row, y)], mix(mix(SEA, sky, 0.3), LIGHT, 0.6), 0.018)
    canvas.box(-0.1, 0.7, 1.1, 1.1, SAND)
    x = 0.5 - 2 * scene.x
    canvas.line([(x, 0.5), (x + 0.03, 0.92)], BARK, 0.025)
    r = 0.21 * scene.scale
    arc = [(x + r * cos(pi * i / 8), 0.62 - 1.1 * r * sin(pi * i / 8)) for i in range(9)]
    canvas.polygon(arc, paint)


def draw_city(canvas, scene):
    sky, paint = COLORS[scene.background], COLORS[scene.color]
    heights = ((0.42, 0.6, 0.34, 0.52), (0.55, 0.36, 0.62, 0.4), (0.34, 0.5, 0.44, 0.64))[scene.variant % 3]
    glow = (255, 230, 130) if scene.color != "yellow" else (120, 70, 40)
    for i, height in enumerate(heights):
        x0 = -0.02 + 0.26 * i + 0.3 * scene.x
        canvas.box(x0, 0.92 - height * scene.scale, x0 + 0.22, 0.92, paint if i % 2 == 0 else mix(paint, DARK, 0.3))
        for row in range(int(height * 8)):
            for column in range(2):
                y = 0.92 - height * scene.scale + 0.05 + 0.11 * row
                if y < 0.84:
                    canvas.box(x0 + 0.04 + 0.09 * column, y, x0 + 0.09 + 0.09 * column, y + 0.06, glow)
    canvas.box(-0.1, 0.9, 1.1, 1.1, mix(DARK, sky, 0.2))


DRAW = {"house": draw_house, "tree": draw_tree, "flower": draw_flower, "car": draw_car, "ball": draw_ball, "cat": draw_cat,
        "dog": draw_dog, "beach": draw_beach, "city": draw_city}
