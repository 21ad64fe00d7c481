"""Another name for a control."""

from __future__ import annotations

from ctrlx.records import Control
from ctrlx.store import Registry, labels


def rename(name: str, new: str) -> Control:
    """The control called `name`, called `new` from now on, its scores with it; its history tells of it. Raises NotKnown, BadInput."""
    with Registry.open() as registry:
        before = registry.control(name)
        renamed = labels.rename(registry, name, new)
        run = registry.start_run("rename", {"name": before.name, "new": new}, read={before.name: before.sha256})
        registry.finish_run(run, "done", result={"control": new, "sha256": before.sha256})
        return renamed
