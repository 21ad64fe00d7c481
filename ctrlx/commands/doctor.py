"""What is wrong with the registry, and mending it."""

from __future__ import annotations

from ctrlx import catalogue
from ctrlx.store import Registry, doctor
from ctrlx.store.doctor import Finding


def examine(*, mend: bool = False) -> list[Finding]:
    """What is not as it should be; with `mend`, whatever can be made again from the records beside the weight files is.

    A database that cannot be read is put aside and made anew. Raises HomeTrouble.
    """
    home = catalogue.home_folder()
    found = []
    if broken := doctor.broken_database(home):
        if not mend:
            return [Finding(f"the database cannot be read ({broken}); `ctrlx doctor --mend` makes it again from the records", False)]
        found.append(Finding(f"the database could not be read ({broken}); it is kept as {doctor.put_aside(home).name}", True))
    with Registry.open(home) as registry:
        return [*found, *doctor.examine(registry, mend)]
