"""A removed control, back again."""

from __future__ import annotations

from ctrlx.records import Control
from ctrlx.store import Registry, labels


def restore(name: str) -> Control:
    """The control called `name` as it was before it was removed, unless gc has run since. Raises NotKnown, BadInput, MissingWeights."""
    with Registry.open() as registry:
        return labels.restore(registry, name)
