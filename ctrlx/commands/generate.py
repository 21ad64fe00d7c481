"""Pictures from a prompt: by a target alone, a hybrid or a skipped start, each file holding all it takes to make it again."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ctrlx import __version__
from ctrlx.commands.original import LARGEST_BATCH, Original, differences, read_original
from ctrlx.commands.picture import Request, read_prompts, resolve
from ctrlx.commands.transfer import make_folder
from ctrlx.errors import BadInput, HomeTrouble
from ctrlx.records import Run
from ctrlx.sampling.settings import Settings
from ctrlx.store import Registry

OnProgress = Callable[[str, int, int], None]  # what is under way, steps done, steps in all
PLAIN = Settings()  # the recipe as it stands

@dataclass(frozen=True)
class Made:
    """One picture that was written."""

    path: str
    prompt: str
    seed: int


@dataclass(frozen=True)
class Generated:
    """What was drawn. `forwards` counts the UNet evaluations of one picture; `peak_memory` is in bytes, of `memory_of`."""

    images: tuple[Made, ...]
    plan: Sequence[Mapping[str, Any]]
    forwards: int
    seconds: float
    peak_memory: int
    memory_of: str  # "cuda", or "process": libraries and all
    run: str
    coverage: Mapping[str, Mapping[str, Mapping[str, int]]]  # control -> target -> {adapted, total}
    remade: Mapping[str, Any] | None = None  # of --from: {source, identical, largest_difference}, the last in steps of 1/255
    warnings: tuple[str, ...] = ()


@dataclass
class Studio:
    """Where one run's pictures go, and those that are there already."""

    request: Request
    folder: Path
    run: Run
    made: list[Made] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)  # grows with `made`; the run's record keeps it however the run ends

    def keep(self, drawn: Any, facts: Mapping[str, Any]) -> None:
        """Writes one picture. Raises HomeTrouble."""
        from ctrlx.reports.png import file_name, write_picture

        recipe = {"ctrlx": __version__, "prompt": drawn.prompt, "seed": drawn.seed, **facts, "batch": [drawn.batch, drawn.position]}
        try:
            path = write_picture(drawn.image, self.folder, file_name(drawn.prompt, drawn.seed), recipe)
        except OSError as problem:
            kept = f"; the {len(self.made)} before it are kept" if self.made else ""
            raise HomeTrouble(f"a picture cannot be written to {self.folder} ({problem.strerror or problem}){kept}; "
                              "free some space or give another folder with --out") from problem
        self.made.append(Made(str(path), drawn.prompt, drawn.seed))
        self.paths.append(str(path))


def generate(
    prompts: Sequence[str] = (), settings: Settings = PLAIN, *, prompts_file: str | None = None, seed: int | None = None, count: int = 1,
    source: Path | None = None, batch: int | None = None, device: str | None = None, offload: bool = False, threshold: float = 1.0,
    out: Path | None = None, home: Path | None = None, on_progress: OnProgress = lambda *_: None,
) -> Generated:
    """Draws `count` pictures of each prompt, of the seeds from `seed` on, and writes each as soon as it is drawn.

    prompts_file: a text file or a named set. source: a picture to make again; what else is given changes it. batch: pictures at once.
    threshold: the least share of a control's modules that a target must take. out: the run's own folder by default.

    Raises:
        NotKnown, WrongFamily, BadInput: before anything is loaded, but for what only the models know (size, length of the prompt).
        MissingWeights, BadWeights, PartialCoverage: before anything is drawn.
        HomeTrouble: the registry or `out` cannot be written.
    """
    began = time.monotonic()
    if prompts_file is not None:
        prompts = chosen_prompts(prompts, prompts_file)
    check_batch(batch, threshold)
    original = read_original(source) if source is not None else None
    if original is not None:
        again = not prompts and seed is None and settings == PLAIN and (batch, count) == (None, 1)
        original = replace(original, again=again)
        settings, prompts, seed = settings.over(original.settings), prompts or (original.prompt,), original.seed if seed is None else seed
    paths: list[str] = []
    with Registry.open(home) as registry:
        request = resolve(registry, settings, prompts, seed or 0, count)
        files = {control.name: registry.verified_weights_path(control) for control, _ in request.controls}
        with registry.recording("generate", request.arguments(), read=request.hashes, made=paths) as run:
            studio = Studio(request, make_folder(out or registry.home / "runs" / run.id), run, paths=paths)
            facts = draw_all(studio, files, original, batch, {"device": device, "offload": offload}, threshold, on_progress)
            result = Generated(images=tuple(studio.made), seconds=round(time.monotonic() - began, 2), run=run.id, **facts)
            registry.finish_run(run, "done", result=asdict(result), made=paths)
    return result


def draw_all(
    studio: Studio, files: Mapping[str, Path], original: Original | None, batch: int | None, place: Mapping[str, Any], threshold: float,
    on_progress: OnProgress,
) -> dict[str, Any]:
    """Every picture drawn and kept; the figures of Generated."""
    from ctrlx.controls.read import read_control
    from ctrlx.sampling.drawing import draw, draw_again, forwards, refuse
    from ctrlx.targets.memory import peak_memory, start_peak

    request, settings = studio.request, studio.request.settings
    on_progress("loading", 0, 1)
    models = load(request, place)
    start_peak(models.device)
    plan = request.plan(models.scheduler_config)
    refuse(models, plan, request.prompts, settings.negative)
    facts = facts_of(request, plan, models, studio.run)
    controls = {name: read_control(file, models.denoiser(plan.targets[0]).unet.config) for name, file in files.items()}
    with models.attached(plan.targets, controls, threshold) as coverage:
        on_progress("loading", 1, 1)
        if original is not None and original.again:
            drawn = draw_again(models, plan, request.pairs[0], settings.negative, original.batch, original.position)
            remade = original.compared(drawn.image)
            studio.keep(drawn, facts)
        else:
            remade = None
            for drawn in draw(models, plan, request.pairs, settings.negative, batch, on_progress):
                studio.keep(drawn, facts)
        cost = forwards(models, plan)
    covered = {name: {target: {"adapted": by[name].adapted, "total": by[name].total} for target, by in coverage.items()} for name in controls}
    return {
        "plan": plan.described(), "forwards": cost, "peak_memory": peak_memory(models.device), "coverage": covered, "remade": remade,
        "memory_of": "cuda" if models.device.type == "cuda" else "process",
        "warnings": (*partly(covered), *idle(models, plan, place["offload"]), *(differences(original, facts) if original else ())),
    }


def load(request: Request, place: Mapping[str, Any]) -> Any:
    """The family's models, nothing of them read yet."""
    from ctrlx.targets.load import find_device, find_dtype
    from ctrlx.targets.models import Models

    device = find_device(place["device"])
    return Models(request.family, device=device, dtype=find_dtype(request.settings.dtype, device), offload=place["offload"])


def facts_of(request: Request, plan: Any, models: Any, run: Run) -> dict[str, Any]:
    """What every picture of this run says of its making."""
    from ctrlx.targets.fingerprint import fingerprints
    from ctrlx.targets.load import threads

    return {
        "settings": asdict(replace(request.exact(), dtype=str(models.dtype).removeprefix("torch."))), "plan": plan.described(),
        "device": models.device.type, "threads": threads(models.device), "controls": request.hashes,
        "weights": fingerprints(request.family, plan.targets, models.registry), "versions": dict(run.versions), "run": run.id,
    }


def partly(coverage: Mapping[str, Mapping[str, Mapping[str, int]]]) -> list[str]:
    """A warning for each control that a target took in part."""
    return [
        f"{found['total'] - found['adapted']} of {found['total']} modules of '{name}' have no place on {target} and do nothing there"
        for name, by_target in coverage.items() for target, found in by_target.items() if found["adapted"] < found["total"]
    ]


def idle(models: Any, plan: Any, offload: bool) -> list[str]:
    """A warning where --offload has nothing to do."""
    if offload and models.device.type == "cpu":
        return ["--offload does nothing on a CPU, which has no other memory to move an idle UNet to"]
    one = len({id(models.denoiser(target).unet) for target in plan.targets}) == 1
    return ["--offload does nothing here, since this plan runs on one UNet"] if offload and one else []


def chosen_prompts(prompts: Sequence[str], prompts_file: str) -> tuple[str, ...]:
    if prompts:
        raise BadInput("there is a prompt and --prompts too; give one of them")
    return read_prompts(prompts_file)


def check_batch(batch: int | None, threshold: float) -> None:
    if batch is not None and not 1 <= batch <= LARGEST_BATCH:
        raise BadInput(f"--batch is {batch}; give 1 to {LARGEST_BATCH}")
    if not 0 <= threshold <= 1:
        raise BadInput(f"--min-coverage is {threshold:g}; it is a share, from 0 to 1")
