"""What decides a picture besides its prompt and seed: plain data that the command line fills in and a picture's file keeps."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ctrlx.errors import BadInput

PRESETS = ("correct", "paper")  # how a hybrid's base is stepped: by its own rule, or by the distilled scheduler as in the paper
DTYPES = ("float32", "float16", "bfloat16")
CONTROL = re.compile(r"(?P<name>[^:@]+)(:(?P<strength>[^:@]+))?(@(?P<where>[^:@]+))?")


@dataclass(frozen=True)
class Settings:
    """None, or nothing, where the family's and the target's own recipe decides."""

    target: str | None = None  # what finishes the picture
    base: str | None = None  # what leads in a hybrid
    hybrid_k: int | None = None  # how many of the target's first timesteps the base leads for
    base_steps: int | None = None  # how many base steps stand for those
    base_guidance: float | None = None
    skip_first: int | None = None  # timesteps of the target left out at the start
    steps: int | None = None
    guidance: float | None = None
    controls: tuple[str, ...] = ()  # each NAME[:STRENGTH][@TARGET]
    start_noise: int | None = None  # controls are off at timesteps above it
    negative: str | None = None
    size: tuple[int, int] | None = None  # width, height in pixels
    preset: str | None = None
    dtype: str | None = None

    def over(self, other: Settings) -> Settings:
        """These settings, and those of `other` wherever these say nothing."""
        said = {name: value for name, value in asdict(self).items() if value not in (None, ())}
        return Settings(**{**asdict(other), **said})


TYPES: Mapping[str, tuple[type, ...]] = {"str | None": (str,), "int | None": (int,), "float | None": (int, float)}


def settings_from(table: Any) -> Settings:
    """Settings as JSON has them. Raises BadInput for a key or a type that settings do not have."""
    if not isinstance(table, Mapping):
        raise BadInput("the settings are no table; make the picture anew")
    known = {field.name: field.type for field in fields(Settings)}
    values = {}
    for name, value in table.items():
        if name not in known:
            raise BadInput(f"the settings have '{name[:40]}', which this version of ctrlx does not know; use the version that made them")
        if value is not None:
            values[name] = _checked(name, known[name], value)
    return Settings(**values)


def _checked(name: str, kind: str, value: Any) -> Any:
    if kind in TYPES:
        right = isinstance(value, TYPES[kind]) and not isinstance(value, bool)
    else:
        item, count = (str, None) if kind.startswith("tuple[str") else (int, 2)
        right = isinstance(value, (list, tuple)) and all(type(one) is item for one in value) and count in (None, len(value))
        value = tuple(value) if right else value
    if not right:
        raise BadInput(f"the settings have '{name}' as {value!r:.60}, which it cannot be; make the picture anew")
    return value


@dataclass(frozen=True)
class Wish:
    """A control as it was asked for."""

    name: str
    strength: float
    where: str | None  # a target or role of the plan; None: everywhere

    def __str__(self) -> str:
        return f"{self.name}:{self.strength:g}" + (f"@{self.where}" if self.where else "")


def parse_control(text: str) -> Wish:
    """'age:1.5@base' -> the control 'age' at strength 1.5 on the base alone. Raises BadInput."""
    found = CONTROL.fullmatch(text.strip())
    try:
        strength = float(found["strength"] or 1)
    except (TypeError, ValueError):
        raise BadInput(f"'{text[:80]}' does not say a control; write NAME, NAME:STRENGTH or NAME:STRENGTH@TARGET") from None
    if not math.isfinite(strength) or abs(strength) > 100:
        raise BadInput(f"control '{found['name']}' cannot have strength {strength:g}; give a number from -100 to 100")
    return Wish(found["name"].strip(), strength, found["where"] and found["where"].strip())


def parse_size(text: str) -> tuple[int, int]:
    """'768x512' -> width 768, height 512; '64' -> 64 by 64. Raises BadInput."""
    found = re.fullmatch(r"([1-9]\d{0,4})(?:[xX]([1-9]\d{0,4}))?", text.strip())
    if not found:
        raise BadInput(f"'{text[:40]}' is no size; write WIDTHxHEIGHT in pixels, such as 1024x1024")
    return int(found[1]), int(found[2] or found[1])
