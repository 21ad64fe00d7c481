"""What the verbs share in talking: results on stdout, as a table or as one JSON document; everything else on stderr."""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer

from ctrlx.errors import BadInput

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
FOLDED = 200  # rows up to which a table is fitted to the terminal
SHOWN = 48  # characters across a picture on the terminal
SHORT = 16  # characters that a fitted table does not break


def say(sentence: str) -> None:
    """A sentence for the person, on stderr."""
    print(sentence, file=sys.stderr, flush=True)


def json_document(value: Any) -> None:
    """`value` on stdout as one JSON document; records become objects, figures that are not finite null."""
    print(json.dumps(plain(value), indent=2, ensure_ascii=False))


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str = "") -> None:
    """A table on stdout: fitted to a terminal, plain aligned lines in a pipe or where there are very many rows."""
    rows = list(rows)
    if title:
        print(title)
    if sys.stdout.isatty() and len(rows) <= FOLDED:
        _fitted(columns, rows)
    else:
        _aligned(columns, rows)


def facts(pairs: Mapping[str, Any]) -> None:
    """Names and values on stdout, a line each; what is None or empty is passed over."""
    told = {name: _cell(value) for name, value in pairs.items() if value not in (None, "", (), {}, [])}
    width = max(map(len, told), default=0)
    print("\n".join(f"{name:<{width}}  {value}" for name, value in told.items()))


def check_pictures(as_json: bool) -> None:
    """Before the slow part: raises BadInput where pictures cannot be drawn on stdout."""
    from importlib.util import find_spec

    if as_json:
        raise BadInput("--json prints one document and nothing else; leave --show out")
    if not sys.stdout.isatty():
        raise BadInput("--show draws on a terminal, and this is none; leave it out and open the files instead")
    if find_spec("textual_image") is None:
        raise BadInput("--show needs the library textual-image; get it with `pip install 'ctrlx[show]'`, or leave --show out")


def pictures(paths: Iterable[str]) -> None:
    """Pictures on the terminal: by its graphics protocol (kitty's, or sixel) where it has one, in half blocks elsewhere."""
    import logging
    import os

    from rich.console import Console

    if 0 in os.get_terminal_size(sys.stdout.fileno()):
        say("the terminal does not say how large it is, so no picture is drawn on it; open the files instead")
        return
    logging.getLogger("textual_image").setLevel(logging.ERROR)  # it warns, with a traceback, of terminals that do not tell their cells' size
    from textual_image.renderable import Image  # asks the terminal what it can do

    console = Console()
    for path in paths:
        console.print(Image(path, width=min(SHOWN, console.width), height="auto"))


@cache
def bytes_text(size: int) -> str:
    """1234567 -> '1.2 MB'."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} B"


def plain(value: Any) -> Any:
    """`value` in what JSON knows."""
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if hasattr(value, "_asdict"):  # a named tuple
        return plain(value._asdict())
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


def _aligned(columns: Sequence[str], rows: list[Sequence[Any]]) -> None:
    drawn = [_padded(column) for column in zip(columns, *rows, strict=True)]
    print("\n".join(map(str.rstrip, map("  ".join, zip(*drawn, strict=True)))))


def _padded(values: Sequence[Any]) -> list[str]:
    """A column's cells at one width; 10,000 rows want whole columns handled at once."""
    cells = ["" if value is None else str(value) for value in values]
    if not "".join(cells).isprintable():
        cells = list(map(_cell, cells))
    width = max(map(len, cells))
    return [cell.ljust(width) for cell in cells]


def _fitted(columns: Sequence[str], rows: list[Sequence[Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for name, values in zip(columns, zip(*rows, strict=True), strict=True):
        drawn.add_column(name, no_wrap=max(len(_cell(value)) for value in values) <= SHORT, overflow="fold")
    for row in rows:
        drawn.add_row(*map(_cell, row))
    Console(markup=False, highlight=False, emoji=False, width=shutil.get_terminal_size().columns).print(drawn)
