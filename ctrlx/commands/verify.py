"""Every weight file hashed again."""

from __future__ import annotations

from collections.abc import Mapping

from ctrlx.store import Registry, doctor


def verify() -> Mapping[str, str | None]:
    """By control: what is wrong with its weight file, or None."""
    with Registry.open() as registry:
        return doctor.verify(registry)
