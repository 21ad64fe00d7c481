"""The work of a matrix: what was drawn before is found, what is missing is drawn target by target, and all of it is kept as it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ctrlx.commands.matrix import Request, Row
from ctrlx.errors import PartialCoverage
from ctrlx.records import Coverage, Target
from ctrlx.store import Registry

OnProgress = Callable[[str, int, int], None]  # what is under way, pictures done, pictures in all
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
        self.findings: dict[tuple[str, str], dict[str, Any]] = {}
        self.refused: dict[tuple[str, str], str] = {}  # (control, target) -> why it was not drawn
        on_progress("loading", 1, 1)

    def draw(self) -> None:
        """Everything that is missing, target by target, so that one UNet is held at a time.

        Raises PartialCoverage where no control fits any target but its source.
        """
        for target in self.request.targets:
            self.models.keep_only([target])
            rows = list(self.request.rows_on(target))
            self._draw(target, None, 0.0, [one for row in rows for one in self.shots[row.control.name, target.name, 0.0]])
            self._before = None
            for row in rows:
                self._row(row, target)
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

    def _row(self, row: Row, target: Target) -> None:
        """One control on one target: every strength, its coverage, and what it leaves behind."""
        from ctrlx.sampling.matrix import partial_sentence

        name, place = row.control.name, (row.control.name, target.name)
        key = self._finding_key(row, target)
        found = self.cache.finding(key)
        lacking = any(one.key not in self.kept for strength in row.strengths for one in self.shots[(*place, strength)])
        if found is None or (self._covers(found) and (lacking or found["drift"] is None)):
            found = self._attach(row, target)
            self.cache.add_finding(key, found)
        self.findings[place] = found
        if not self._covers(found):
            self.refused[place] = partial_sentence(name, target.full_name, Coverage(found["adapted"], found["total"]), self.request.threshold)

    def _attach(self, row: Row, target: Target) -> dict[str, Any]:
        """Puts the control on, draws what is missing, takes it off, and compares what the bare target draws with what it drew before."""
        from ctrlx.controls.read import read_control
        from ctrlx.sampling.matrix import largest_difference

        name = row.control.name
        before = self._bare(row, target) if self._before is None else self._before
        weights = read_control(self.files[name], self.models.denoiser(target).unet.config)
        with self.models.attached([target], {name: weights}, 0.0) as coverage:
            taken = coverage[target.name][name]
            found = {"adapted": taken.adapted, "total": taken.total, "drift": None}
            if not self._covers(found):
                return found
            for strength in row.strengths:
                self._draw(target, name, strength, self.shots[name, target.name, strength])
            self._probe(target, name, row.strengths[-1])
        found["drift"] = largest_difference(before, self._probe(target, None, 0.0))
        return found

    def _bare(self, row: Row, target: Target) -> Any:
        self._before_pairs = self.request.pairs(row)[:DRIFT_PAIRS]
        self._before = self._probe(target, None, 0.0)
        return self._before

    def _probe(self, target: Target, control: str | None, strength: float) -> Any:
        from ctrlx.sampling.matrix import plan_of, probe

        return probe(self.models, plan_of(self.models, target, control, strength, self.request.start_noise), self._before_pairs)

    def _draw(self, target: Target, control: str | None, strength: float, shots: Sequence[Any]) -> None:
        """The missing ones of `shots`, each kept before the next batch is begun, then seen by the scorer."""
        from ctrlx.sampling.matrix import draw, plan_of, png_of
        from ctrlx.scoring.vectors import to_bytes

        wanted = list({one.key: one for one in shots if one.key not in self.kept}.values())
        if not wanted:
            return
        images = {}
        for drawn in draw(self.models, plan_of(self.models, target, control, strength, self.request.start_noise), wanted):
            kept = self.kept[drawn.wanted.key] = self.cache.add(drawn.wanted.key, png_of(drawn.image), drawn.fault, self.run)
            images[kept.sha256] = drawn.image
            self.made += 1
            self.on_progress("drawing", self.made, self.missing)
        self.cache.add_embeddings(self.scorer.sha256, dict(zip(images, to_bytes(self.scorer.embed_images(list(images.values()))))))

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
