"""`ctrlx rename NAME NEW`."""

from __future__ import annotations

from typing import Annotated

import typer

from ctrlx.cli import output


def rename(
    name: Annotated[str, typer.Argument(help="A control's name.")],
    new: Annotated[str, typer.Argument(help="What to call it from now on.")],
) -> None:
    """Give a control another name; its scores and its history go with it.

    Example: ctrlx rename my_slider slider_beard
    """
    from ctrlx.commands.rename import rename

    output.say(f"'{name}' is now '{rename(name, new).name}'")
