"""`ctrlx dt [PROMPT]`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctrlx.cli import output
from ctrlx.cli.progress import progress
from ctrlx.errors import BadInput
from ctrlx.sampling.settings import Settings, parse_size


def dt(
    prompt: Annotated[str | None, typer.Argument(help="What to draw; the family's own prompt by default.")] = None,
    target: Annotated[str | None, typer.Option("--target", "-t", help="What to look into: 'turbo', or in full 'sdxl/turbo'.")] = None,
    compare: Annotated[list[str] | None, typer.Option(help="A target to show beside it; may be repeated.")] = None,
    hybrid_k: Annotated[int | None, typer.Option("--hybrid-k", help="Let the base lead for the first K of the target's steps.")] = None,
    base_steps: Annotated[int | None, typer.Option(help="Base steps that stand for the first K; as many by default.")] = None,
    base_guidance: Annotated[float | None, typer.Option(help="Guidance of the base in a hybrid; 0 by default.")] = None,
    preset: Annotated[str | None, typer.Option(help="The base's steps: correct (its own scheduler) or paper (the target's).")] = None,
    skip_first: Annotated[int | None, typer.Option(help="Leave the target's first N steps out.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of the target; its own number by default.")] = None,
    guidance: Annotated[float | None, typer.Option(help="Guidance of the target; its own by default.")] = None,
    control: Annotated[list[str] | None, typer.Option("--control", "-c", help="NAME[:STRENGTH][@TARGET]; may be repeated.")] = None,
    start_noise: Annotated[int | None, typer.Option(help="Keep controls off above this timestep (0 to 999).")] = None,
    negative: Annotated[str | None, typer.Option(help="What guidance leads away from.")] = None,
    seed: Annotated[int, typer.Option(help="Of the picture, or of the first one with --curve.")] = 0,
    curve: Annotated[bool, typer.Option("--curve", help="Draw how early each target fixes its picture, over --prompts.")] = False,
    prompts: Annotated[str, typer.Option(help="For --curve: a text file with a prompt a line, or the name of a prompt set.")] = "people",
    count: Annotated[int, typer.Option("-n", "--count", help="For --curve: pictures a prompt.")] = 4,
    every: Annotated[int, typer.Option(help="Look at every N-th step only, and at the last.")] = 1,
    watch: Annotated[list[str] | None, typer.Option(help="A phrase to follow; may be repeated. Those of the prompt by default.")] = None,
    animation: Annotated[str, typer.Option(help="webp or gif.")] = "webp",
    size: Annotated[str | None, typer.Option(help="WIDTHxHEIGHT in pixels; the target's own by default.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32, float16 or bfloat16.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps; the fastest by default.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for all of it; the run's own by default.")] = None,
    as_json: output.AsJson = False,
) -> None:
    """Look inside: what the model thinks the picture will be, at every step.

    Writes each step's Diffusion Target, a strip, an animation, the distances to the final picture and a page to scrub through them.

    Example: ctrlx dt "a person wearing a hat" --target turbo --compare base
    """
    from ctrlx.commands.dt import dt

    settings = Settings(
        target=target, hybrid_k=hybrid_k, base_steps=base_steps, base_guidance=base_guidance, skip_first=skip_first, steps=steps,
        guidance=guidance, controls=tuple(control or ()), start_noise=start_noise, negative=negative,
        size=None if size is None else parse_size(size), preset=preset, dtype=dtype,
    )
    if curve:
        if prompt is not None or watch or every != 1:
            raise BadInput("--curve is drawn over --prompts, at every step; leave the prompt, --watch and --every out")
        follow(settings, prompts, compare or (), seed, count, device, out, as_json)
        return
    with progress() as report:
        found = dt(() if prompt is None else (prompt,), settings, compare=compare or (), seed=seed, every=every, watch=watch or (),
                   animation=animation, device=device, out=out, on_progress=report)
    if as_json:
        output.json_document(found)
    else:
        show(found)


def follow(settings: Settings, prompts: str, compare, seed: int, count: int, device: str | None, out: Path | None, as_json: bool) -> None:
    """`ctrlx dt --curve`."""
    from ctrlx.commands.dt_curve import dt_curve

    with progress() as report:
        found = dt_curve(settings, prompts, compare=compare, seed=seed, count=count, device=device, out=out, on_progress=report)
    if as_json:
        output.json_document(found)
        return
    for warning in found.warnings:
        output.say(f"warning: {warning}")
    rows = [
        (name, point["step"], f"{point['timestep']:g}", f"{point['distance']:.3f}", f"{point['low']:.3f} to {point['high']:.3f}")
        for name, points in found.curve.items() for point in points
    ]
    output.table(("TARGET", "STEP", "TIMESTEP", f"DISTANCE ({found.measure})", "95 % INTERVAL"), rows)
    print(f"\n{found.pictures} pictures a target\nchart  {found.chart}\ntable  {found.table}\nrun    {found.run}")


def show(found) -> None:
    """The result as a person reads it."""
    for warning in found.warnings:
        output.say(f"warning: {warning}")
    rows = [(name, point["step"], f"{point['timestep']:g}", f"{point['distance']:.3f}") for name, points in found.curve.items() for point in points]
    output.table(("TARGET", "STEP", "TIMESTEP", f"DISTANCE ({found.measure})"), rows)
    print()
    for mind in found.changed_minds:
        print(f"{mind['target']} changed its mind about '{mind['phrase']}': {mind['peak']:.1f} at step {mind['step']}, {mind['final']:.1f} in the end")
    print(f"page   {found.page}\nstrip  {found.strip}\nmoving {found.animation}\nrun    {found.run}")
