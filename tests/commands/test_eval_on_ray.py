"""A matrix on a real local Ray cluster: the same figures as here, and a worker that is killed is made up for."""

import os
import signal
from pathlib import Path

import pytest

from ctrlx.commands import matrix
from ctrlx.commands.eval import evaluate
from ctrlx.commands.matrix import Asked, Engine
from ctrlx.errors import BadInput, NotKnown
from tests import tiny_matrix

ASKED = Asked(controls=["age", "fast"], seeds=2, strengths=[1])


@pytest.fixture(autouse=True)
def _(home, tmp_path):
    tiny_matrix.write_family(home)
    tiny_matrix.add_control(tmp_path, "age", 0)
    tiny_matrix.add_control(tmp_path, "fast", 1, source="turbo")


@pytest.mark.parametrize(
    "engine, error, words",
    [
        (Engine("rya"), NotKnown, "did you mean 'ray'"),
        (Engine("local", workers=2), BadInput, "give --engine ray too"),
        (Engine("ray", workers=0), BadInput, "--workers is 0"),
    ],
)
def test_an_engine_that_cannot_be_is_told_first(engine, error, words):
    with pytest.raises(error, match=words):
        evaluate(ASKED, engine=engine)


def test_without_ray_the_way_to_get_it_is_told(monkeypatch):
    monkeypatch.setattr(matrix, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match="ctrlx\\[ray\\]"):
        evaluate(ASKED, engine=Engine("ray"))


def workers_of(home: Path) -> list[int]:
    """Processes of actors that serve this very home."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            name, environment = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
        except OSError:
            continue
        if name.startswith(b"ray::Worker") and f"CTRLX_HOME={home}\0".encode() in environment:
            found.append(int(process.name))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
def test_ray_finds_the_same_figures_also_when_a_worker_is_killed(home, tmp_path, monkeypatch, killed):
    pytest.importorskip("ray")
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as Ray's workers have it: sums split over threads differ in their last bits
    left = [killed]

    def kill(what, done, total):
        if what == "drawing" and left[0] and (there := workers_of(home)):
            left[0] -= 1
            os.kill(there[0], signal.SIGKILL)

    try:
        on_ray = evaluate(ASKED, engine=Engine("ray", workers=2), on_progress=kill)
        assert left == [0]
        monkeypatch.setenv("CTRLX_HOME", str(tmp_path / "other"))
        tiny_matrix.write_family(tmp_path / "other")
        tiny_matrix.add_control(tmp_path, "age", 0)
        tiny_matrix.add_control(tmp_path, "fast", 1, source="turbo")
        here = evaluate(ASKED)
    finally:
        torch.set_num_threads(threads)
    assert on_ray.made == here.made
    for one, other in zip(on_ray.cells, here.cells, strict=True):
        assert (one["control"], one["target"], one["drift"], one["coverage"]) == (other["control"], other["target"], 0, other["coverage"])
        assert one["percent"] == pytest.approx(other["percent"], abs=1e-3)
