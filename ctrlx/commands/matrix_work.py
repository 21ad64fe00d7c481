"""The work of a matrix: what was drawn before is found, what is missing is drawn target by target, and all of it is kept as it is made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ctrlx.commands.matrix import LOCAL, Engine, Request, Row
from ctrlx.errors import PartialCoverage
from ctrlx.records import Coverage, Target
from ctrlx.store import Registry

OnProgress = Callable[[str, int, int], None]  # what is under way, pictures done, pictures in all
MANY = 64  # pictures that the scorer looks at together
DRIFT_PAIRS = 2  # pictures that are drawn before and after each control to see what it left behind
Place = tuple[str, str, float]  # control, target, strength; strength 0: the originals


class Work:
    """One run's pictures. After `draw`, `shots` and `kept` say where each is, `findings` what each control did to each target."""

    def __init__(self, registry: Registry, run: str, request: Request, files: Mapping[str, Path], on_progress: OnProgress):
        """Raises MissingWeights, BadWeights: before anything is drawn."""
        from ctrlx.sampling.matrix import recipe_of
        from ctrlx.scoring.clip import ClipScorer
        from ctrlx.targets.fingerprint import fingerprints
        from ctrlx.targets.models import Models

        on_progress("loading", 0, 1)
        self.cache, self.run, self.request, self.files, self.on_progress = registry.pictures, run, request, files, on_progress
        self.models = Models(request.family)
        self.weights = fingerprints(request.family, request.targets, self.models.registry)
        self.scorer = ClipScorer(request.family.scorer, self.models.registry, str(self.models.device))
        self.recipes = {target.name: recipe_of(self.models, target, self._weights_of(target)) for target in request.targets}
        self.shots = self._shots()
        wanted = {one.key for shots in self.shots.values() for one in shots}
        self.kept = self.cache.find(wanted)
        self.reused, self.made, self.missing = len(self.kept), 0, len(wanted) - len(self.kept)
        self._unseen: dict[str, Any] = {}  # pictures that the scorer has not looked at yet, by the sha256 of their file
        self.findings: dict[tuple[str, str], dict[str, Any]] = {}
        self.refused: dict[tuple[str, str], str] = {}  # (control, target) -> why it was not drawn
        on_progress("loading", 1, 1)

    def draw(self, engine: Engine = LOCAL) -> None:
        """Everything that is missing, target by target, each picture kept before the next batch is begun.

        Raises PartialCoverage where no control fits any target but its source.
        """
        from ctrlx.sampling.bench import Found

        for job, made in self._done(engine):
            for item in made:
                if isinstance(item, Found):
                    self._conclude(job, item._asdict())
                else:
                    self._keep(item)
            self._look()
        self.models.keep_only([])
        places = [(row.control.name, target.name) for row in self.request.rows for target in row.targets if target != row.source]
        if all(place in self.refused for place in places):
            raise PartialCoverage(self.refused[places[0]])

    def vectors(self, place: Place) -> Any:
        """What the scorer saw at `place`, (n, d), in the order of the row's pairs."""
        from ctrlx.scoring.vectors import stacked

        return stacked(self.seen[self.kept[one.key].sha256] for one in self.shots[place])

    def embed(self) -> None:
        """Look at every picture that this scorer has not seen yet, and load what it saw of the others."""
        from ctrlx.scoring.vectors import embed_files

        files = {kept.sha256: kept.path for kept in self.kept.values()}
        self.seen = self.cache.embeddings(self.scorer.sha256, files)
        unseen = [(sha256, path) for sha256, path in files.items() if sha256 not in self.seen]
        done = 0
        for vectors in embed_files(self.scorer, unseen):
            self.cache.add_embeddings(self.scorer.sha256, vectors)
            self.seen |= vectors
            done += len(vectors)
            self.on_progress("scoring", done, len(unseen))

    def _done(self, engine: Engine) -> Iterator[tuple[Any, Iterable[Any]]]:
        """Each missing job and what it makes, here one after another, on Ray in the order they are done."""
        jobs = list(self._jobs())
        if engine.name == "ray" and jobs:
            from ctrlx.sampling.on_ray import run_on_ray

            return run_on_ray(jobs, self.models, engine.workers, engine.address)
        from ctrlx.sampling.bench import Bench

        bench = Bench(self.models)
        return ((job, bench.run(job)) for job in jobs)

    def _jobs(self) -> Iterator[Any]:
        """What is missing: originals of a target, then each control on it. What was found earlier is taken as found."""
        for target in self.request.targets:
            rows = list(self.request.rows_on(target))
            originals = self._lacking(one for row in rows for one in self.shots[row.control.name, target.name, 0.0])
            if originals:
                yield self._job(rows[0], target, None, {0.0: originals})
            for row in rows:
                name = row.control.name
                wanted = {strength: self._lacking(self.shots[name, target.name, strength]) for strength in row.strengths}
                found = self.cache.finding(self._finding_key(row, target))
                if found is None or (self._covers(found) and (any(wanted.values()) or found["drift"] is None)):
                    yield self._job(rows[0], target, name, wanted)
                else:
                    self._found(name, target, found)

    def _job(self, first: Row, target: Target, control: str | None, wanted: Mapping[float, Sequence[Any]]) -> Any:
        """`first` lends the prompts and seeds that show what a control leaves behind: the same for all controls of a target."""
        from ctrlx.sampling.bench import Job

        pairs = tuple(self.request.pairs(first)[:DRIFT_PAIRS])
        return Job(target, control, self.files.get(control), wanted, pairs, self.request.start_noise, self.request.threshold)

    def _lacking(self, shots: Iterable[Any]) -> list[Any]:
        """Those that are not there, each once."""
        return list({one.key: one for one in shots if one.key not in self.kept}.values())

    def _keep(self, drawn: Any) -> None:
        from ctrlx.sampling.matrix import png_of

        kept = self.kept[drawn.wanted.key] = self.cache.add(drawn.wanted.key, png_of(drawn.image), drawn.fault, self.run)
        self._unseen[kept.sha256] = drawn.image
        self.made += 1
        self.on_progress("drawing", self.made, self.missing)
        if len(self._unseen) >= MANY:
            self._look()

    def _look(self) -> None:
        """The scorer sees what was drawn since it last looked."""
        from ctrlx.scoring.vectors import to_bytes

        if self._unseen:
            vectors = self.scorer.embed_images(list(self._unseen.values()))
            self.cache.add_embeddings(self.scorer.sha256, dict(zip(self._unseen, to_bytes(vectors), strict=True)))
            self._unseen.clear()

    def _conclude(self, job: Any, found: dict[str, Any]) -> None:
        row = next(row for row in self.request.rows if row.control.name == job.control)
        self.cache.add_finding(self._finding_key(row, job.target), found)
        self._found(job.control, job.target, found)

    def _found(self, control: str, target: Target, found: dict[str, Any]) -> None:
        from ctrlx.sampling.matrix import partial_sentence

        self.findings[control, target.name] = found
        if not self._covers(found):
            covered = Coverage(found["adapted"], found["total"])
            self.refused[control, target.name] = partial_sentence(control, target.full_name, covered, self.request.threshold)

    def _shots(self) -> dict[Place, list[Any]]:
        """Every picture that the matrix is made of, by place."""
        from ctrlx.sampling.matrix import Wanted, digest

        shots: dict[Place, list[Any]] = {}
        for row in self.request.rows:
            for target in row.targets:
                for strength in (0.0, *row.strengths):
                    on = {"control": row.control.sha256, "start_noise": self.request.start_noise} if strength else {"control": None}
                    facts = {**self.recipes[target.name], **on, "strength": strength}
                    shots[row.control.name, target.name, strength] = [
                        Wanted(digest({**facts, "prompt": prompt, "seed": seed}), target.name, row.control.name if strength else None,
                               strength, prompt, seed)
                        for prompt, seed in self.request.pairs(row)
                    ]
        return shots

    def _finding_key(self, row: Row, target: Target) -> str:
        from ctrlx.sampling.matrix import digest

        return digest({**self.recipes[target.name], "finding": "attached", "control": row.control.sha256})

    def _covers(self, found: Mapping[str, Any]) -> bool:
        return found["adapted"] >= self.request.threshold * found["total"]

    def _weights_of(self, target: Target) -> dict[str, str]:
        names = [self.request.family.id, target.full_name, *([self.request.family.base.full_name] if target.form == "lora" else [])]
        return {name: self.weights[name] for name in names}
