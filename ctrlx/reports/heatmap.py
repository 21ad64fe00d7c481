"""The matrix as a heat map, laid out once and drawn twice: as PNG and as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from PIL import Image, ImageDraw, ImageFont

from ctrlx.reports.grid import INK, PAD, PALE, PAPER
from ctrlx.reports.tables import axes, headline, strength_of

WIDTH, HEIGHT, TOP = 150, 64, 116  # of a cell, and of what stands above the first row, in pixels
NONE, LOW, FULL, BROKEN = (236, 236, 240), (253, 240, 230), (214, 122, 62), (190, 60, 60)
SCALE = 2  # the PNG has this many pixels for each of the layout's


class Box(NamedTuple):
    """A rectangle, filled, with an outline where one is given."""

    left: float
    top: float
    width: float
    height: float
    fill: tuple[int, int, int]
    outline: tuple[int, int, int] | None


class Words(NamedTuple):
    """A line of text whose middle (or left end) is at (x, y)."""

    x: float
    y: float
    text: str
    size: int
    ink: tuple[int, int, int]
    middle: bool


def heatmap_png(cells: Sequence[Mapping[str, Any]]) -> Image.Image:
    width, height = _size(cells)
    sheet = Image.new("RGB", (width * SCALE, height * SCALE), PAPER)
    pen = ImageDraw.Draw(sheet)
    for shape in _layout(cells):
        if isinstance(shape, Box):
            box = [SCALE * edge for edge in (shape.left, shape.top, shape.left + shape.width, shape.top + shape.height)]
            pen.rectangle(box, fill=shape.fill, outline=shape.outline, width=2 * SCALE if shape.outline else 0)
        else:
            font = ImageFont.load_default(shape.size * SCALE)
            pen.text((shape.x * SCALE, shape.y * SCALE), shape.text, shape.ink, font, anchor="mm" if shape.middle else "lm")
    return sheet


def heatmap_svg(cells: Sequence[Mapping[str, Any]]) -> str:
    width, height = _size(cells)
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" font-family="system-ui, sans-serif">',
             f'<rect width="{width}" height="{height}" fill="{_hex(PAPER)}"/>']
    for shape in _layout(cells):
        if isinstance(shape, Box):
            edge = f' stroke="{_hex(shape.outline)}" stroke-width="2"' if shape.outline else ""
            lines.append(f'<rect x="{shape.left}" y="{shape.top}" width="{shape.width}" height="{shape.height}" fill="{_hex(shape.fill)}"{edge}/>')
        else:
            anchor = ' text-anchor="middle"' if shape.middle else ""
            lines.append(f'<text x="{shape.x}" y="{shape.y}" font-size="{shape.size}" fill="{_hex(shape.ink)}" dominant-baseline="central"{anchor}>'
                         f"{escape(shape.text)}</text>")
    return "\n".join([*lines, "</svg>"]) + "\n"


def shade(ratio: float | None) -> tuple[int, int, int]:
    """White-ish where nothing of the source's effect arrives, full colour where all of it does or more; grey where there is no ratio."""
    if ratio is None:
        return NONE
    share = min(1.0, max(0.0, ratio))
    return tuple(round(low + (full - low) * share) for low, full in zip(LOW, FULL))


def _layout(cells: Sequence[Mapping[str, Any]]) -> Iterator[Box | Words]:
    controls, targets = axes(cells)
    chosen, left = headline(cells), _gutter(controls)
    yield Words(PAD, 34, "How much of each control arrives", 20, INK, False)
    yield Words(PAD, 62, "percent change of the CLIP score; colour: share of the source's effect", 13, PALE, False)
    for j, target in enumerate(targets):
        yield Words(left + (j + 0.5) * WIDTH, TOP - 16, target, 14, INK, True)
    for i, control in enumerate(controls):
        middle = TOP + (i + 0.5) * HEIGHT
        yield Words(PAD, middle - 9, control, 14, INK, False)
        yield Words(PAD, middle + 9, f"strength {strength_of(chosen, control):+g}", 12, PALE, False)
        for j, target in enumerate(targets):
            if cell := chosen.get((control, target)):
                yield from _cell(cell, left + j * WIDTH, TOP + i * HEIGHT)
    yield Words(PAD, TOP + len(controls) * HEIGHT + 24, "outlined: the target it was trained on; red outline: the pictures broke", 12, PALE, False)


def _cell(cell: Mapping[str, Any], left: float, top: float) -> Iterator[Box | Words]:
    outline = BROKEN if cell["broken"] else INK if cell["direction"] == "source" else None
    yield Box(left + 3, top + 3, WIDTH - 6, HEIGHT - 6, shade(cell["ratio"]), outline)
    x, y = left + WIDTH / 2, top + HEIGHT / 2
    if cell["percent"] is None:
        yield Words(x, y, "not drawn" if cell["points"] is None else f"{cell['points']:+.1f} points", 14, INK, True)
        return
    yield Words(x, y - 9, f"{cell['percent']:+.1f} %", 16, INK, True)
    told = f"{cell['low']:.1f} to {cell['high']:.1f}"
    yield Words(x, y + 11, told if cell["ratio"] is None or cell["direction"] == "source" else f"{told}, x{cell['ratio']:.2f}", 12, INK, True)


def _gutter(controls: Sequence[str]) -> int:
    return PAD + max(90, *(int(ImageFont.load_default(14).getlength(control)) + 20 for control in controls))


def _size(cells: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    controls, targets = axes(cells)
    return max(480, _gutter(controls) + len(targets) * WIDTH + PAD), TOP + len(controls) * HEIGHT + 52


def _hex(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
