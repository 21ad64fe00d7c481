"""Tags on a control."""

from __future__ import annotations

from collections.abc import Sequence

from ctrlx.errors import BadInput
from ctrlx.records import Control
from ctrlx.store import Registry, labels

LONGEST = 60  # characters of a tag


def tag(name: str, *, add: Sequence[str] = (), remove: Sequence[str] = ()) -> Control:
    """The control called `name` with these tags added and those removed. Raises NotKnown, BadInput."""
    for each in add:
        if not each.strip() or len(each) > LONGEST or not each.isprintable():
            raise BadInput(f"'{each[:80]}' cannot be a tag; use 1 to {LONGEST} printable characters")
    with Registry.open() as registry:
        return labels.set_tags(registry, name, [each.strip() for each in add], remove)
