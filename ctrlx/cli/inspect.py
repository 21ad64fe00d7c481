"""`ctrlx inspect FILE`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from ctrlx.cli import output

FIRST = 3  # key names told of each sort; --json tells all


def inspect(
    file: Annotated[str, typer.Argument(help="A weight file: .safetensors, .pt or .bin.")],
    against: Annotated[Optional[list[str]], typer.Option(help="A target to measure it against: 'base', 'sdxl/turbo'; may be repeated.")] = None,
    as_json: output.AsJson = False,
) -> None:
    """Say what a weight file is and how much of it each target would take, from its header alone.

    Example: ctrlx inspect my_lora.safetensors --against sdxl/base --against sdxl/turbo
    """
    from ctrlx.commands.inspect import inspect

    found = inspect(Path(file), against=against or ())
    if as_json:
        output.json_document(found)
        return
    output.facts({
        "format": found.format, "family": found.family or "unknown", "kind": found.kind or "no control",
        "components": counted(found.components, "modules of the {}"), "rank": counted(found.rank, "of rank {}"),
        "alpha": counted(found.alpha, "of alpha {}") or "not stated: as the rank", "trigger words": ", ".join(found.trigger_words),
        "trained on": ", ".join(f"{part} {said}" for part, said in found.trained_on.items()),
    })
    if found.targets:
        rows = [(name, f"{fit.adapted} of {fit.total}", some(fit.dropped), some(fit.foreign)) for name, fit in found.targets.items()]
        print()
        output.table(("TARGET", "ADAPTED", "DROPPED", "FOREIGN"), rows)


def counted(counts, words: str) -> str:
    """{"4": 90, "8": 3} -> '90 of rank 4, 3 of rank 8'."""
    return ", ".join(f"{count} {words.format(value)}" for value, count in counts.items())


def some(names) -> str:
    """'5: a, b, c, …'"""
    return f"{len(names)}: {', '.join(names[:FIRST])}{', …' if len(names) > FIRST else ''}" if names else "0"
