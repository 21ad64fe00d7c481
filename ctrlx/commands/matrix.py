"""What a matrix is asked to hold, with every name resolved before torch is imported: which controls, on which targets, on what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, NamedTuple

from ctrlx import catalogue
from ctrlx.commands.picture import read_prompts
from ctrlx.errors import BadInput, MissingWeights, NotKnown, WrongFamily
from ctrlx.records import Control, Family, Target
from ctrlx.store import Registry

ENGINES = ("local", "ray")
DIRECTIONS = ("forward", "reverse", "both")
SLIDER_STRENGTHS = (0.5, 1.0, 1.5)
OTHER_STRENGTHS = (1.0,)


class Engine(NamedTuple):
    """Where the pictures are drawn."""

    name: str = "local"  # one of ENGINES
    workers: int | None = None  # None: one a GPU, else one a CPU
    address: str | None = None  # of a Ray cluster; None: this machine's own


LOCAL = Engine()


class Asked(NamedTuple):
    """What a person asked for, as it was said; empty where nothing was."""

    controls: Sequence[str] = ()
    targets: Sequence[str] = ()
    direction: str = "both"
    prompts: str | None = None  # a file or the name of a set
    seeds: int = 4
    strengths: Sequence[float] = ()
    start_noise: int | None = None
    threshold: float = 1.0


@dataclass(frozen=True)
class Row:
    """One control, the targets it is measured on (its source first) and what is drawn."""

    control: Control
    source: Target
    targets: tuple[Target, ...]
    strengths: tuple[float, ...]
    prompts: tuple[str, ...]

    def direction(self, target: Target) -> str:
        return "source" if target == self.source else direction(self.source, target)


@dataclass(frozen=True)
class Request:
    """A matrix with every name resolved. `left_out` says in sentences what was passed over."""

    family: Family
    rows: tuple[Row, ...]
    seeds: tuple[int, ...]
    start_noise: int | None
    threshold: float
    left_out: tuple[str, ...]

    @property
    def targets(self) -> tuple[Target, ...]:
        """Every target that anything is drawn on, in the family's order."""
        named = {target.name for row in self.rows for target in row.targets}
        return tuple(target for target in self.family.targets.values() if target.name in named)

    def pairs(self, row: Row) -> list[tuple[str, int]]:
        """Every prompt with every seed, seeds varying fastest."""
        return [(prompt, seed) for prompt in row.prompts for seed in self.seeds]

    def rows_on(self, target: Target) -> Iterator[Row]:
        return (row for row in self.rows if target in row.targets)

    def arguments(self) -> dict[str, Any]:
        """What the run's record keeps of it."""
        rows = [{"control": row.control.name, "targets": [target.full_name for target in row.targets], "strengths": list(row.strengths),
                 "prompts": list(row.prompts)} for row in self.rows]
        return {"matrix": rows, "seeds": list(self.seeds), "start_noise": self.start_noise, "threshold": self.threshold}


def resolve(registry: Registry, asked: Asked) -> Request:
    """Names looked up and numbers checked. Raises NotKnown, WrongFamily, BadInput, MissingWeights."""
    check_numbers(asked)
    family = family_of(registry, asked)
    left_out: list[str] = []
    targets = chosen_targets(family, asked, left_out)
    controls = chosen_controls(registry, family, asked, left_out)
    prompts = read_prompts(asked.prompts) if asked.prompts else ()
    rows = []
    for control in controls:
        if row := row_of(control, family, targets, asked, prompts, left_out):
            rows.append(row)
    if not rows:
        raise BadInput(nothing_there(family, controls, targets, asked.direction, left_out))
    return Request(family, tuple(rows), tuple(range(asked.seeds)), asked.start_noise, asked.threshold, tuple(left_out))


def check_numbers(asked: Asked) -> None:
    if asked.direction not in DIRECTIONS:
        raise NotKnown("direction", asked.direction, DIRECTIONS)
    if not 1 <= asked.seeds <= 10_000:
        raise BadInput(f"--seeds is {asked.seeds}; give 1 to 10000")
    if not 0 <= asked.threshold <= 1:
        raise BadInput(f"--min-coverage is {asked.threshold:g}; it is a share, from 0 to 1")
    if not all(0 < abs(strength) <= 100 for strength in asked.strengths):
        raise BadInput("a strength must be a number other than 0, from -100 to 100; the picture at 0 is always drawn")


def check_engine(engine: Engine) -> None:
    """Before the slow part. Raises NotKnown, BadInput."""
    if engine.name not in ENGINES:
        raise NotKnown("engine", engine.name, ENGINES)
    if engine.name == "local" and (engine.workers, engine.address) != (None, None):
        raise BadInput("--workers and --address are about Ray; give --engine ray too, or leave them out")
    if engine.workers is not None and not 1 <= engine.workers <= 1000:
        raise BadInput(f"--workers is {engine.workers}; give 1 to 1000")
    if engine.name == "ray" and find_spec("ray") is None:
        raise BadInput("--engine ray needs the library Ray; get it with `pip install 'ctrlx[ray]'`, or leave --engine out")


def family_of(registry: Registry, asked: Asked) -> Family:
    """The family of the controls that are named, else of the first target named in full, else the default. Raises WrongFamily."""
    controls = [registry.control(name) for name in asked.controls]
    in_full = [name.rpartition("/")[0] for name in asked.targets if "/" in name]
    names = list(dict.fromkeys([*(control.family for control in controls), *in_full]))
    if len(names) > 1:
        raise WrongFamily(f"{' and '.join(names)} are different families, with scorers of their own; run one matrix for each of them")
    return catalogue.family(names[0] if names else catalogue.DEFAULT_FAMILY)


def chosen_targets(family: Family, asked: Asked, left_out: list[str]) -> list[Target]:
    """Those named, else all that are not hidden and on this machine."""
    if asked.targets:
        named = (catalogue.resolve_target(name, family.id) for name in asked.targets)
        return list({target.name: target for target in named}.values())
    shown = [target for target in family.targets.values() if not target.hidden]
    here = [target for target in shown if catalogue.weights_present(target.weights)]
    if missing := [target.name for target in shown if target not in here]:
        left_out.append(f"{', '.join(missing)} left out: no weights on this machine; `ctrlx targets {family.id}` says which are")
    if not here:
        raise MissingWeights(f"no target of family '{family.id}' has its weights on this machine; `ctrlx targets {family.id}` says what is missing")
    return here


def chosen_controls(registry: Registry, family: Family, asked: Asked, left_out: list[str]) -> list[Control]:
    """Those named, else all of the family that can be scored and lie on a UNet."""
    if asked.controls:
        controls = list({control.name: control for control in map(registry.control, asked.controls)}.values())
        for control in controls:
            if why := unfit(control):
                raise BadInput(why)
        return controls
    found = registry.controls(family=family.id)
    for control in found:
        if why := unfit(control):
            left_out.append(f"{control.name} left out: {why}")
    return [control for control in found if not unfit(control)]


def unfit(control: Control) -> str:
    """Why this control cannot be measured, "" where it can."""
    if control.kind == "textual-inversion":
        return f"'{control.name}' is a word and lies on no UNet; the matrix is about what does"
    return "" if control.concept else f"'{control.name}' says nothing of what it shows, so it cannot be scored; import or train it with --concept"


def row_of(control: Control, family: Family, targets: list[Target], asked: Asked, prompts: tuple[str, ...], left_out: list[str]) -> Row | None:
    """What is measured of `control`; None where it goes on none of `targets` in the direction asked for."""
    source = family.targets.get(control.source) or catalogue.resolve_target(control.source, family.id)
    wanted = {"both": ("forward", "reverse")}.get(asked.direction, (asked.direction,))
    others = [target for target in targets if target != source and direction(source, target) in wanted]
    if not others:
        return None
    if not (asked.controls or catalogue.weights_present(source.weights)):
        left_out.append(f"{control.name} left out: its source '{source.name}' has no weights on this machine")
        return None
    strengths = tuple(sorted(dict.fromkeys(map(float, asked.strengths)))) or (SLIDER_STRENGTHS if "slider" in control.kind else OTHER_STRENGTHS)
    return Row(control, source, (source, *others), strengths, tuple(dict.fromkeys(prompts or control.prompts or (family.prompt,))))


def direction(source: Target, target: Target) -> str:
    """Which way a control goes."""
    return {("base", "distilled"): "forward", ("distilled", "base"): "reverse"}.get((source.role, target.role), "sideways")


def nothing_there(family: Family, controls: list[Control], targets: list[Target], way: str, left_out: list[str]) -> str:
    """A sentence about an empty matrix, with a way out."""
    if not controls:
        return f"family '{family.id}' has no control that can be measured; train one with `ctrlx train slider`, or `ctrlx import` one"
    names = ", ".join(target.name for target in targets)
    if way == "forward":
        return f"no control given was trained on a base target and goes on {names}; give other --controls or --targets, or --direction reverse"
    if way == "reverse":
        return (f"no control of family '{family.id}' that was trained on a distilled target goes on {names}; "
                "train one with `ctrlx train slider NAME --on TARGET`, or give --direction forward")
    why = f" ({left_out[0]})" if left_out else ""
    return (f"{', '.join(control.name for control in controls[:3])} and {names} leave nothing to measure between base and distilled targets{why}; "
            "give other --controls or --targets")
