"""Diffusion Target dumps of one prompt and seed on one or more plans: pictures, latents, distances, changed minds, and a page of them."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ctrlx import __version__, catalogue
from ctrlx.commands.generate import load
from ctrlx.commands.picture import Request, goes_on, resolve
from ctrlx.commands.transfer import make_folder
from ctrlx.errors import BadInput, HomeTrouble, MissingWeights, WrongFamily
from ctrlx.sampling.settings import Settings
from ctrlx.store import Registry

OnProgress = Callable[[str, int, int], None]  # what is under way, steps done, steps in all
ANIMATIONS = ("webp", "gif")
MEASURES = {"clip": "1 - cosine of the family's CLIP scorer", "pixels": "root mean square difference of pixels"}


@dataclass(frozen=True)
class Dumped:
    """What was seen. `curve` is by lane; `measure` says what its distance is: "clip", or "pixels" where there is no scorer."""

    images: tuple[Mapping[str, Any], ...]  # {path, target, step, what: "x0" or "latent"}
    strip: str
    page: str
    animation: str
    latents: str
    curve: Mapping[str, Sequence[Mapping[str, float]]]
    measure: str
    changed_minds: tuple[Mapping[str, Any], ...]
    run: str
    warnings: tuple[str, ...] = ()


def dt(
    prompts: Sequence[str] = (), settings: Settings | None = None, *, compare: Sequence[str] = (), seed: int = 0, every: int = 1,
    watch: Sequence[str] = (), animation: str = "webp", device: str | None = None, out: Path | None = None, home: Path | None = None,
    on_progress: OnProgress = lambda *_: None,
) -> Dumped:
    """Dumps what the model thinks the picture will be, at every `every`-th step, for the plan of `settings` and each target of `compare`.

    watch: phrases whose score is followed; those that the prompt names by default. out: the run's own folder by default.
    Raises as `generate` does.
    """
    if every < 1:
        raise BadInput(f"--every is {every}; give 1 for each step, 2 for each second one, and so on")
    if animation not in ANIMATIONS:
        raise BadInput(f"an animation cannot be '{animation[:20]}'; give webp or gif")
    with Registry.open(home) as registry:
        first = resolve(registry, settings or Settings(), prompts, seed, 1)
        requests = {label(request): request for request in (first, *(beside(first, name) for name in compare))}
        files = {control.name: registry.verified_weights_path(control) for control, _ in first.controls}
        arguments = {**first.arguments(), "compare": list(compare), "every": every, "watch": list(watch)}
        with registry.recording("dt", arguments, read=first.hashes) as run:
            folder = make_folder(out or registry.home / "runs" / run.id)
            lanes, dumps = see(requests, files, device, every, on_progress)
            on_progress("scoring", 0, 1)
            measured = measure(first, dumps, watch)
            on_progress("scoring", 1, 1)
            try:
                written = write(first, lanes, dumps, measured, folder, animation, run.id)
            except OSError as problem:
                raise HomeTrouble(f"the dump cannot be written to {folder} ({problem.strerror or problem}); "
                                  "free some space or give another folder with --out") from problem
            result = Dumped(**written, measure=measured["measure"], changed_minds=measured["minds"], warnings=measured["warnings"], run=run.id)
            registry.finish_run(run, "done", result=asdict(result), made=sorted(map(str, folder.rglob("*.*"))))
    return result


def beside(first: Request, name: str) -> Request:
    """`name` alone, on the prompt, seed and controls of `first`."""
    target = catalogue.resolve_target(name, first.family.id)
    if target.family != first.family.id:
        raise WrongFamily(f"'{target.full_name}' and '{first.target.full_name}' share no latents; compare targets of one family")
    kept = ("negative", "size", "start_noise", "dtype")
    settings = Settings(**{name: getattr(first.settings, name) for name in kept})
    controls = tuple((control, wish) for control, wish in first.controls if goes_on(wish, target))
    return replace(first, target=target, lead=None, controls=controls, settings=settings)


def label(request: Request) -> str:
    """What a lane is called: 'dmd2', 'base > dmd2, k = 1', 'dmd2 without its first 1'."""
    if request.lead is not None:
        return f"{request.lead.name} > {request.target.name}, k = {request.settings.hybrid_k}"
    skipped = request.settings.skip_first
    return f"{request.target.name} without its first {skipped}" if skipped else request.target.name


def see(requests: Mapping[str, Request], files: Mapping[str, Path], device: str | None, every: int, on_progress: OnProgress):
    """Plans by lane, and dumps by lane."""
    from ctrlx.controls.read import read_control
    from ctrlx.sampling.drawing import refuse
    from ctrlx.sampling.dump import dump

    first = next(iter(requests.values()))
    models = load(first, {"device": device, "offload": False})
    plans = {name: request.plan(models.scheduler_config) for name, request in requests.items()}
    for plan in plans.values():
        refuse(models, plan, first.prompts, first.settings.negative)
    targets = list({target.name: target for plan in plans.values() for target in plan.targets}.values())
    controls = {name: read_control(file, models.denoiser(targets[0]).unet.config) for name, file in files.items()}
    dumps, done, total = {}, 0, sum(plan.steps for plan in plans.values())

    def stepped() -> None:
        nonlocal done
        done += 1
        on_progress("dumping", done, total)

    with models.attached(targets, controls):
        for name, plan in plans.items():
            dumps[name] = dump(models, plan, first.prompts[0], first.seeds[0], first.settings.negative, every, stepped)
    return plans, dumps


def measure(request: Request, dumps: Mapping[str, Any], watch: Sequence[str]) -> dict[str, Any]:
    """Distances by lane, changed minds, and what measured them."""
    from ctrlx.scoring.clip import ClipScorer
    from ctrlx.scoring.trajectory import changed_minds, cosine_distances, phrases_of, pixel_distances

    pictures = {name: [frame.seen for frame in found.frames] for name, found in dumps.items()}
    phrases = tuple(watch) or phrases_of(request.prompts[0])
    try:
        scorer = ClipScorer(request.family.scorer, catalogue.registry_folder())
    except MissingWeights as missing:
        far = {name: pixel_distances(seen, dumps[name].final) for name, seen in pictures.items()}
        return {"measure": "pixels", "distances": far, "minds": (), "phrases": phrases, "warnings": (f"no mind was read: {missing}",)}
    words = scorer.embed_texts(phrases) if phrases else None
    far, minds = {}, []
    for name, seen in pictures.items():
        vectors = scorer.embed_images([*seen, dumps[name].final])
        far[name] = cosine_distances(vectors[:-1], vectors[-1])
        if phrases:
            steps = [*(frame.step for frame in dumps[name].frames), dumps[name].frames[-1].step]
            minds += [{"target": name, **asdict(mind)} for mind in changed_minds(phrases, 100 * words @ vectors.T, steps)]
    return {"measure": "clip", "distances": far, "minds": tuple(minds), "phrases": phrases, "warnings": ()}


def write(
    request: Request, plans: Mapping[str, Any], dumps: Mapping[str, Any], measured: Mapping[str, Any], folder: Path, animation: str, run: str
) -> dict[str, Any]:
    """Every file of a dump; their paths as Dumped has them."""
    from ctrlx.reports.trajectory import Lane, page, strip, write_animation
    from ctrlx.sampling.dump import write_latents

    prompt, seed = request.pairs[0]
    lanes = [
        Lane(name, [leg.target.name for leg in plans[name].legs], found.frames, found.final, [float(d) for d in measured["distances"][name]])
        for name, found in dumps.items()
    ]
    strip(f"{prompt} (seed {seed})", lanes, footer(measured)).save(folder / "strip.png")
    facts = {"version": __version__, "run": run, "nothing_lost": nothing_lost(measured)}
    html = page(prompt, seed, lanes, MEASURES[measured["measure"]], measured["minds"], facts)
    (folder / "page.html").write_text(html, encoding="utf-8")
    told = {"prompt": prompt, "seed": str(seed), "plans": json.dumps({name: plan.described() for name, plan in plans.items()})}
    return {
        "images": tuple(write_frames(lanes, folder)),
        "strip": str(folder / "strip.png"), "page": str(folder / "page.html"),
        "animation": str(write_animation(lanes, folder / f"x0.{animation}")),
        "latents": str(write_latents(dumps, folder / "x0.safetensors", told)),
        "curve": write_curve(lanes, folder),
    }


def write_frames(lanes: Sequence[Any], folder: Path) -> list[dict[str, Any]]:
    """Each step's Diffusion Target and plain latent as PNGs, and each lane's picture."""
    written = []
    for lane in lanes:
        name = re.sub(r"[^a-z0-9]+", "-", lane.name.lower()).strip("-")
        lane.final.save(folder / f"{name}.png")
        for frame in lane.frames:
            for what, picture in (("x0", frame.seen), ("latent", frame.plain)):
                path = folder / f"{name}_{what}_{frame.step:03d}.png"
                picture.save(path)
                written.append({"path": str(path), "target": lane.name, "step": frame.step, "what": what})
    return written


def write_curve(lanes: Sequence[Any], folder: Path) -> dict[str, list[dict[str, float]]]:
    """curve.csv and curve.json; the curve by lane."""
    curve = {
        lane.name: [{"step": frame.step, "timestep": frame.timestep, "distance": round(far, 6)} for frame, far in zip(lane.frames, lane.distances)]
        for lane in lanes
    }
    (folder / "curve.json").write_text(json.dumps(curve, indent=2), encoding="utf-8")
    with (folder / "curve.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("target", "step", "timestep", "distance"))
        rows.writerows((name, point["step"], point["timestep"], point["distance"]) for name, points in curve.items() for point in points)
    return curve


def footer(measured: Mapping[str, Any]) -> str:
    """What is drawn under the strip."""
    minds = "; ".join(f"{m['target']}: '{m['phrase']}' scored {m['peak']:.1f} at step {m['step']}, {m['final']:.1f} in the end" for m in measured["minds"])
    legend = "Target: what the step's prediction implies. Latent: what the model looked at. Framed: steps of the base in a hybrid."
    return f"{legend} {'Changed minds: ' + minds if minds else nothing_lost(measured)}."


def nothing_lost(measured: Mapping[str, Any]) -> str:
    if measured["measure"] != "clip":
        return "No mind was read, since the family's scorer is not on this machine"
    phrases = ", ".join(measured["phrases"])
    return f"No phrase was drawn and lost again (watched: {phrases})" if phrases else "The prompt names nothing to watch; give --watch"
