"""How early each target fixes its picture: distance of the Diffusion Target to the final picture, over a set of prompts (figure 5)."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ctrlx import catalogue
from ctrlx.commands.dt import MEASURES, OnProgress, beside, label
from ctrlx.commands.generate import load
from ctrlx.commands.picture import Request, read_prompts, resolve
from ctrlx.commands.transfer import make_folder
from ctrlx.errors import HomeTrouble, MissingWeights
from ctrlx.sampling.settings import Settings
from ctrlx.store import Registry


@dataclass(frozen=True)
class Curves:
    """`curve` is by lane: a point a step with the mean distance, its 95 % interval, and the share of the run that is done."""

    curve: Mapping[str, Sequence[Mapping[str, float]]]
    measure: str  # "clip", or "pixels" where there is no scorer
    pictures: int  # of each lane
    chart: str
    table: str
    run: str
    warnings: tuple[str, ...] = ()


def dt_curve(
    settings: Settings, prompts_file: str, *, compare: Sequence[str] = (), seed: int = 0, count: int = 1, device: str | None = None,
    out: Path | None = None, home: Path | None = None, on_progress: OnProgress = lambda *_: None,
) -> Curves:
    """Draws every prompt of a file or a named set with `count` seeds, on the plan of `settings` and each target of `compare`.

    Raises as `generate` does.
    """
    with Registry.open(home) as registry:
        first = resolve(registry, settings, read_prompts(prompts_file), seed, count)
        requests = {label(request): request for request in (first, *(beside(first, name) for name in compare))}
        files = {control.name: registry.verified_weights_path(control) for control, _ in first.controls}
        with registry.recording("dt", {**first.arguments(), "compare": list(compare), "curve": True}, read=first.hashes) as run:
            folder = make_folder(out or registry.home / "runs" / run.id)
            curve, measure, warnings = curves(requests, files, device, on_progress)
            try:
                written = write(curve, measure, len(first.pairs), folder)
            except OSError as problem:
                raise HomeTrouble(f"the curve cannot be written to {folder} ({problem.strerror or problem}); give another folder with --out") from problem
            result = Curves(curve, measure, len(first.pairs), *written, run=run.id, warnings=warnings)
            registry.finish_run(run, "done", result=asdict(result), made=written)
    return result


def curves(requests: Mapping[str, Request], files: Mapping[str, Path], device: str | None, on_progress: OnProgress):
    """Points by lane, the name of the measure, and warnings."""
    from ctrlx.controls.read import read_control
    from ctrlx.sampling.drawing import default_batch, refuse
    from ctrlx.sampling.dump import seen_of

    first = next(iter(requests.values()))
    models = load(first, {"device": device, "offload": False})
    far, measure, warnings = distance_of(first)
    plans = {name: request.plan(models.scheduler_config) for name, request in requests.items()}
    for plan in plans.values():
        refuse(models, plan, first.prompts, first.settings.negative)
    targets = list({target.name: target for plan in plans.values() for target in plan.targets}.values())
    controls = {name: read_control(file, models.denoiser(targets[0]).unet.config) for name, file in files.items()}
    total = sum(len(range(0, len(first.pairs), default_batch(plan))) * plan.steps for plan in plans.values())
    curve, done = {}, 0

    def stepped() -> None:
        nonlocal done
        done += 1
        on_progress("following", done, total)

    with models.attached(targets, controls):
        for name, plan in plans.items():
            batches = seen_of(models, plan, first.pairs, default_batch(plan), first.settings.negative, stepped)
            curve[name] = points([far(seen, finals) for seen, finals in batches], plan)
    return curve, measure, warnings


def distance_of(request: Request):
    """A function from Diffusion Targets [step][picture] and pictures to distances (pictures, steps); its name; warnings."""
    import numpy as np

    from ctrlx.scoring.clip import ClipScorer
    from ctrlx.scoring.trajectory import cosine_distances, pixel_distances

    def by_pixels(seen, finals):
        return np.array([pixel_distances([step[i] for step in seen], final) for i, final in enumerate(finals)])

    try:
        scorer = ClipScorer(request.family.scorer, catalogue.registry_folder())
    except MissingWeights as missing:
        return by_pixels, "pixels", (f"the distance is of pixels: {missing}",)

    def by_clip(seen, finals):
        ends, steps = scorer.embed_images(finals), [scorer.embed_images(step) for step in seen]
        return np.array([cosine_distances(np.stack([step[i] for step in steps]), end) for i, end in enumerate(ends)])

    return by_clip, "clip", ()


def points(distances: Sequence[Any], plan: Any) -> list[dict[str, float]]:
    """Distances (pictures, steps) of each batch to a point a step."""
    import numpy as np

    from ctrlx.scoring.trajectory import mean_curve

    means = mean_curve(np.concatenate(distances))
    timesteps = [timestep for leg in plan.legs for timestep in leg.timesteps]
    return [
        {"step": i, "timestep": timestep, "share": (i + 1) / len(timesteps), "distance": float(mean), "low": float(low), "high": float(high)}
        for i, (timestep, (mean, low, high)) in enumerate(zip(timesteps, means, strict=True))
    ]


def write(curve: Mapping[str, Sequence[Mapping[str, float]]], measure: str, pictures: int, folder: Path) -> list[str]:
    """The chart and the table; their paths."""
    from ctrlx.reports.chart import Line, chart

    columns = ("share", "distance", "low", "high")
    lines = [Line(name, [tuple(point[column] for column in columns) for point in found]) for name, found in curve.items()]
    title = f"How early the picture is fixed: {pictures} pictures a target, bands are 95 % intervals"
    chart(title, "share of the run that is done", f"distance to the final picture ({MEASURES[measure]})", lines).save(folder / "curve.png")
    with (folder / "curve.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, ("target", "step", "timestep", *columns, "pictures", "measure"))
        rows.writeheader()
        rows.writerows({"target": name, **point, "pictures": pictures, "measure": measure} for name, found in curve.items() for point in found)
    return [str(folder / "curve.png"), str(folder / "curve.csv")]
