"""`ctrlx tag NAME TAG …`."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from ctrlx.cli import output


def tag(
    name: Annotated[str, typer.Argument(help="A control's name.")],
    tags: Annotated[Optional[list[str]], typer.Argument(help="Tags to add.")] = None,
    remove: Annotated[Optional[list[str]], typer.Option("--remove", "-r", help="A tag to take away; may be repeated.")] = None,
    as_json: output.AsJson = False,
) -> None:
    """Add tags to a control, or take some away; with neither, show them.

    Example: ctrlx tag slider_age portrait favourite
    """
    from ctrlx.commands.tag import tag

    control = tag(name, add=tags or (), remove=remove or ())
    if as_json:
        output.json_document(control)
    else:
        print(f"{control.name}: {', '.join(control.tags) or 'no tags'}")
