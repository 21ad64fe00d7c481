"""Draws a contact sheet of the world, to look at: python sheet.py out.png"""

import sys
from dataclasses import replace
from random import Random

from PIL import Image

from captions import caption
from drawing import draw
from world import STYLES, SUBJECTS, sample_scene


def main(path: str = "world.png", zoom: int = 2) -> None:
    rng = Random(1)
    scenes = [sample_scene(rng) for _ in range(70)]
    person = sample_scene(Random(5), "person")
    for attribute, low, high in (("age", 0, 1), ("smile", -1, 1), ("build", 0, 1)):
        scenes += [replace(person, **{attribute: low + (high - low) * i / 13}) for i in range(14)]
    for style in STYLES:
        scenes += [replace(sample_scene(rng), style=style) for _ in range(8)]
    for subject in SUBJECTS:
        scenes += [replace(sample_scene(rng, "person"), subject=subject) for _ in range(5)]
    scenes += [replace(sample_scene(rng, "person"), crown=True, hat=False) for _ in range(8)]
    side = 64 * zoom
    sheet = Image.new("RGB", (14 * side, -(-len(scenes) // 14) * side))
    for i, scene in enumerate(scenes):
        sheet.paste(draw(scene).resize((side, side), Image.NEAREST), (i % 14 * side, i // 14 * side))
    sheet.save(path)
    for scene in scenes[:12]:
        print(*caption(scene, rng))


if __name__ == "__main__":
    main(*sys.argv[1:2])
