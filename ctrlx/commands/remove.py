"""Forgetting a control."""

from __future__ import annotations

from collections.abc import Callable

from ctrlx.records import Control
from ctrlx.store import Registry


def remove(name: str, *, agreed: Callable[[Control], bool]) -> Control | None:
    """Remove the control called `name` when `agreed` says so; the record it had, or None. Its weights and scores stay.

    Raises NotKnown with the nearest name.
    """
    with Registry.open() as registry:
        control = registry.control(name)
        return registry.remove_control(control.name) if agreed(control) else None
