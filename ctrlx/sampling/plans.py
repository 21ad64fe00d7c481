"""How one picture is made, as plain data: legs, each a target on a stretch of a schedule. Nothing here touches a tensor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ctrlx.errors import BadInput
from ctrlx.records import Target
from ctrlx.sampling.schedulers import Timesteps, timesteps_for

Config = Mapping[str, Any]  # the family's scheduler configuration


@dataclass(frozen=True)
class Applied:
    """A control at a strength."""

    name: str
    strength: float = 1.0


@dataclass(frozen=True)
class Leg:
    """A target that denoises from position `start` of `schedule` up to position `stop`.

    `schedule` is what the scheduler is set to as a whole, since a scheduler must know the timestep after a leg's last one.
    """

    target: Target
    schedule: Timesteps
    start: int
    stop: int
    guidance: float
    controls: tuple[Applied, ...] = ()
    start_noise: int | None = None  # controls are off at timesteps above this one
    stepper: Target | None = None  # whose scheduler steps the latents; None: the target's own

    def __post_init__(self):
        if not 0 <= self.start < self.stop <= len(self.schedule):
            raise ValueError(f"a leg over positions {self.start} to {self.stop} of {len(self.schedule)} timesteps")
        if any(later >= earlier for earlier, later in pairwise(self.schedule)):
            raise BadInput(f"the timesteps {', '.join(map(str, self.schedule))} do not fall from each to the next; leave out the repeats")

    @property
    def timesteps(self) -> Timesteps:
        """Those that this leg visits."""
        return self.schedule[self.start : self.stop]

    @property
    def until(self) -> float | None:
        """The timestep at which it hands over; None: it finishes the picture."""
        return self.schedule[self.stop] if self.stop < len(self.schedule) else None

    def strengths(self, timestep: float) -> dict[str, float]:
        """Each control's strength at `timestep`."""
        on = self.start_noise is None or timestep <= self.start_noise
        return {applied.name: applied.strength if on else 0.0 for applied in self.controls}


@dataclass(frozen=True)
class Plan:
    """Legs in the order they run, and the picture's width and height in pixels."""

    legs: tuple[Leg, ...]
    size: tuple[int, int]

    def __post_init__(self):
        for leg, following in pairwise(self.legs):
            if leg.until != following.timesteps[0]:
                raise ValueError(f"a leg ends at timestep {leg.until} and the next begins at {following.timesteps[0]}")
            if leg.target.family != following.target.family:
                raise BadInput(
                    f"'{leg.target.full_name}' and '{following.target.full_name}' share no latents; a hybrid stays in one family"
                )

    @property
    def targets(self) -> tuple[Target, ...]:
        """The targets that it runs, each once."""
        return tuple({leg.target.full_name: leg.target for leg in self.legs}.values())

    @property
    def steps(self) -> int:
        """How often a denoiser is asked, for each picture."""
        return sum(len(leg.timesteps) for leg in self.legs)

    def described(self) -> list[dict[str, Any]]:
        """Its legs as JSON takes them."""
        return [
            {
                "target": leg.target.full_name,
                "timesteps": list(leg.timesteps),
                "guidance": leg.guidance,
                "scheduler": (leg.stepper or leg.target).scheduler,
                "controls": {applied.name: applied.strength for applied in leg.controls},
                "start_noise": leg.start_noise,
            }
            for leg in self.legs
        ]


def alone(
    target: Target,
    config: Config,
    *,
    steps: int | None = None,
    guidance: float | None = None,
    controls: Iterable[Applied] = (),
    start_noise: int | None = None,
    size: tuple[int, int] | None = None,
) -> Plan:
    """One target from noise to picture, by its recipe where nothing else is said."""
    return skip_first(target, config, 0, steps=steps, guidance=guidance, controls=controls, start_noise=start_noise, size=size)


def skip_first(
    target: Target,
    config: Config,
    skipped: int = 1,
    *,
    steps: int | None = None,
    guidance: float | None = None,
    controls: Iterable[Applied] = (),
    start_noise: int | None = None,
    size: tuple[int, int] | None = None,
) -> Plan:
    """`target` without its first `skipped` timesteps, starting at the next from noise alone (arXiv 2503.10637, section 5)."""
    schedule = timesteps_for(target, config, steps)
    if not 0 <= skipped < len(schedule):
        raise BadInput(f"{skipped} of {len(schedule)} steps cannot be skipped; skip 0 to {len(schedule) - 1}")
    guidance = target.guidance if guidance is None else guidance
    leg = Leg(target, schedule, skipped, len(schedule), guidance, tuple(controls), start_noise)
    return Plan((leg,), size or (target.size, target.size))


def hybrid(
    base: Target,
    distilled: Target,
    config: Config,
    k: int = 1,
    *,
    base_steps: int | None = None,
    base_guidance: float = 0.0,
    base_stepper: Target | None = None,
    steps: int | None = None,
    guidance: float | None = None,
    controls: Iterable[Applied] = (),
    base_controls: Iterable[Applied] | None = None,
    start_noise: int | None = None,
    size: tuple[int, int] | None = None,
) -> Plan:
    """The base for the first `k` of the distilled target's timesteps, the distilled target for the rest (arXiv 2503.10637, algorithm 1).

    `base_steps` evenly spaced base steps may stand for those k (figure 7c). `base_guidance` is 0 by default (figure 7a).
    `base_stepper`: the distilled target, to step the base with its scheduler as the paper does. `controls` go on both legs,
    unless `base_controls` says which go on the base.
    """
    schedule = timesteps_for(distilled, config, steps)
    if not 0 <= k <= len(schedule):
        raise BadInput(f"the base cannot lead for {k} of {len(schedule)} steps; give a k from 0 to {len(schedule)}")
    controls = tuple(controls)
    base_controls = controls if base_controls is None else tuple(base_controls)
    legs = []
    if k > 0:
        led = schedule[:k] if base_steps is None else _spread(schedule[0], (*schedule, 0)[k], base_steps)
        legs.append(Leg(base, led + schedule[k:], 0, len(led), base_guidance, base_controls, start_noise, base_stepper))
    if k < len(schedule):
        guidance = distilled.guidance if guidance is None else guidance
        legs.append(Leg(distilled, schedule, k, len(schedule), guidance, controls, start_noise))
    return Plan(tuple(legs), size or (distilled.size, distilled.size))


def _spread(first: float, until: float, count: int) -> Timesteps:
    """`count` whole timesteps from `first` down towards `until`, which is not one of them."""
    if not 1 <= count <= first - until:
        raise BadInput(f"{count} base steps do not fit between timesteps {first} and {until}; give 1 to {int(first - until)}")
    return tuple(round(first + (until - first) * step / count) for step in range(count))
