"""Dumps on the tiny family: every file, whose numbers are those of the run itself."""

import csv
import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from ctrlx.commands.dt import dt
from ctrlx.commands.dt_curve import dt_curve
from ctrlx.commands.generate import generate
from ctrlx.errors import BadInput, NotKnown, WrongFamily
from ctrlx.sampling.loop import denoise
from ctrlx.sampling.plans import hybrid
from ctrlx.sampling.settings import Settings
from tests import tiny

HYBRID = Settings(target="tiny/dmd2", hybrid_k=1)
LANE = "base > dmd2, k = 1"


@pytest.fixture(autouse=True)
def _(home):
    tiny.write_family(home)


@pytest.fixture
def found(tmp_path):
    return dt(["a <b>cat</b>"], HYBRID, compare=["base"], seed=3, out=tmp_path / "out")


def test_the_latents_are_the_run_s_own_x0_and_the_picture_that_of_generate(found):
    models = tiny.models()
    plan = hybrid(models.family.base, models.family.targets["dmd2"], models.scheduler_config, 1)
    steps = list(denoise(models, plan, "a <b>cat</b>", [3]))
    with safe_open(found.latents, "pt") as file:
        assert torch.equal(file.get_tensor(LANE), torch.stack([step.x0[0] for step in steps]))
        assert file.get_tensor(f"{LANE}.timesteps").tolist() == [999, 749, 499, 249]
        assert json.loads(file.metadata()["plans"])[LANE] == plan.described()
    picture = generate(["a <b>cat</b>"], HYBRID, seed=3).images[0].path
    final = Path(found.strip).parent / "base-dmd2-k-1.png"
    assert (np.asarray(Image.open(picture)) == np.asarray(Image.open(final))).all()


def test_each_step_has_its_two_pictures_and_the_curve_ends_at_the_picture(found):
    assert [(image["step"], image["what"]) for image in found.images if image["target"] == LANE] == [
        (step, what) for step in range(4) for what in ("x0", "latent")
    ]
    assert all(Path(image["path"]).is_file() for image in found.images)
    assert [point["timestep"] for point in found.curve[LANE]] == [999, 749, 499, 249]
    assert found.curve["base"][0]["distance"] > found.curve["base"][-1]["distance"] < 0.01
    folder = Path(found.strip).parent
    assert json.loads((folder / "curve.json").read_text()) == found.curve
    with (folder / "curve.csv").open() as file:
        assert [float(row["distance"]) for row in csv.DictReader(file) if row["target"] == "base"] == [p["distance"] for p in found.curve["base"]]


def test_the_page_is_whole_and_needs_no_other_file(found):
    text = Path(found.page).read_text(encoding="utf-8")
    sources = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, given: sources.extend(value for name, value in given if name in ("src", "href"))
    parser.feed(text)
    assert sources == [] and "http" not in text.replace("http://www.w3.org", "")
    assert text.count("data:image/png;base64,") == 2 * (4 + 5)
    assert "<b>cat" not in text and "a &lt;b&gt;cat" in text


@pytest.mark.parametrize("kind", ["webp", "gif"])
def test_the_animation_has_a_frame_for_each_step(tmp_path, kind):
    found = dt(settings=Settings(target="tiny/turbo"), animation=kind, out=tmp_path)
    with Image.open(found.animation) as moving:
        assert moving.n_frames == 4 and moving.format == kind.upper()


def test_every_looks_at_fewer_steps_and_always_at_the_last(tmp_path):
    found = dt(settings=Settings(target="tiny/base"), every=3, out=tmp_path)
    assert [point["step"] for point in found.curve["base"]] == [0, 3, 4]


def test_without_its_scorer_the_distance_is_of_pixels_and_says_so(found):
    assert found.measure == "pixels" and found.changed_minds == () and "no mind was read" in found.warnings[0]


def test_with_a_scorer_minds_are_read(tmp_path, monkeypatch):
    """The scorer is replaced by one whose vectors are chosen, so that it is known which phrase comes and goes."""
    from ctrlx.scoring import clip

    class Scorer:
        def __init__(self, *_):
            pass

        def embed_images(self, images):
            peak = [0.0, 0.9, 0.2, 0.1, 0.1]
            return np.array([[share, (1 - share**2) ** 0.5] for share in peak[: len(images)]])

        def embed_texts(self, texts):
            assert texts == ("cat", "sofa")
            return np.array([[1.0, 0.0], [0.0, 1.0]])

    monkeypatch.setattr(clip, "ClipScorer", Scorer)
    found = dt(["a cat on a sofa"], Settings(target="tiny/turbo"), out=tmp_path)
    assert found.measure == "clip" and found.warnings == ()
    assert [(mind["target"], mind["phrase"], mind["step"]) for mind in found.changed_minds] == [("turbo", "cat", 1)]
    assert "<td>cat</td>" in Path(found.page).read_text()


@pytest.mark.parametrize(
    ("wrong", "kind", "sentence"),
    [
        ({"every": 0}, BadInput, "--every is 0"),
        ({"animation": "mp4"}, BadInput, "give webp or gif"),
        ({"compare": ["trubo"]}, NotKnown, "did you mean 'turbo'"),
        ({"compare": ["sdxl/turbo"]}, WrongFamily, "compare targets of one family"),
        ({"prompts": ["a" * 100]}, BadInput, "102 tokens"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_dumped_is_one_sentence(tmp_path, wrong, kind, sentence):
    with pytest.raises(kind, match=sentence):
        dt(settings=HYBRID, **wrong, out=tmp_path)


def test_a_curve_over_prompts_is_the_mean_of_its_dumps_with_an_interval(tmp_path):
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a cat\na dog\n")
    found = dt_curve(Settings(target="tiny/turbo"), str(prompts), compare=["base"], count=2, out=tmp_path / "curve")
    assert found.pictures == 4 and [len(points) for points in found.curve.values()] == [4, 5]
    each = [dt([prompt], Settings(target="tiny/turbo"), seed=seed, out=tmp_path / f"{prompt}{seed}") for prompt in ("a cat", "a dog") for seed in (0, 1)]
    for i, point in enumerate(found.curve["turbo"]):
        assert abs(point["distance"] - np.mean([one.curve["turbo"][i]["distance"] for one in each])) < 2e-3
        assert point["low"] <= point["distance"] <= point["high"]
    with Path(found.table).open() as file:
        assert len(list(csv.DictReader(file))) == 9
    assert Image.open(found.chart).size == (900, 520)
