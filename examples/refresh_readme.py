"""Runs every `$ ctrlx …` of README.md in an empty home, puts what it prints below it, and redraws the pictures: python examples/refresh_readme.py

The blocks are fenced with ```console; their commands run in the order of the page, in one home.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"```console\n\$ (ctrlx [^\n]*)\n.*?```", re.DOTALL)


def main(readme: Path = ROOT / "README.md") -> None:
    with tempfile.TemporaryDirectory() as home:
        text = BLOCK.sub(lambda block: rerun(block[1], Path(home)), readme.read_text())
        redraw(Path(home))
    readme.write_text(text)


def rerun(command: str, home: Path) -> str:
    """The block anew. What differs on each machine (the home's path, ids of runs) is shortened."""
    environment = {**os.environ, "CTRLX_HOME": str(home), "COLUMNS": "110"}
    done = subprocess.run([sys.executable, "-m", *shlex.split(command)], capture_output=True, text=True, env=environment)
    printed = (done.stdout + done.stderr).rstrip().replace(str(home), "~/.local/share/ctrlx").replace(str(ROOT), "ctrlx")
    print(f"$ {command}\n{printed}\n")
    return f"```console\n$ {command}\n{printed}\n```"


def redraw(home: Path) -> None:
    """The grid of the last transfer is README's picture."""
    grids = sorted((home / "runs").glob("*/grid.png"))
    if grids:
        (ROOT / "docs" / "pictures").mkdir(parents=True, exist_ok=True)
        shutil.copy(grids[-1], ROOT / "docs" / "pictures" / "transfer.png")


if __name__ == "__main__":
    main()
