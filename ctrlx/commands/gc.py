"""What nobody needs any more, deleted."""

from __future__ import annotations

from ctrlx.store import Registry, doctor
from ctrlx.store.doctor import Freed


def gc() -> Freed:
    """Deletes weight files that no control uses, and what was removed for good; how much was freed."""
    with Registry.open() as registry:
        return doctor.collect(registry)
