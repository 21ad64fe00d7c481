"""The matrix as one HTML page with everything in it: no other file, no network."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Any

from PIL import Image

from ctrlx.reports.heatmap import shade
from ctrlx.reports.tables import axes
from ctrlx.reports.transfer_grid import spread
from ctrlx.scoring.cells import words

MOST = 8  # picture pairs of a cell on the page
LARGEST = 256  # pixels of one picture
LOSSLESS = 128  # pictures up to this size are kept bit for bit
QUALITY = 85


def page(found: Mapping[str, Any], album: Any) -> str:
    """`found` has cells, scorer, how, warnings, made, reused, run, seconds."""
    from jinja2 import Environment, PackageLoader

    shelf = Shelf(album)
    cells = [_told(cell, shelf) for cell in found["cells"]]
    controls, targets = axes(found["cells"])
    data = {"controls": controls, "targets": targets, "cells": cells, "images": shelf.images}
    template = Environment(loader=PackageLoader("ctrlx.reports"), autoescape=True).get_template("matrix.html")
    return template.render(data=data, strengths=sorted({cell["strength"] for cell in cells}), small=shelf.small, **found)


class Shelf:
    """Pictures as data URIs, each once."""

    def __init__(self, album: Any):
        self.album = album
        self.images: list[str] = []
        self.small = True
        self._numbers: dict[Any, int] = {}

    def number(self, place: tuple[str, str, float], index: int) -> int:
        """The picture's number among `images`."""
        path = self.album.paths[place][index]
        if path not in self._numbers:
            image = self.album.picture(place, index, LARGEST)
            self.small = self.small and image.width <= LOSSLESS
            self._numbers[path] = len(self.images)
            self.images.append(_inline(image))
        return self._numbers[path]


def _told(cell: Mapping[str, Any], shelf: Shelf) -> dict[str, Any]:
    """A cell as the page's script takes it."""
    control, target = cell["control"], cell["target"]
    pairs = shelf.album.pairs[control] if cell["n"] else []
    pictures = [
        {"before": shelf.number((control, target, 0.0), i), "after": shelf.number((control, target, cell["strength"]), i),
         "prompt": pairs[i][0], "seed": pairs[i][1]}
        for i in spread(len(pairs), MOST)
    ]
    return {**cell, "words": words(cell), "colour": "rgb({}, {}, {})".format(*shade(cell["ratio"])), "pictures": pictures}


def _inline(image: Image.Image) -> str:
    stream = io.BytesIO()
    image.save(stream, "WEBP", **({"lossless": True} if max(image.size) <= LOSSLESS else {"quality": QUALITY}))
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode()
