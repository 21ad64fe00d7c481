"""`ctrlx gate REPORT`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctrlx.cli import output

FAILED = 1  # the exit code of a report that is not good enough


def gate(
    report: Annotated[Path, typer.Argument(help="A matrix.json, or the folder that holds one.")],
    min_ratio: Annotated[float, typer.Option(help="Least share of the source's effect that must arrive.")] = 0.8,
    max_side_effects: Annotated[float | None, typer.Option(help="Most CLIP points that unrelated texts may move by.")] = None,
    max_distance: Annotated[float | None, typer.Option(help="Largest mean perceptual distance.")] = None,
    strength: Annotated[float | None, typer.Option(help="Judge this strength; by default each control's nearest to 1.")] = None,
    as_json: output.AsJson = False,
) -> None:
    """Exit with 0 where every transfer of a matrix is good enough, with 1 where one is not: for CI.

    Example: ctrlx gate matrix --min-ratio 0.8
    """
    from ctrlx.commands.gate import Limits, gate

    found = gate(report, Limits(min_ratio, max_side_effects, max_distance, strength))
    if as_json:
        output.json_document(found)
    else:
        for sentence in found.skipped:
            output.say(f"not judged: {sentence}")
        print("\n".join([*found.failures, f"{'passed' if found.passed else 'failed'}: {found.judged} cells judged, {len(found.skipped)} not"]))
    if not found.passed:
        raise typer.Exit(FAILED)
