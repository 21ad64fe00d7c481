"""The cells of a matrix, measured on the pictures of its work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ctrlx.commands.matrix import Row
from ctrlx.commands.matrix_work import Work
from ctrlx.records import Score, Target

Texts = Mapping[str, Any]  # what the scorer sees in each text, (d,)


def measure(work: Work) -> tuple[list[Any], list[Score]]:
    """Every cell, and the raw scores behind them."""
    from ctrlx.scoring.cells import effect

    texts = read_texts(work)
    cells, scores = [], []
    for row in work.request.rows:
        effects: dict[float, Any] = {}  # the source's own, by strength; it comes first
        for target in row.targets:
            for strength in row.strengths:
                if why := work.refused.get((row.control.name, target.name)):
                    cells.append(not_drawn(work, row, target, strength, why))
                    continue
                seen = see(work, row, target, strength, texts)
                found = effect(seen, texts[row.control.concept])
                if target == row.source:
                    effects[strength] = found
                cells.append(measured(work, row, target, strength, seen, found, effects.get(strength), texts))
                scores += raw_scores(work, row, target, strength, seen, texts)
    return cells, scores


def read_texts(work: Work) -> Texts:
    """Every concept, prompt and probe, each looked at once."""
    rows = work.request.rows
    concepts, prompts = {row.control.concept for row in rows}, {prompt for row in rows for prompt in row.prompts}
    texts = sorted({*concepts, *prompts, *work.request.family.scorer.probes})
    return dict(zip(texts, work.scorer.embed_texts(texts), strict=True))


def see(work: Work, row: Row, target: Target, strength: float, texts: Texts) -> Any:
    """The pictures of one cell as the scorer sees them."""
    from ctrlx.scoring.cells import Seen
    from ctrlx.scoring.vectors import stack

    before, after = ((row.control.name, target.name, s) for s in (0.0, strength))
    faults = {place: [work.kept[one.key].fault for one in work.shots[place]] for place in (before, after)}
    own = stack(texts[prompt] for prompt, _ in work.request.pairs(row))
    return Seen(work.vectors(before), work.vectors(after), own, faults[after], faults[before])


def measured(work: Work, row: Row, target: Target, strength: float, seen: Any, found: Any, source: Any, texts: Texts) -> Any:
    """One cell. `found` and `source` are the effects here and on the source, the latter None where it was not measured."""
    from ctrlx.scoring.cells import Cell, carried_over, side_effects, trouble
    from ctrlx.scoring.vectors import stack

    probes = work.request.family.scorer.probes
    ratio, note = carried_over(found, source)
    broke = trouble(seen)
    return Cell(
        **named(work, row, target), strength=strength, percent=found.percent, low=found.low, high=found.high, n=found.n, points=found.points,
        ratio=ratio, source_percent=source.percent if source else None, broken=bool(broke), note=broke or note,
        side_effects=side_effects(seen, stack(texts[probe] for probe in probes) if probes else None),
    )


def not_drawn(work: Work, row: Row, target: Target, strength: float, why: str) -> Any:
    """The cell of a control that the target takes in part only."""
    from ctrlx.scoring.cells import Cell

    nothing = dict.fromkeys(("percent", "low", "high", "points", "ratio", "source_percent"))
    return Cell(**named(work, row, target), strength=strength, n=0, side_effects={"distance": None, "probes": None}, broken=False, note=why, **nothing)


def named(work: Work, row: Row, target: Target) -> dict[str, Any]:
    """What a cell says of its control and target, whatever was drawn."""
    found = work.findings[row.control.name, target.name]
    return {
        "control": row.control.name, "source": row.source.name, "target": target.name, "direction": row.direction(target),
        "coverage": {name: found[name] for name in ("adapted", "total")}, "drift": found["drift"],
    }


def raw_scores(work: Work, row: Row, target: Target, strength: float, seen: Any, texts: Texts) -> Iterator[Score]:
    """A row for each picture pair, as the store keeps it."""
    concept, name = row.control.concept, row.control.name
    before, after = (100 * vectors @ texts[concept] for vectors in (seen.original, seen.edited))
    for (prompt, seed), original, edited in zip(work.request.pairs(row), before, after, strict=True):
        yield Score(name, target.full_name, strength, prompt, seed, float(original), float(edited), concept, work.scorer.sha256)


def alarms(cells: Iterable[Any]) -> Iterator[str]:
    """A sentence for each thing that must not be: broken pictures, and a control that left something behind."""
    for cell in cells:
        where = f"'{cell.control}' on {cell.target}"
        if cell.broken:
            yield f"{where} at strength {cell.strength:g} broke: {cell.note}; try a smaller strength"
        if cell.drift:
            yield f"{where} left something behind: with the control off again, latents differ by up to {cell.drift:.2g}; report it as a bug"
