"""`ctrlx gc`."""

from __future__ import annotations

from ctrlx.cli import output


def gc(as_json: output.AsJson = False) -> None:
    """Delete weight files that no control uses; what was removed cannot be restored then.

    Example: ctrlx gc
    """
    from ctrlx.commands.gc import gc

    freed = gc()
    if as_json:
        output.json_document(freed)
    else:
        print(f"{freed.files} files deleted, {output.bytes_text(freed.bytes)} freed")
