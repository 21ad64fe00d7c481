"""The jobs of a matrix on Ray: a worker is an actor with one loaded family; one that dies is replaced, and its job done again."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ctrlx.errors import BadInput, CtrlxError
from ctrlx.records import Family
from ctrlx.sampling.bench import Bench, Job
from ctrlx.targets.models import Models

LIVES = 3  # workers that may die over the same job before it is given up


class Worker:
    """What runs in each actor. The family's weights must be on its machine; controls are sent along."""

    def __init__(self, family: Family, device: str, dtype: Any):
        self.bench = Bench(Models(family, device=device, dtype=dtype))

    def run(self, job: Job, control: bytes | None) -> list[Any]:
        """All that the job makes. `control` is the content of its file."""
        with tempfile.TemporaryDirectory() as folder:
            if control is not None:
                file = Path(folder) / job.file.name
                file.write_bytes(control)
                job = replace(job, file=file)
            return list(self.bench.run(job))


@dataclass(eq=False)
class Hand:
    """An actor, and the target that it has loaded."""

    actor: Any
    target: str | None = None


def run_on_ray(jobs: Sequence[Job], models: Models, workers: int | None = None, address: str | None = None) -> Iterator[tuple[Job, list[Any]]]:
    """Each job with what it made, in the order they are done. workers: one a GPU, else one a CPU. address: of a cluster; None: this machine.

    Raises BadInput where the cluster does not answer or a job kills every worker, and whatever a job raises.
    """
    import ray

    with _cluster(address):
        there = ray.cluster_resources()
        gpus = models.device.type == "cuda"
        count = workers or max(1, int(there.get("GPU" if gpus else "CPU", 1)))
        kind = ray.remote(num_cpus=0 if gpus else 1, num_gpus=int(gpus))(Worker)

        def hand() -> Hand:
            return Hand(kind.remote(models.family, models.device.type, models.dtype))

        yield from _all(list(jobs), [hand() for _ in range(min(count, len(jobs)))], hand)


def _all(waiting: list[Job], idle: list[Hand], new_hand: Any) -> Iterator[tuple[Job, list[Any]]]:
    import ray

    busy: dict[Any, tuple[Hand, Job]] = {}
    died: dict[int, int] = {}  # by job, how many workers it has cost
    while waiting or busy:
        while waiting and idle:
            hand = idle.pop()
            job = _next(waiting, hand, [other.target for other, _ in busy.values()])
            hand.target = job.target.name
            busy[hand.actor.run.remote(job, job.file and job.file.read_bytes())] = hand, job
        [done], _ = ray.wait(list(busy))
        hand, job = busy.pop(done)
        try:
            made = ray.get(done)
        except ray.exceptions.RayTaskError as problem:
            raise (problem.cause if isinstance(problem.cause, CtrlxError) else problem) from None
        except ray.exceptions.RayActorError as problem:
            died[id(job)] = died.get(id(job), 0) + 1
            if died[id(job)] == LIVES:
                what = f"'{job.control}' on {job.target.name}" if job.control else f"the originals of {job.target.name}"
                raise BadInput(f"{LIVES} workers died over {what}; give them more memory, or leave --engine out") from problem
            waiting.insert(0, job)
            idle.append(new_hand())
            continue
        idle.append(hand)
        yield job, made


def _next(waiting: list[Job], hand: Hand, elsewhere: Sequence[str | None]) -> Job:
    """Takes the best job for a hand: on the target that it has loaded, else on one that nobody has, else the first."""
    best = min(waiting, key=lambda job: (job.target.name != hand.target, job.target.name in elsewhere))
    waiting.remove(best)
    return best


@contextmanager
def _cluster(address: str | None) -> Iterator[None]:
    """Joined for as long as the block lasts; one that was joined before stays."""
    import ray

    if ray.is_initialized():
        yield
        return
    try:
        ray.init(address=address or "local", include_dashboard=None if address else False, log_to_driver=False, logging_level=logging.ERROR,
                 configure_logging=False)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as problem:
        first = (str(problem).strip().splitlines() or [type(problem).__name__])[0][:160]
        raise BadInput(f"no Ray cluster answers at {address or 'this machine'} ({first}); start one with `ray start --head`, or leave --engine out") from problem
    try:
        yield
    finally:
        ray.shutdown()
