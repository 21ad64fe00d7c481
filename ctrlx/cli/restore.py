"""`ctrlx restore NAME`."""

from __future__ import annotations

from typing import Annotated

import typer

from ctrlx.cli import output


def restore(name: Annotated[str, typer.Argument(help="The name of a control that was removed.")]) -> None:
    """Bring a removed control back, as long as `ctrlx gc` has not run.

    Example: ctrlx restore my_slider
    """
    from ctrlx.commands.restore import restore

    output.say(f"'{restore(name).name}' is back")
