"""Pages, strips and animations of Diffusion Target dumps."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from ctrlx.reports.grid import GAP, INK, PAD, PALE, PAPER, enlarged, shown_side, wrapped

COLOURS = ("#2b5fb3", "#b3541e", "#2d8a4e", "#7d3fa8", "#a8323e", "#4a7a80")
LEAD = (179, 84, 30)  # marks steps of the base in a hybrid
GUTTER = 90  # pixels left of the strip's first column
STRIP_STEPS = 10  # more steps than this are passed over on the strip, evenly
FRAME_TIME, LAST_TIME = 400, 1600  # milliseconds


@dataclass(frozen=True)
class Lane:
    """One plan's dump: `frames` have step, leg, timestep, seen and plain; `targets` names each leg's target."""

    name: str
    targets: Sequence[str]
    frames: Sequence[Any]
    final: Image.Image
    distances: Sequence[float]  # of each frame to `final`

    def leads(self, frame: Any) -> bool:
        """Whether this step is one of a leg that hands over to another."""
        return frame.leg < len(self.targets) - 1


def strip(title: str, lanes: Sequence[Lane], footer: str) -> Image.Image:
    """A contact strip: for each lane the Diffusion Targets over the plain latents, steps from left to right, the picture at the end."""
    side = shown_side(lanes[0].final.width)
    chosen = [[lane.frames[i] for i in spread(len(lane.frames), STRIP_STEPS)] for lane in lanes]
    width = 2 * PAD + GUTTER + (max(map(len, chosen)) + 1) * (side + GAP)
    small = ImageFont.load_default(14)
    lines = wrapped(footer, small, width - 2 * PAD)
    lane_height = 52 + 2 * (side + GAP) + PAD
    sheet = Image.new("RGB", (width, PAD + 44 + len(lanes) * lane_height + 22 * len(lines) + PAD), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((PAD, PAD), title, INK, ImageFont.load_default(26))
    for number, (lane, frames) in enumerate(zip(lanes, chosen)):
        _draw_lane(sheet, lane, frames, PAD + 44 + number * lane_height, side)
    for i, line in enumerate(lines):
        pen.text((PAD, sheet.height - PAD - 22 * (len(lines) - i)), line, PALE, small)
    return sheet


def _draw_lane(sheet: Image.Image, lane: Lane, frames: Sequence[Any], top: int, side: int) -> None:
    """One lane from `top` down; steps of the base in a hybrid are framed."""
    pen, small = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    pen.text((PAD, top), lane.name, INK, ImageFont.load_default(18))
    for row, words in enumerate(("target", "latent")):
        pen.text((PAD, top + 52 + row * (side + GAP) + side / 2), words, PALE, small, anchor="lm")
    for column, frame in enumerate(frames):
        left = PAD + GUTTER + column * (side + GAP)
        ink = LEAD if lane.leads(frame) else PALE
        pen.text((left + side / 2, top + 38), f"step {frame.step} t {frame.timestep:g}", ink, small, anchor="mm")
        for row, picture in enumerate((frame.seen, frame.plain)):
            sheet.paste(enlarged(picture, side), (left, top + 52 + row * (side + GAP)))
        if lane.leads(frame):
            pen.rectangle((left - 2, top + 50, left + side + 1, top + 52 + 2 * side + GAP + 1), outline=LEAD, width=2)
    left = PAD + GUTTER + len(frames) * (side + GAP)
    pen.text((left + side / 2, top + 38), "picture", INK, small, anchor="mm")
    sheet.paste(enlarged(lane.final, side), (left, top + 52))


def write_animation(lanes: Sequence[Lane], path: Path) -> Path:
    """The Diffusion Targets of all lanes side by side, from noise to picture, as the animated WebP or GIF that `path` ends in."""
    side, count = shown_side(lanes[0].final.width), max(len(lane.frames) for lane in lanes)
    sheets = []
    for number in range(count):
        sheet = Image.new("RGB", (len(lanes) * (side + GAP) - GAP, side), PAPER)
        for i, lane in enumerate(lanes):
            frame = lane.frames[round(number / max(1, count - 1) * (len(lane.frames) - 1))]
            sheet.paste(enlarged(frame.seen, side), (i * (side + GAP), 0))
        sheets.append(sheet)
    times = [FRAME_TIME] * (count - 1) + [LAST_TIME]
    lossless = {"lossless": True} if path.suffix == ".webp" else {}
    sheets[0].save(path, save_all=True, append_images=sheets[1:], duration=times, loop=0, **lossless)
    return path


def page(prompt: str, seed: int, lanes: Sequence[Lane], measure: str, minds: Sequence[Mapping[str, Any]], facts: Mapping[str, str]) -> str:
    """One HTML page with everything in it: no other file, no network."""
    from jinja2 import Environment, PackageLoader

    template = Environment(loader=PackageLoader("ctrlx.reports"), autoescape=True).get_template("dt.html")
    highest = max(max(lane.distances) for lane in lanes) or 1.0
    told = [
        {"name": lane.name, "colour": COLOURS[i % len(COLOURS)], "points": _points(lane.distances, highest)} for i, lane in enumerate(lanes)
    ]
    data = [
        [{"step": f.step, "timestep": f.timestep, "target": lane.targets[f.leg], "leads": lane.leads(f), "seen": _inline(f.seen), "plain": _inline(f.plain)}
         for f in lane.frames]
        for lane in lanes
    ]
    return template.render(
        prompt=prompt, seed=seed, lanes=told, data=data, last=max(map(len, data)) - 1, highest=highest, measure=measure, minds=minds,
        small=lanes[0].final.width < 256, **facts,
    )


def spread(count: int, most: int) -> list[int]:
    """At most `most` indices from 0 to count - 1, evenly spread, the first and the last among them."""
    return list(range(count)) if count <= most else [round(i * (count - 1) / (most - 1)) for i in range(most)]


def _points(distances: Sequence[float], highest: float) -> str:
    """An SVG polyline from (40, 10) to (630, 210): across the share of the run, down to distance 0."""
    across = 590 / max(1, len(distances) - 1)
    return " ".join(f"{40 + across * i:.1f},{210 - 200 * distance / highest:.1f}" for i, distance in enumerate(distances))


def _inline(picture: Image.Image) -> str:
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
