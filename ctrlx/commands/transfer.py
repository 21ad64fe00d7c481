"""A control on a target that it was not trained on, beside its source: pictures, coverage, efficacy."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ctrlx import catalogue
from ctrlx.errors import BadInput, HomeTrouble, WrongFamily
from ctrlx.records import Control, Coverage, Family, Score, Target
from ctrlx.store import Registry

SLIDER_STRENGTHS = (-2.0, -1.0, 1.0, 2.0)
OTHER_STRENGTHS = (1.0,)
OnProgress = Callable[[str, int, int], None]  # what is under way, steps done, steps in all


@dataclass(frozen=True)
class Transfer:
    """What was found. `efficacy` is {"source" or "target": {strength: {percent, low, high, n, points, original, edited}}}."""

    control: str
    source: str
    target: str
    direction: str  # "forward", "reverse", or "sideways" between two distilled targets
    coverage: Mapping[str, int]
    strengths: tuple[float, ...]
    concept: str
    prompts: tuple[str, ...]
    seeds: tuple[int, ...]
    efficacy: Mapping[str, Mapping[str, Mapping[str, Any]]]
    scorer: Mapping[str, str]
    grid: str
    run: str
    seconds: float


@dataclass(frozen=True)
class Request:
    """A transfer with every name resolved, before anything heavy is loaded."""

    control: Control
    family: Family
    source: Target
    target: Target
    strengths: tuple[float, ...]
    prompts: tuple[str, ...]
    seeds: tuple[int, ...]
    start_noise: int | None
    threshold: float

    def arguments(self) -> dict[str, Any]:
        """What the run's record keeps of it."""
        return {
            "control": self.control.name, "source": self.source.full_name, "target": self.target.full_name,
            "strengths": list(self.strengths), "prompts": list(self.prompts), "seeds": list(self.seeds),
            "start_noise": self.start_noise, "threshold": self.threshold,
        }


def transfer(
    control: str,
    *,
    to: str,
    strengths: Sequence[float] = (),
    prompts: Sequence[str] = (),
    seeds: int = 4,
    first_seed: int = 0,
    start_noise: int | None = None,
    threshold: float = 1.0,
    out: Path | None = None,
    home: Path | None = None,
    on_progress: OnProgress = lambda *_: None,
) -> Transfer:
    """Draws the control at each strength on its source and on `to`, same prompts and seeds, and measures both.

    seeds: how many, counted from first_seed. start_noise: the control is off at timesteps above it. threshold: the least share of the
    control's modules that a target must take. out: a folder for the grid and the pictures; the run's own in the registry by default.

    Raises:
        NotKnown, WrongFamily, BadInput: before anything is loaded.
        MissingWeights, BadWeights, PartialCoverage: before anything is drawn.
        HomeTrouble: the registry or `out` cannot be written.
    """
    began = time.monotonic()
    with Registry.open(home) as registry:
        request = resolve(registry.control(control), to, strengths, prompts, seeds, first_seed, start_noise, threshold)
        weights = registry.verified_weights_path(request.control)
        with registry.recording("transfer", request.arguments(), read={request.control.name: request.control.sha256}) as run:
            folder = make_folder(out or registry.home / "runs" / run.id)
            pictures, coverage, measured = draw_and_score(request, weights, on_progress)
            grid = write_pictures(request, pictures, measured, folder)
            registry.add_scores(run, scores_of(request, measured))
            result = Transfer(
                control=request.control.name, source=request.source.name, target=request.target.name, direction=direction(request),
                coverage={"adapted": coverage.adapted, "total": coverage.total}, strengths=request.strengths,
                concept=request.control.concept, prompts=request.prompts, seeds=request.seeds,
                efficacy=efficacies(request, measured), scorer=measured.scorer, grid=str(grid), run=run.id,
                seconds=round(time.monotonic() - began, 1),
            )
            registry.finish_run(run, "done", result=asdict(result), made=sorted(map(str, folder.glob("*.png"))))
    return result


def resolve(
    control: Control, to: str, strengths: Sequence[float], prompts: Sequence[str], seeds: int, first_seed: int,
    start_noise: int | None, threshold: float,
) -> Request:
    """Names and numbers checked against each other."""
    family = catalogue.family(control.family)
    target = catalogue.resolve_target(to, control.family)
    if target.family != control.family:
        raise WrongFamily(f"'{control.name}' was made for family '{control.family}' and cannot go on '{target.full_name}'; "
                          f"choose one of {', '.join(family.targets)}")
    source = family.targets.get(control.source) or catalogue.resolve_target(control.source, control.family)
    if target == source:
        others = [name for name in family.targets if name != source.name]
        raise BadInput(f"'{control.name}' was trained on '{source.name}' itself; transfer it to {' or '.join(others)}")
    if seeds < 1:
        raise BadInput(f"--seeds is {seeds}; at least one seed is needed")
    if not 0 <= threshold <= 1:
        raise BadInput(f"--min-coverage is {threshold:g}; it is a share, from 0 to 1")
    strengths = tuple(dict.fromkeys(float(s) for s in strengths)) or (SLIDER_STRENGTHS if "slider" in control.kind else OTHER_STRENGTHS)
    if any(s == 0 or abs(s) > 100 or s != s for s in strengths):
        raise BadInput("a strength must be a number other than 0, from -100 to 100; the picture at 0 is always drawn")
    prompts = tuple(prompts) or control.prompts or (family.prompt,)
    if not all(prompt.strip() for prompt in prompts):
        raise BadInput("a prompt is empty; say what to draw, or leave --prompt out")
    if not control.concept:
        raise BadInput(f"'{control.name}' says nothing of what it shows, so it cannot be scored; import or train it with --concept")
    numbers = tuple(range(first_seed, first_seed + seeds))
    return Request(control, family, source, target, strengths, prompts, numbers, start_noise, threshold)


def make_folder(folder: Path) -> Path:
    """`folder`, there and writable."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".ctrlx"
        probe.touch()
        probe.unlink()
    except OSError as problem:
        raise HomeTrouble(f"{folder} cannot be written ({problem.strerror}); give another folder with --out") from problem
    return folder


def draw_and_score(request: Request, weights: Path, on_progress: OnProgress):
    """Pictures by target name and strength, the target's coverage, and raw scores in the same order."""
    from ctrlx.controls.read import read_control
    from ctrlx.sampling.sweep import sweep
    from ctrlx.scoring.measure import measure
    from ctrlx.targets.models import Models

    models = Models(request.family)
    targets = (request.source, request.target)
    control = read_control(weights, models.denoiser(request.target).unet.config)
    with models.attached(targets, {request.control.name: control}, request.threshold) as coverage:
        pictures = sweep(models, targets, request.control.name, request.strengths, request.prompts, request.seeds,
                         start_noise=request.start_noise, on_progress=on_progress)
    on_progress("scoring", 0, 1)
    measured = measure(pictures, request.control.concept, request.family.scorer, models.registry)
    on_progress("scoring", 1, 1)
    return pictures, coverage[request.target.name][request.control.name], measured


def efficacies(request: Request, measured) -> dict[str, dict[str, dict[str, Any]]]:
    """Efficacy by side and strength, as the result carries it."""
    sides = {"source": request.source, "target": request.target}
    return {side: {f"{s:g}": asdict(measured.efficacy(target.name, s)) for s in request.strengths} for side, target in sides.items()}


def scores_of(request: Request, measured) -> list[Score]:
    """Raw scores as the store keeps them, a row a picture pair."""
    pairs = [(prompt, seed) for prompt in request.prompts for seed in request.seeds]
    return [
        Score(request.control.name, target.full_name, strength, prompt, seed, float(original), float(edited), request.control.concept,
              measured.scorer["sha256"])
        for target in (request.source, request.target)
        for strength in request.strengths
        for (prompt, seed), original, edited in zip(pairs, measured.scores[target.name][0.0], measured.scores[target.name][strength], strict=True)
    ]


def direction(request: Request) -> str:
    """Which way the control went."""
    roles = (request.source.role, request.target.role)
    return {("base", "distilled"): "forward", ("distilled", "base"): "reverse"}.get(roles, "sideways")


def write_pictures(request: Request, pictures, measured, folder: Path) -> Path:
    """Every picture as a PNG of its own, and the labelled grid; the grid's path."""
    from ctrlx.reports.transfer_grid import transfer_grid

    try:
        for target, by_strength in pictures.items():
            for strength, images in by_strength.items():
                for number, image in enumerate(images):
                    image.save(folder / f"{target}_{strength:+g}_{number:03d}.png")
        path = folder / "grid.png"
        transfer_grid(request.control.name, request.control.concept, [request.source.name, request.target.name], request.prompts,
                      request.seeds, pictures, measured).save(path)
    except OSError as problem:
        raise HomeTrouble(f"pictures cannot be written to {folder} ({problem.strerror}); free some space or give another --out") from problem
    return path
