"""A labelled grid of pictures: rows and columns with words beside them, several blocks side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

INK, PALE, PAPER = (28, 28, 32), (120, 120, 128), (255, 255, 255)
SMALLEST = 160  # a picture's side on the sheet, at least: smaller ones are enlarged by whole factors, without blur
LARGEST = 512
GAP, PAD = 6, 24


@dataclass(frozen=True)
class Block:
    """Pictures of one target: `pictures[row][column]`."""

    title: str
    columns: Sequence[str]
    pictures: Sequence[Sequence[Image.Image]]


def grid(title: str, rows: Sequence[str], blocks: Sequence[Block], footer: str = "") -> Image.Image:
    """One sheet: title on top, `rows` down the left side, a block per target, a footer that says what was measured."""
    side = shown_side(blocks[0].pictures[0][0].width)
    head, text, small = (ImageFont.load_default(size) for size in (26, 18, 15))
    gutter = max(int(text.getlength(row)) for row in rows) + 16
    widths = [len(block.columns) * (side + GAP) for block in blocks]
    top = PAD + 44 + 30 + 26
    width = max(PAD * 2 + gutter + sum(widths) + PAD * (len(blocks) - 1), PAD * 2 + int(head.getlength(title)))
    lines = wrapped(footer, small, width - 2 * PAD)
    sheet = Image.new("RGB", (width, top + len(rows) * (side + GAP) + 22 * len(lines) + PAD), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((PAD, PAD), title, INK, head)
    for i, row in enumerate(rows):
        pen.text((PAD, top + i * (side + GAP) + side / 2), row, INK, text, anchor="lm")
    left = PAD + gutter
    for block, block_width in zip(blocks, widths):
        pen.text((left, PAD + 44), block.title, INK, text)
        for j, column in enumerate(block.columns):
            pen.text((left + j * (side + GAP) + side / 2, top - 12), column, PALE, small, anchor="mm")
        for i, pictures in enumerate(block.pictures):
            for j, picture in enumerate(pictures):
                sheet.paste(enlarged(picture, side), (left + j * (side + GAP), top + i * (side + GAP)))
        left += block_width + PAD
    for i, line in enumerate(lines):
        pen.text((PAD, top + len(rows) * (side + GAP) + 8 + 22 * i), line, PALE, small)
    return sheet


def shown_side(side: int) -> int:
    """Small pictures grow by the least whole factor that reaches SMALLEST; large ones shrink to LARGEST."""
    return min(LARGEST, side * -(-SMALLEST // side)) if side < SMALLEST else min(side, LARGEST)


def enlarged(picture: Image.Image, side: int) -> Image.Image:
    """The picture at `side` pixels; nearest neighbour upwards, so that pixels stay square, and Lanczos downwards."""
    way = Image.Resampling.NEAREST if picture.width < side else Image.Resampling.LANCZOS
    return picture.convert("RGB").resize((side, side), way)


def wrapped(text: str, font, width: int) -> list[str]:
    """`text` broken between words so that no line is wider than `width` pixels."""
    lines: list[str] = []
    for word in text.split():
        if lines and font.getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
