"""What can go wrong, each as one sentence with a way out.

CtrlxError                      1   anything below
├── NotKnown                    2   a name that nothing has; suggests the nearest
├── BadInput                    2   a value that cannot be used
├── WrongFamily                 2   a control and a target that cannot meet
├── BadCatalogue                3   a file of registry/ or a user's family file that does not say what it must
├── BadWeights                  3   a weight file that is truncated, corrupt or not what its record says
├── MissingWeights              4   weights that are not on this machine
├── PartialCoverage             5   a control that fits its target only in part
└── HomeTrouble                 6   the user's registry cannot be read or written
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class CtrlxError(Exception):
    """One sentence that says what is wrong and what to do; the command line prints it and exits with `exit_code`."""

    exit_code = 1


class NotKnown(CtrlxError):
    """No `what` has this name.

    >>> str(NotKnown("target", "trubo", ["base", "turbo"], "in family 'pocket'"))
    "no target named 'trubo' in family 'pocket'; did you mean 'turbo'?"
    """

    exit_code = 2

    def __init__(self, what: str, name: str, known: Iterable[str], where: str = ""):
        known = sorted(known)
        near = get_close_matches(name, known, n=1, cutoff=0.5)
        way_out = f"did you mean '{near[0]}'?" if near else f"there is {', '.join(known[:12])}" if known else "there is none yet"
        super().__init__(f"no {what} named '{name[:80]}'{' ' + where if where else ''}; {way_out}")


class BadInput(CtrlxError):
    """A value that the user gave and that cannot be used."""

    exit_code = 2


class WrongFamily(CtrlxError):
    """A control of one family was asked for on a target of another."""

    exit_code = 2


class BadCatalogue(CtrlxError):
    """A family, control or prompt file with an unknown, missing or ill-typed key."""

    exit_code = 3


class BadWeights(CtrlxError):
    """A weight file that cannot be what it claims to be."""

    exit_code = 3


class MissingWeights(CtrlxError):
    """Weights that would have to be downloaded or pointed to."""

    exit_code = 4


class PartialCoverage(CtrlxError):
    """Fewer modules were adapted than the threshold allows."""

    exit_code = 5


class HomeTrouble(CtrlxError):
    """The folder of the user's registry cannot be created, read or written."""

    exit_code = 6
