"""`ctrlx search WORDS`."""

from __future__ import annotations

from typing import Annotated

import typer

from ctrlx.cli import listing, output


def search(
    words: Annotated[list[str], typer.Argument(help="Words, or how they begin; all must be found.")],
    as_json: output.AsJson = False,
) -> None:
    """Find controls by their names, tags, notes, prompts, trigger words and hashes.

    Example: ctrlx search watercolor
    """
    from ctrlx.commands.search import search

    controls = search(" ".join(words))
    if as_json:
        output.json_document(controls)
    elif controls:
        output.table(listing.COLUMNS, map(listing.row, controls))
    else:
        output.say("nothing was found; `ctrlx list` shows all controls")
