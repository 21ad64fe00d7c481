"""The main job and a slider's training as whole processes, each in a home of its own: python benchmarks/main_job.py [--train]

Prints wall seconds and the peak memory of the process, for benchmarks/README.md. Start it on an otherwise idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

MAIN_JOB = ["transfer", "slider_age", "--to", "turbo", "--json"]
TRAIN = ["train", "slider", "bench", "--target-prompt", "a portrait of a person", "--positive", "an old person", "--negative",
         "a young person", "--json"]


def main(train: bool = False) -> None:
    for arguments in [MAIN_JOB, *([TRAIN] if train else [])]:
        with tempfile.TemporaryDirectory() as home:
            began = time.monotonic()
            done = subprocess.run([sys.executable, "-m", "ctrlx", *arguments], env={**os.environ, "CTRLX_HOME": home},
                                  capture_output=True, text=True, check=True)
            seconds = time.monotonic() - began
        inside = json.loads(done.stdout)["seconds"]
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6  # of the largest child so far; kB on Linux
        print(f"ctrlx {' '.join(arguments[:3])}: {seconds:.1f} s ({inside:.1f} s after start-up), peak memory {peak:.2f} GB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", action="store_true", help="train a slider too")
    main(parser.parse_args().train)
