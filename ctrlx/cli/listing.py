"""`ctrlx list`."""

from __future__ import annotations

from typing import Annotated

import typer

from ctrlx.cli import output
from ctrlx.records import ListedControl

COLUMNS = ("NAME", "KIND", "FAMILY", "SOURCE", "RANK", "MODULES", "ORIGIN", "SIZE")


def list_controls(
    kind: Annotated[str | None, typer.Option(help="Only this kind: slider, image-slider, dreambooth, …")] = None,
    family: Annotated[str | None, typer.Option(help="Only controls of this family.")] = None,
    source: Annotated[str | None, typer.Option(help="Only controls trained on this target: base, sdxl/turbo, …")] = None,
    tag: Annotated[str | None, typer.Option(help="Only controls with this tag.")] = None,
    sort: Annotated[str, typer.Option(help="By name, kind, family, source, rank, modules, origin, size, created; -size for the largest first.")] = "name",
    as_json: output.AsJson = False,
) -> None:
    """List the controls in the registry.

    Example: ctrlx list --kind slider --family pocket
    """
    from ctrlx.commands.listing import list_controls

    controls = list_controls(kind=kind, family=family, source=source, tag=tag, sort=sort)
    if as_json:
        output.json_document(controls)
    elif controls:
        output.table(COLUMNS, map(row, controls))
    else:
        output.say("no control is like that; `ctrlx list` shows all of them" if kind or family or source or tag else "the registry is empty")


def row(control: ListedControl) -> tuple:
    """As the table of controls shows it."""
    return (*control[:7], output.bytes_text(control.size))
