"""Which targets there are, and which of them are on this machine."""

from __future__ import annotations

from dataclasses import dataclass

from ctrlx import catalogue
from ctrlx.records import Family, Target


@dataclass(frozen=True)
class ListedTarget:
    """A target, and whether its weights are on this machine."""

    name: str  # in full: "sdxl/turbo"
    present: bool
    target: Target


@dataclass(frozen=True)
class ListedFamily:
    """A family and its targets."""

    id: str
    title: str
    targets: tuple[ListedTarget, ...]


def list_targets(*, family: str | None = None) -> list[ListedFamily]:
    """Every family with its targets, or one family.

    Raises NotKnown with the nearest name.
    """
    chosen = [catalogue.family(family)] if family is not None else list(catalogue.families().values())
    return [_listed(each) for each in chosen]


def _listed(family: Family) -> ListedFamily:
    targets = [ListedTarget(target.full_name, catalogue.weights_present(target.weights), target) for target in family.targets.values()]
    return ListedFamily(family.id, family.title, tuple(targets))
