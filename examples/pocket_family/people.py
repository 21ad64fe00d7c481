"""Draws a person from the shoulders up: age, mood and build are continuous, so that a slider has something to slide along."""

from __future__ import annotations

from palette import DARK, LIGHT, mix
from world import COLORS, HAIR, SKIN, Scene

WHITE_HAIR = (226, 224, 220)


class Head:
    """Where the parts of one face are: centre (x, y), half width and half height, in frames."""

    def __init__(self, scene: Scene):
        self.scale = 0.94 * scene.scale
        youth = 1 - scene.age
        self.x = 0.5 + scene.x
        self.y = 0.44 + scene.y
        self.w = self.scale * (0.225 + 0.02 * scene.build + 0.015 * youth)
        self.h = self.scale * (0.285 - 0.02 * youth)


def draw_person(canvas, scene: Scene) -> None:
    head = Head(scene)
    skin = subject_skin(scene)
    hair = mix(HAIR[scene.hair], WHITE_HAIR, scene.grayness)
    draw_back_hair(canvas, scene, head, hair)
    draw_body(canvas, scene, head, skin)
    draw_head(canvas, scene, head, skin)
    draw_wrinkles(canvas, scene, head, skin)
    draw_face(canvas, scene, head, skin, hair)
    if scene.subject is None:
        draw_hair(canvas, scene, head, hair)
    draw_extras(canvas, scene, head)


def subject_skin(scene: Scene):
    if scene.subject == "robot":
        return (168, 178, 190)
    if scene.subject == "panda":
        return (246, 246, 244)
    return SKIN[scene.skin]


def draw_back_hair(canvas, scene, head, hair):
    if scene.subject or scene.hair_style not in ("long", "curly"):
        return
    if scene.hair_style == "long":
        canvas.box(head.x - head.w * 1.22, head.y - head.h * 0.75, head.x + head.w * 1.22, head.y + head.h * 1.25,
                   mix(hair, DARK, 0.18), radius=head.w * 0.7)
    else:
        for dx, dy in ((-1.05, -0.35), (1.05, -0.35), (-1.1, 0.1), (1.1, 0.1), (-0.75, -0.85), (0.75, -0.85)):
            canvas.ellipse(head.x + dx * head.w, head.y + dy * head.h, head.w * 0.42, head.w * 0.42, mix(hair, DARK, 0.12))


def draw_body(canvas, scene, head, skin):
    """Neck, shoulders and arms; build widens all three and lifts the muscles beside the neck."""
    shirt, build, s = COLORS[scene.color], scene.build, head.scale
    chin = head.y + head.h
    top = chin + 0.035 * s
    half = s * (0.20 + 0.25 * build)
    arm = s * (0.045 + 0.085 * build)
    for side in (-1, 1):
        canvas.ellipse(head.x + side * half, top + 0.12 * s + arm, arm, arm * 1.5, skin)
        canvas.box(head.x + side * half - arm * 0.8, top + 0.12 * s + arm, head.x + side * half + arm * 0.8, 1.2,
                   mix(skin, DARK, 0.08))
    canvas.box(head.x - half, top + 0.02 * s, head.x + half, 1.2, shirt, radius=0.09 * s)
    neck = s * (0.07 + 0.075 * build)
    if build > 0.5:  # trapezius
        lift = (build - 0.5) * 2
        canvas.polygon([(head.x - neck, chin - 0.06 * lift), (head.x + neck, chin - 0.06 * lift),
                        (head.x + half * 0.8, top + 0.04 * s), (head.x - half * 0.8, top + 0.04 * s)], mix(skin, DARK, 0.10))
    canvas.box(head.x - neck, chin - 0.12 * s, head.x + neck, top + 0.05 * s, mix(skin, DARK, 0.12), radius=0.02)
    canvas.ellipse(head.x, top + 0.035 * s, neck * 1.1, 0.04 * s, mix(skin, DARK, 0.06))


def draw_head(canvas, scene, head, skin):
    if scene.subject == "robot":
        canvas.box(head.x - head.w, head.y - head.h, head.x + head.w, head.y + head.h, skin, radius=0.03)
        canvas.line([(head.x, head.y - head.h), (head.x, head.y - head.h * 1.35)], (120, 128, 140), 0.025)
        canvas.ellipse(head.x, head.y - head.h * 1.4, 0.035, 0.035, (230, 60, 50))
        return
    ears = mix(skin, DARK, 0.08) if scene.subject is None else DARK
    for side in (-1, 1):
        if scene.subject == "panda":
            canvas.ellipse(head.x + side * head.w * 0.8, head.y - head.h * 0.85, head.w * 0.42, head.w * 0.42, ears)
        else:
            canvas.ellipse(head.x + side * head.w, head.y + 0.02, head.w * 0.17, head.h * 0.19, ears)
    canvas.ellipse(head.x, head.y - head.h * 0.1, head.w, head.h * 0.9, skin)
    jaw = head.w * (0.62 + 0.3 * scene.build)
    canvas.box(head.x - jaw, head.y - head.h * 0.1, head.x + jaw, head.y + head.h, skin, radius=head.w * (0.62 - 0.26 * scene.build))
    if scene.age < 0.35 and scene.subject is None:  # red cheeks
        blush = mix(skin, (240, 110, 110), 0.55 * (1 - scene.age / 0.35))
        for side in (-1, 1):
            canvas.ellipse(head.x + side * head.w * 0.62, head.y + head.h * 0.34, head.w * 0.2, head.h * 0.12, blush)


def draw_wrinkles(canvas, scene, head, skin):
    """Lines on forehead, cheeks and under the eyes, from 0.4 of the age range on."""
    depth = min(1.0, max(0.0, (scene.age - 0.4) / 0.5))
    if depth == 0 or scene.subject:
        return
    ink, width = mix(skin, (36, 16, 16), 0.7 * depth), 0.013 + 0.006 * depth
    for row in range(1 + round(2 * depth)):
        y = head.y - head.h * (0.42 + 0.13 * row)
        reach = head.w * (0.55 - 0.08 * row)
        canvas.line([(head.x - reach, y + 0.008), (head.x, y - 0.006), (head.x + reach, y + 0.008)], ink, width)
    for side in (-1, 1):
        eye = head.x + side * head.w * 0.44
        canvas.line([(eye - head.w * 0.2, head.y + head.h * 0.12), (eye, head.y + head.h * 0.17),
                     (eye + head.w * 0.2, head.y + head.h * 0.12)], ink, width)
        canvas.line([(head.x + side * head.w * 0.28, head.y + head.h * 0.3),
                     (head.x + side * head.w * 0.58, head.y + head.h * 0.66)], ink, width)
        for dy in (-0.08, 0.06):  # crow's feet
            canvas.line([(head.x + side * head.w * 0.76, head.y - head.h * 0.06),
                         (head.x + side * head.w * 0.96, head.y + head.h * (dy - 0.06))], ink, width)


def draw_face(canvas, scene, head, skin, hair):
    brow = mix(hair, DARK, 0.35)
    if scene.subject == "panda":
        for side in (-1, 1):
            canvas.ellipse(head.x + side * head.w * 0.42, head.y - head.h * 0.02, head.w * 0.3, head.h * 0.26, DARK)
    for side in (-1, 1):
        draw_eye(canvas, scene, head, side)
        if scene.subject is None:
            inner, outer = head.x + side * head.w * 0.22, head.x + side * head.w * 0.68
            sorrow = 0.04 * max(0.0, -scene.smile) * head.scale  # inner ends rise
            y = head.y - head.h * (0.26 + 0.07 * max(0.0, scene.smile))
            canvas.line([(inner, y - sorrow), (outer, y + sorrow * 0.6)], brow, 0.022 * head.scale)
    nose = DARK if scene.subject == "panda" else mix(skin, (120, 60, 50), 0.35)
    canvas.ellipse(head.x, head.y + head.h * 0.2, head.w * 0.12, head.h * 0.07, nose)
    if scene.beard and scene.subject is None:
        canvas.ellipse(head.x, head.y + head.h * 0.78, head.w * 0.66, head.h * 0.34, hair)
    draw_mouth(canvas, scene, head)


def draw_eye(canvas, scene, head, side):
    x, y = head.x + side * head.w * 0.44, head.y - head.h * 0.04
    big = 1.15 - 0.35 * scene.age
    open_ = 1 - 0.3 * max(0.0, scene.smile)
    if scene.subject == "robot":
        canvas.box(x - head.w * 0.22, y - head.h * 0.1, x + head.w * 0.22, y + head.h * 0.1, (90, 220, 240))
        return
    canvas.ellipse(x, y, head.w * 0.215 * big, head.h * 0.135 * big * open_, LIGHT)
    canvas.ellipse(x, y, head.w * 0.105 * big, head.h * 0.10 * big * open_, DARK)


def draw_mouth(canvas, scene, head):
    """A curve whose ends rise with the smile; a broad smile opens and shows teeth."""
    width, y = head.w * (0.42 + 0.14 * abs(scene.smile)), head.y + head.h * 0.56
    if scene.subject == "robot":
        canvas.box(head.x - width, y - 0.02, head.x + width, y + 0.03, (70, 78, 90))
        return
    bend = 0.085 * scene.smile * head.scale
    lip = (150, 40, 46) if sum(subject_skin(scene)) > 480 else (244, 140, 140)  # lighter than dark skin, darker than light skin
    curve = [(head.x + width * t, y + bend * (0.5 - t * t)) for t in (-1, -0.75, -0.5, -0.25, 0, 0.25, 0.5, 0.75, 1)]
    if scene.smile > 0.45:
        drop = 0.11 * (scene.smile - 0.2) * head.scale
        low = [(px, py + drop * (1 - ((px - head.x) / width) ** 2)) for px, py in curve]
        canvas.polygon(curve + low[::-1], lip)
        canvas.polygon([(px, py + 0.004) for px, py in curve] +
                       [(px, py + drop * 0.5 * (1 - ((px - head.x) / width) ** 2)) for px, py in curve][::-1], LIGHT)
    canvas.line(curve, lip, 0.026 * head.scale)


def draw_hair(canvas, scene, head, hair):
    if scene.hair_style == "no":
        return
    top = head.y - head.h
    if scene.hair_style == "curly":
        for t in range(-3, 4):
            canvas.ellipse(head.x + t * head.w * 0.33, top + 0.05 + 0.018 * t * t * head.scale, head.w * 0.3, head.w * 0.3, hair)
        return
    fringe = head.y - head.h * 0.52
    arc = [(head.x + head.w * 1.08 * dx, top + head.h * 0.52 - head.h * 0.62 * (1 - dx * dx) ** 0.5)
           for dx in (-1, -0.9, -0.7, -0.4, 0, 0.4, 0.7, 0.9, 1)]
    part = head.w * (0.45 if scene.variant % 2 else -0.45)
    canvas.polygon(arc + [(head.x + head.w * 1.08, head.y - head.h * 0.1), (head.x + head.w * 0.86, fringe),
                          (head.x + part, fringe - head.h * 0.12), (head.x - head.w * 0.86, fringe),
                          (head.x - head.w * 1.08, head.y - head.h * 0.1)], hair)
    if scene.hair_style == "long":
        for side in (-1, 1):
            x = head.x + side * head.w * 1.08
            canvas.box(x - head.w * 0.16, head.y - head.h * 0.5, x + head.w * 0.16, head.y + head.h * 1.15, hair, radius=0.03)


def draw_extras(canvas, scene, head):
    if scene.glasses:
        for side in (-1, 1):
            canvas.ellipse(head.x + side * head.w * 0.44, head.y - head.h * 0.03, head.w * 0.36, head.h * 0.25, None,
                           outline=DARK, width=0.016)
        canvas.line([(head.x - head.w * 0.1, head.y - head.h * 0.05), (head.x + head.w * 0.1, head.y - head.h * 0.05)], DARK, 0.016)
    top = head.y - head.h
    if scene.hat:
        cloth = mix(COLORS[scene.color], DARK, 0.25)
        canvas.box(head.x - head.w * 0.85, top - 0.10 * head.scale, head.x + head.w * 0.85, top + head.h * 0.34, cloth, radius=0.05)
        canvas.box(head.x - head.w * 1.35, top + head.h * 0.24, head.x + head.w * 1.35, top + head.h * 0.42, mix(cloth, DARK, 0.35), radius=0.02)
    if scene.crown:
        gold, y = (250, 200, 40), top + head.h * 0.3
        points = [(head.x - head.w * 0.9, y - head.h * 0.6), (head.x - head.w * 0.45, y - head.h * 0.25), (head.x, y - head.h * 0.7),
                  (head.x + head.w * 0.45, y - head.h * 0.25), (head.x + head.w * 0.9, y - head.h * 0.6)]
        canvas.polygon(points + [(head.x + head.w * 0.9, y), (head.x - head.w * 0.9, y)], gold)
        canvas.ellipse(head.x, y - head.h * 0.12, 0.025, 0.025, (214, 58, 52))
