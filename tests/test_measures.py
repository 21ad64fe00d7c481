"""The measuring scripts of the pocket family: their figures follow from what they are given."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "examples" / "pocket_family"))


def test_pairwise_distances_and_entropy_equal_their_closed_forms():
    from measure_diversity import distances, entropy

    angles = np.array([0.0, np.pi / 3, np.pi / 2])
    features = np.stack([np.cos(angles), np.sin(angles)], 1)
    expected = [1 - np.cos(np.pi / 3), 1 - np.cos(np.pi / 2), 1 - np.cos(np.pi / 6)]
    assert np.abs(distances(features) - expected).max() < 1e-12
    assert entropy(["a"] * 8) == 0
    assert abs(entropy(["a", "b", "c", "d"]) - 2) < 1e-12


def test_the_interval_holds_the_mean_and_is_nothing_wide_for_equal_pictures():
    from measure_diversity import distances, interval

    features = np.random.default_rng(0).normal(size=(40, 8))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    low, high = interval(features)
    assert low < distances(features).mean() < high
    same = np.repeat(features[:1], 10, 0)
    assert max(map(abs, interval(same))) < 1e-9


def test_the_card_says_passed_and_not_reached_by_the_figures_alone():
    import card

    rows = card.gate_rows("turbo-4", {"found": 0.80}) + card.gate_rows("turbo-4", {"found": 0.70})
    assert "passed" in rows[0] and "80.0%" in rows[0]
    assert "not reached" in rows[1] and "70.0%" in rows[1]
    vae = card.gate_rows("vae", {"original": dict.fromkeys(("age", "smile", "build"), 0.99),
                                 "reconstructed": {"age": 0.97, "smile": 0.95, "build": 0.99}})
    assert ["passed" in row for row in vae] == [True, False, True]


def test_held_out_prompts_ask_for_many_attributes_and_are_the_same_every_time():
    from measure import held_out

    texts, asked = held_out(500)
    assert (texts, asked) == held_out(500)
    assert {"kind", "age", "smile", "build", "background", "color", "hair"} <= set().union(*asked)
