"""What a picture is asked to be, with every name resolved before torch is imported; generate and dt start from it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ctrlx import catalogue
from ctrlx.errors import BadInput, NotKnown, WrongFamily
from ctrlx.records import Control, Family, Target
from ctrlx.sampling.settings import DTYPES, PRESETS, Settings, Wish, parse_control
from ctrlx.store import Registry

LARGEST_SEED = 2**63 - 1
ONLY_HYBRID = ("base", "base_steps", "base_guidance", "preset")


@dataclass(frozen=True)
class Request:
    """Pictures with every name resolved. `lead` denoises first in a hybrid; None where there is none."""

    family: Family
    target: Target
    lead: Target | None
    controls: tuple[tuple[Control, Wish], ...]
    settings: Settings  # as asked for
    prompts: tuple[str, ...]
    seeds: tuple[int, ...]

    @property
    def pairs(self) -> list[tuple[str, int]]:
        """Every prompt with every seed, seeds varying fastest."""
        return [(prompt, seed) for prompt in self.prompts for seed in self.seeds]

    @property
    def hashes(self) -> dict[str, str]:
        """sha256 by control."""
        return {control.name: control.sha256 for control, _ in self.controls}

    def arguments(self) -> dict[str, Any]:
        """What the run's record keeps of it."""
        return {"prompts": list(self.prompts), "seeds": list(self.seeds), **asdict(self.exact())}

    def exact(self) -> Settings:
        """The settings with the recipe's own figures filled in, so that they mean the same when the recipe has changed."""
        asked, target = self.settings, self.target
        return replace(
            asked,
            target=target.full_name,
            base=self.lead and self.lead.full_name,
            base_guidance=(asked.base_guidance or 0.0) if self.lead else None,
            preset=(asked.preset or PRESETS[0]) if self.lead else None,
            steps=asked.steps or target.steps,
            guidance=target.guidance if asked.guidance is None else asked.guidance,
            controls=tuple(str(replace(wish, name=control.name)) for control, wish in self.controls),
            size=asked.size or (target.size, target.size),
        )

    def plan(self, config: dict[str, Any]) -> Any:
        """The plan that draws it; `config` is the family's scheduler configuration. Raises BadInput for steps that cannot be."""
        from ctrlx.sampling.plans import Applied, hybrid, skip_first

        def on(target: Target) -> list[Applied]:
            return [Applied(control.name, wish.strength) for control, wish in self.controls if goes_on(wish, target)]

        asked = self.settings
        recipe = {"steps": asked.steps, "guidance": asked.guidance, "start_noise": asked.start_noise, "size": asked.size}
        if self.lead is None:
            return skip_first(self.target, config, asked.skip_first or 0, controls=on(self.target), **recipe)
        stepper = self.target if asked.preset == "paper" else None
        return hybrid(self.lead, self.target, config, asked.hybrid_k, base_steps=asked.base_steps, base_stepper=stepper,
                      base_guidance=asked.base_guidance or 0.0, controls=on(self.target), base_controls=on(self.lead), **recipe)


def resolve(registry: Registry, settings: Settings, prompts: Sequence[str], first_seed: int, count: int) -> Request:
    """Names looked up and numbers checked. Raises NotKnown, WrongFamily, BadInput."""
    check_numbers(settings, first_seed, count)
    wishes = [parse_control(text) for text in settings.controls]
    controls = [(registry.control(wish.name), wish) for wish in wishes]
    target, lead = resolve_targets(settings, controls[0][0].family if controls else None)
    family = catalogue.family(target.family)
    for control, wish in controls:
        check_control(control, wish, family, target, lead)
    check_once(controls, target, lead)
    prompts = tuple(prompts) or (family.prompt,)
    if not all(prompt.strip() for prompt in prompts):
        raise BadInput("the prompt is empty; say what to draw, or leave it out for the family's own")
    return Request(family, target, lead, tuple(controls), settings, prompts, tuple(range(first_seed, first_seed + count)))


def resolve_targets(settings: Settings, family: str | None) -> tuple[Target, Target | None]:
    """What finishes the picture, and what leads or None."""
    if settings.target is None:
        target = catalogue.family(family or catalogue.DEFAULT_FAMILY).default_target
    else:
        target = catalogue.resolve_target(settings.target, family)
    if settings.hybrid_k is None:
        for name in ONLY_HYBRID:
            if getattr(settings, name) is not None:
                raise BadInput(f"--{name.replace('_', '-')} is about a hybrid; give --hybrid-k too, or leave it out")
        return target, None
    if settings.skip_first is not None:
        raise BadInput("--skip-first and --hybrid-k are two ways to begin; give one of them")
    lead = catalogue.resolve_target(settings.base or "base", target.family) if settings.base else catalogue.family(target.family).base
    if lead.family != target.family:
        raise WrongFamily(f"'{lead.full_name}' and '{target.full_name}' share no latents; a hybrid stays in one family")
    if target.role == "base" or lead == target:
        others = [name for name, other in catalogue.family(target.family).targets.items() if other.role == "distilled" and not other.hidden]
        raise BadInput(f"a hybrid is finished by a distilled target, and '{target.name}' is none; give --target {' or '.join(others)}")
    return target, lead if settings.hybrid_k else None


def check_numbers(settings: Settings, first_seed: int, count: int) -> None:
    if count < 1:
        raise BadInput(f"{count} pictures are none; give -n 1 or more")
    if not 0 <= first_seed <= LARGEST_SEED - count:
        raise BadInput(f"{first_seed} is no seed; give a whole number from 0 to {LARGEST_SEED - count}")
    for name, valid in (("preset", PRESETS), ("dtype", DTYPES)):
        if getattr(settings, name) not in (None, *valid):
            raise NotKnown(name, getattr(settings, name), valid)
    for name in ("guidance", "base_guidance"):
        value = getattr(settings, name)
        if value is not None and not 0 <= value <= 100:
            raise BadInput(f"--{name.replace('_', '-')} is {value:g}; give a number from 0 to 100")


def check_control(control: Control, wish: Wish, family: Family, target: Target, lead: Target | None) -> None:
    """Raises WrongFamily, or NotKnown for a place that the plan does not have."""
    if control.family != family.id:
        raise WrongFamily(f"'{control.name}' was made for family '{control.family}' and cannot go on '{target.full_name}'; "
                          f"give --target {control.family}/…, or another control")
    run = [one for one in (lead, target) if one is not None]
    if not any(goes_on(wish, one) for one in run):
        raise NotKnown("target", wish.where, [one.name for one in run], f"in this plan, for control '{control.name}'")


def check_once(controls: Sequence[tuple[Control, Wish]], target: Target, lead: Target | None) -> None:
    for one in filter(None, (lead, target)):
        names = [control.name for control, wish in controls if goes_on(wish, one)]
        for name in names:
            if names.count(name) > 1:
                raise BadInput(f"control '{name}' is given more than once for '{one.name}'; give it one strength there")


def goes_on(wish: Wish, target: Target) -> bool:
    """Whether a control that was asked for is meant for `target`: everywhere, or by its name, full name or role."""
    return wish.where in (None, target.name, target.full_name, target.role)


def read_prompts(source: str) -> tuple[str, ...]:
    """The prompts of a text file, one a line, blank lines and those that begin with # passed over; or of a named set."""
    path = Path(source)
    if not path.is_file():
        if re.fullmatch(r"[\w-]+", source):
            return catalogue.prompt_set(source)
        raise BadInput(f"there is no file {source}; give a text file with a prompt a line, or the name of a prompt set")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        raise BadInput(f"{source} cannot be read as text ({problem}); give a UTF-8 file with a prompt a line") from problem
    prompts = tuple(line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#"))
    if not prompts:
        raise BadInput(f"{source} holds no prompt; write one a line")
    return prompts
