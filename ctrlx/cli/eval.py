"""`ctrlx eval --matrix`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctrlx.cli import output
from ctrlx.cli.progress import progress
from ctrlx.errors import BadInput


def evaluate(
    matrix: Annotated[bool, typer.Option("--matrix", help="Measure every control on every target.")] = False,
    controls: Annotated[list[str] | None, typer.Option("--controls", "-c", help="Names, with commas or repeated; all of the family by default.")] = None,
    targets: Annotated[list[str] | None, typer.Option("--targets", "-t", help="Names, with commas or repeated; all that are here by default.")] = None,
    direction: Annotated[str, typer.Option(help="forward (base to distilled), reverse, or both.")] = "both",
    prompts: Annotated[str | None, typer.Option(help="A prompt set, or a text file with a prompt a line; each control's own by default.")] = None,
    seeds: Annotated[int, typer.Option(help="Pictures a prompt, each of its own seed.")] = 4,
    strengths: Annotated[list[str] | None, typer.Option("--strengths", "-s", help="Numbers, with commas or repeated; sliders: 0.5,1,1.5, others: 1.")] = None,
    start_noise: Annotated[int | None, typer.Option(help="Keep controls off above this timestep (0 to 999).")] = None,
    min_coverage: Annotated[float, typer.Option(help="Least share of a control's modules that a target must take.")] = 1.0,
    engine: Annotated[str, typer.Option(help="local, or ray: its workers draw at the same time, also on other machines.")] = "local",
    workers: Annotated[int | None, typer.Option(help="How many workers Ray starts; one a GPU or CPU by default.")] = None,
    address: Annotated[str | None, typer.Option(help="Of a Ray cluster; this machine's own by default.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the report; the run's own by default.")] = None,
    as_json: output.AsJson = False,
) -> None:
    """Measure how much of each control arrives on each target, and write tables, pictures and a page about it.

    What was drawn once is not drawn again: Ctrl-C, then the same command, goes on from there.

    Example: ctrlx eval --matrix
    """
    from ctrlx.commands.eval import evaluate
    from ctrlx.commands.matrix import Asked, Engine

    if not matrix:
        raise BadInput("say what to evaluate: `ctrlx eval --matrix` measures every control on every target")
    asked = Asked(split(controls), split(targets), direction, prompts, seeds, numbers(split(strengths)), start_noise, min_coverage)
    with progress() as report:
        found = evaluate(asked, engine=Engine(engine, workers, address), out=out, on_progress=report)
    if as_json:
        output.json_document(found)
    else:
        show(found)


def show(found) -> None:
    """The result as a person reads it."""
    for warning in found.warnings:
        output.say(f"warning: {warning}")
    columns = ("CONTROL", "TARGET", "DIRECTION", "STRENGTH", "EFFECT", "RATIO", "DISTANCE", "UNRELATED", "COVERAGE")
    output.table(columns, [line(cell) for cell in found.cells])
    print(f"\neffect: change of the CLIP score, 95 % interval; ratio: share of the source's effect; scorer {found.scorer['name']}")
    print(f"{found.made} pictures drawn, {found.reused} reused, {found.seconds:.0f} s\nreport  {found.report}\nrun     {found.run}")


def line(cell) -> tuple:
    """One cell's row."""
    coverage, side = cell["coverage"], cell["side_effects"]
    ratio = "broken" if cell["broken"] else "–" if cell["ratio"] is None else f"{cell['ratio']:.2f}"
    return (cell["control"], cell["target"], cell["direction"], f"{cell['strength']:+g}", effect(cell), ratio, figure(side["distance"], "{:.3f}"),
            figure(side["probes"], "{:.1f}"), f"{coverage['adapted']}/{coverage['total']}")


def effect(cell) -> str:
    if cell["percent"] is not None:
        return f"{cell['percent']:+.1f} % ({cell['low']:.1f} to {cell['high']:.1f})"
    return f"{cell['points']:+.1f} points" if cell["points"] is not None else "not drawn"


def figure(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


def split(values: list[str] | None) -> list[str]:
    """['a,b', 'c'] -> ['a', 'b', 'c']."""
    return [part.strip() for value in values or () for part in value.split(",") if part.strip()]


def numbers(values: list[str]) -> list[float]:
    try:
        return [float(value) for value in values]
    except ValueError as wrong:
        raise BadInput(f"--strengths takes numbers ({wrong}); write 0.5,1,1.5") from None
