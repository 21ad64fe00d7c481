"""What a cell says, against figures worked out by hand on vectors of two and three numbers."""

import numpy as np
import pytest

from ctrlx.scoring.cells import MARGIN, Seen, carried_over, effect, side_effects, trouble, words
from ctrlx.scoring.efficacy import efficacy

X, Y = np.array([1.0, 0.0]), np.array([0.0, 1.0])


def seen(original, edited, prompts=None, faults=None, original_faults=None) -> Seen:
    n = len(original)
    return Seen(np.array(original), np.array(edited), np.array(prompts if prompts is not None else [X] * n), faults or [""] * n, original_faults or [""] * n)


def test_effect_is_the_change_of_the_cosine_with_the_concept():
    found = effect(seen([[0.6, 0.8]], [[0.8, 0.6]]), Y)
    assert found.percent == pytest.approx(-25) and found.points == pytest.approx(-20)


def test_unchanged_pictures_have_no_side_effects():
    assert side_effects(seen([X, Y], [X, Y]), np.array([X])) == {"distance": 0, "probes": 0}


def test_side_effects_are_the_cosine_distance_and_the_change_of_unrelated_texts_in_points():
    found = side_effects(seen([X, X], [Y, X]), np.array([X, Y]))
    assert found == {"distance": pytest.approx(0.5), "probes": pytest.approx(50)}
    assert side_effects(seen([X], [Y]), None)["probes"] is None


def test_pictures_broke_where_half_of_them_show_their_prompt_worse_than_any_original():
    at = lambda score: [score / 100, (1 - (score / 100) ** 2) ** 0.5]  # noqa: E731
    originals = [at(20), at(30)]
    just_in, just_out = at(20 - MARGIN + 0.01), at(20 - MARGIN - 0.01)
    assert trouble(seen(originals, [just_in, just_in])) == ""
    assert trouble(seen(originals, [just_out, at(25)])) == "1 of 2 pictures no longer show their prompt"
    assert trouble(seen([*originals, at(25)], [just_out, at(25), at(25)])) == ""


@pytest.mark.parametrize("fault, words", [("nan", "are not numbers"), ("flat", "are one flat colour")])
def test_pictures_that_are_none_are_told(fault, words):
    assert trouble(seen([X], [X], faults=[fault])) == f"1 of 1 pictures with the control {words}"
    assert trouble(seen([X], [X], original_faults=[fault])) == f"1 of 1 pictures without the control {words}"


def scores(start, end, n=20):
    noise = np.random.default_rng(0).normal(0, 0.1, n)
    return efficacy(start + noise, end + noise)


def test_the_ratio_is_the_share_of_the_source_s_effect():
    ratio, note = carried_over(scores(20, 22), scores(20, 24))
    assert ratio == pytest.approx(0.5, abs=0.01) and note == ""


@pytest.mark.parametrize(
    "found, source, words",
    [
        (scores(20, 22), None, "was not measured"),
        (scores(20, 22), scores(1, 5), "source's originals score too near 0"),
        (scores(1, 5), scores(20, 24), "originals score too near 0"),
        (scores(20, 22), scores(20, 20), "within its noise of 0"),
        (scores(20, 22, n=1), scores(20, 24, n=1), "use more --seeds"),
    ],
)
def test_there_is_no_ratio_to_nothing(found, source, words):
    ratio, note = carried_over(found, source)
    assert ratio is None and words in note


def test_a_cell_is_told_in_percent_else_in_points_else_as_not_drawn():
    assert words({"percent": 20.44, "low": 18.1, "high": 22.9}) == "+20.4 % (18.1 to 22.9)"
    assert words({"percent": None, "points": 1.25}) == "+1.2 points"
    assert words({"percent": None, "points": None}) == "not drawn"
