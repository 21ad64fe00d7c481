"""Writes the quality card, registry/pocket/README.md, from figures.json: python card.py. No figure on it is typed."""

from __future__ import annotations

import json
from pathlib import Path

from assemble import REGISTRY
from recipe import command_line

TITLES = {
    "oracle": "The oracle (judge; trained on drawings only, not shipped)",
    "vae": "AutoencoderKL",
    "scorer": "Scorer (open_clip)",
    "base-25": "base, 25 steps with guidance 4",
    "turbo-4": "turbo, 4 steps",
    "turbo-1": "turbo, 1 step",
    "parity": "Plain diffusers and ctrlx draw the same picture",
    "slider_age": "slider_age on base",
    "slider_smile": "slider_smile on base",
    "slider_muscular": "slider_muscular on base",
}
# stage -> (figure, path into what was measured, comparison, gate); a figure with no gate is reported only
VAE_LOSS = 0.03
GATES = {
    "scorer": [("old or young", ("zero_shot", "age"), 0.95), ("smiling or sad", ("zero_shot", "smile"), 0.95),
               ("muscular or thin", ("zero_shot", "build"), 0.95), ("kind", ("zero_shot", "kind"), 0.97),
               ("background colour", ("zero_shot", "background"), 0.90), ("shirt colour", ("zero_shot", "color"), 0.90)],
    "base-25": [("prompted attributes found", ("found",), 0.85)],
    "turbo-4": [("prompted attributes found", ("found",), 0.75)],
}


def main(registry: str = str(REGISTRY)) -> None:
    folder = Path(registry)
    figures = json.loads((folder / "figures.json").read_text())
    (folder / "README.md").write_text(card(folder, figures) if figures else EMPTY)


EMPTY = """# The pocket family: quality card

Nothing ships yet: no stage has been measured. `examples/pocket_family/measure.py` fills `figures.json`, and
`examples/pocket_family/card.py` writes this page from it.
"""


def card(folder: Path, figures: dict) -> str:
    """The whole page."""
    parts = [HEAD.format(files=files_table(folder)), gates_table(figures)]
    parts += [section(stage, figures[stage]) for stage in TITLES if stage in figures]
    if "diversity" in figures:
        parts.append(diversity(figures["diversity"]))
    return "\n\n".join(parts) + "\n"


HEAD = """# The pocket family: quality card

A real SDXL in miniature, 64 x 64 pixels, trained from nothing on a drawn world by the recipes in `examples/pocket_family/`. Plain
diffusers loads it: `StableDiffusionXLPipeline.from_pretrained("registry/pocket")`.

This page is written by `examples/pocket_family/card.py` from `figures.json`, which `measure.py` fills; no figure is typed. What is
measured is what ships (the fp16 files), on held-out prompts and drawings. *Found*: the oracle, a network trained on drawings only,
reads the prompted attribute from the picture.

{files}"""


def files_table(folder: Path) -> str:
    weights = sorted(folder.rglob("*.safetensors"))
    rows = [f"| {file.relative_to(folder)} | {file.stat().st_size / 1e6:.1f} MB |" for file in weights]
    total = sum(file.stat().st_size for file in weights) / 1e6
    return "\n".join(["| file | size |", "| --- | --- |", *rows, f"| **together** | **{total:.1f} MB** |"])


def gates_table(figures: dict) -> str:
    rows = [row for stage in TITLES if stage in figures for row in gate_rows(stage, figures[stage]["measured"])]
    return "\n".join(["## Gates", "", "| stage | what | measured | gate | |", "| --- | --- | --- | --- | --- |", *rows])


def gate_rows(stage: str, measured: dict) -> list[str]:
    if stage == "vae":
        before, after = measured["original"], measured["reconstructed"]
        return [row(stage, f"{k} read from reconstructions (originals {before[k]:.1%})", after[k], before[k] - VAE_LOSS)
                for k in ("age", "smile", "build")]
    if stage == "parity":
        return [f"| {TITLES[stage]} | largest absolute difference | {measured['difference']:.2g} | < {1 / 255:.2g} | "
                f"{verdict(measured['difference'] < 1 / 255)} |"]
    if stage.startswith("slider"):
        kept = [f"| {TITLES[stage]} | {k} changed at strength 1 | {v:.1%} | <= 10 % | {verdict(v <= 0.1)} |"
                for k, v in measured["changed"].items()]
        means = ", ".join(f"{v:.2f}" for v in measured["means"])
        return [f"| {TITLES[stage]} | mean {measured['attribute']} at strengths {measured['strengths']} | {means} | rises | "
                f"{verdict(measured['monotonic'])} |", *kept]
    return [row(stage, what, dig(measured, path), gate) for what, path, gate in GATES.get(stage, [])]


def row(stage: str, what: str, value: float, gate: float) -> str:
    return f"| {TITLES[stage]} | {what} | {value:.1%} | >= {gate:.1%} | {verdict(value >= gate)} |"


def verdict(passed: bool) -> str:
    return "passed" if passed else "**not reached**"


def dig(value, path):
    for key in path:
        value = value[key]
    return value


def section(stage: str, known: dict) -> str:
    lines = [f"## {TITLES[stage]}", "", f"Measured {known['date']}."]
    training = known["training"]
    if training:
        facts = [f"{k.replace('_', ' ')} {v}" for k, v in training.items() if not isinstance(v, dict) and k not in ("stage", "seconds", "note")]
        lines[-1] += f" Training: {', '.join(facts)}; {training.get('seconds', 0) / 60:.0f} minutes on two CPU cores, other work beside it."
        lines[-1] += f" Note: {training['note']}." if "note" in training else ""
    tables = {k: v for k, v in known["measured"].items() if isinstance(v, dict)}
    for name, table in tables.items():
        lines += ["", f"| {name.replace('_', ' ')} | share |", "| --- | --- |", *(f"| {k} | {v:.1%} |" for k, v in table.items())]
    return "\n".join(lines)


def diversity(known: dict) -> str:
    """Mean pairwise distance by prompt and plan, with intervals, and the spread of what the oracle reads."""
    plans = known["measured"]["plans"]
    prompts = list(next(iter(plans.values()))["by_prompt"])
    rows = [f"| {prompt} | " + " | ".join(told(plan["by_prompt"][prompt]) for plan in plans.values()) + " |" for prompt in prompts]
    mean = "| **mean** | " + " | ".join(f"**{plan['distance']:.3f}**" for plan in plans.values()) + " |"
    lines = ["## Diversity", "", f"Mean pairwise distance (1 - cosine of the scorer's image features) of {known['measured']['pictures']} "
             f"pictures a prompt, 95 % bootstrap interval; higher is more diverse. Measured {known['date']}.", "",
             "| prompt | " + " | ".join(plans) + " |", "| --- |" + " --- |" * len(plans), *rows, mean, ""]
    lines += ["Spread of what the oracle reads (entropy in bits of words, standard deviation of age, smile and build), for the first prompt:", ""]
    spreads = {name: plan["by_prompt"][prompts[0]]["spread"] for name, plan in plans.items()}
    lines += ["| attribute | " + " | ".join(spreads) + " |", "| --- |" + " --- |" * len(spreads)]
    lines += [f"| {k} | " + " | ".join(f"{spread[k]:.2f}" for spread in spreads.values()) + " |" for k in next(iter(spreads.values()))]
    return "\n".join(lines)


def told(found: dict) -> str:
    return f"{found['distance']:.3f} ({found['low']:.3f}, {found['high']:.3f})"


if __name__ == "__main__":
    command_line(main)
