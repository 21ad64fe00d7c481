"""`ctrlx verify`."""

from __future__ import annotations

from ctrlx.cli import output
from ctrlx.errors import BadWeights


def verify(as_json: output.AsJson = False) -> None:
    """Hash every weight file again and say which are not what their records say.

    Example: ctrlx verify
    """
    from ctrlx.commands.verify import verify

    found = verify()
    wrong = {name: problem for name, problem in found.items() if problem}
    if as_json:
        output.json_document(found)
    else:
        print("\n".join([*wrong.values(), f"{len(found) - len(wrong)} of {len(found)} weight files are whole"]))
    if wrong:
        raise BadWeights(f"{len(wrong)} of {len(found)} weight files are not what their records say: {', '.join(list(wrong)[:5])}")
