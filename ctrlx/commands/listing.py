"""Which controls there are."""

from __future__ import annotations

from ctrlx import catalogue
from ctrlx.errors import NotKnown
from ctrlx.records import KINDS, ListedControl
from ctrlx.store import Registry


def list_controls(
    *, kind: str | None = None, family: str | None = None, source: str | None = None, tag: str | None = None, sort: str = "name"
) -> list[ListedControl]:
    """The registry's controls; `source` may be "base", or "sdxl/base", which names the family too; `sort` "size", or "-size" backwards.

    Raises NotKnown for a kind, family, source or field that does not exist.
    """
    if kind is not None and kind not in KINDS:
        raise NotKnown("kind", kind, KINDS)
    if source is not None and "/" in source:
        target = catalogue.resolve_target(source)
        family, source = family or target.family, target.name
    if family is not None:
        catalogue.family(family)
    if source is not None:
        known = catalogue.families()
        names = {name for each in ([known[family]] if family else known.values()) for name in each.targets}
        if source not in names:
            raise NotKnown("target", source, names, f"in family '{family}'" if family else "")
    with Registry.open() as registry:
        return registry.listing(kind=kind, family=family, source=source, tag=tag, sort=sort)
