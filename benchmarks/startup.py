"""How long the program takes to start, beside the least it could take: `python -c "import typer, rich.console"` in the same run.

    python benchmarks/startup.py --runs 21

Targets: `ctrlx --help` at most 1.7 times that, `ctrlx list` with 10,000 controls at most 2.5 times. Seconds belong to the
machine and are not claimed. The three take turns, so that a busy machine is busy for all of them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from ctrlx.records import Control
from ctrlx.store import Registry, rows

TARGETS = {"ctrlx --help": 1.7, "ctrlx list": 2.5}  # times the bare import
BARE = "import typer, rich.console"


def fill(home: Path, controls: int) -> None:
    """A registry at `home` with this many controls, recipes and all; rows only, since a list opens no weight file."""
    with Registry.open(home) as registry, registry._database.transaction():
        for number in range(controls):
            control = made_up(number)
            weights = {"sha256": control.sha256, "size": control.size, "place": "store", "added": control.created}
            registry._database.insert("weights", weights)
            registry._database.insert("controls", rows.to_row(control))


def made_up(number: int) -> Control:
    return Control(
        name=f"control_{number:05}",
        kind="slider",
        family="pocket",
        source="base",
        sha256=f"{number:064x}",
        size=100_000 + number,
        origin="trained",
        created="2025-01-31T12:00:00+00:00",
        concept="an old person",
        prompts=("a portrait of a person", "a person on a blue background"),
        rank=4,
        alpha=4.0,
        modules=70,
        recipe={"positive": "an old person", "negative": "a young person", "steps": 500, "learning_rate": 2e-4, "seed": number},
    )


def measure(commands: dict[str, list[str]], home: Path, runs: int) -> dict[str, float]:
    """Median wall seconds of each command, the commands taking turns."""
    seconds = {name: [] for name in commands}
    for turn in range(runs + 1):  # the first turn fills caches and is not counted
        for name, command in commands.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "CTRLX_HOME": str(home)})
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return {name: median(taken) for name, taken in seconds.items()}


def main(runs: int = 21, controls: int = 10_000) -> dict[str, float]:
    """Print and return each command's time as a multiple of the bare import's."""
    program = [sys.executable, "-m", "ctrlx"]
    commands = {"bare import": [sys.executable, "-c", BARE], "ctrlx --help": [*program, "--help"], "ctrlx list": [*program, "list"]}
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder), controls)
        seconds = measure(commands, Path(folder), runs)
    ratios = {name: seconds[name] / seconds["bare import"] for name in TARGETS}
    print(f"{'command':<14}{'seconds':>9}{'ratio':>8}{'target':>8}")
    for name, taken in seconds.items():
        ratio = f"{ratios[name]:>8.2f}{TARGETS[name]:>8.1f}" if name in ratios else ""
        print(f"{name:<14}{taken:>9.3f}{ratio}")
    return ratios


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=21, help="measured runs of each command")
    parser.add_argument("--controls", type=int, default=10_000, help="controls in the registry")
    main(**vars(parser.parse_args()))
