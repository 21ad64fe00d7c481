"""Efficacy: the percentage, its interval, and when there is none."""

import numpy as np
import pytest

from ctrlx.scoring.efficacy import NEAR_ZERO, efficacy


def scores(mean, spread, n, seed):
    return np.random.default_rng(seed).normal(mean, spread, n)


def test_the_percentage_is_of_the_ratio_of_the_means():
    found = efficacy(np.array([20.0, 30.0]), np.array([25.0, 45.0]))
    assert found.percent == pytest.approx(40.0, abs=1e-12)
    assert found.points == pytest.approx(10.0, abs=1e-12)
    assert found.n == 2


def test_a_fall_from_a_negative_score_is_negative_and_a_rise_is_positive():
    assert efficacy(np.array([-20.0]), np.array([-30.0])).percent == pytest.approx(-50.0)
    assert efficacy(np.array([-20.0]), np.array([-10.0])).percent == pytest.approx(50.0)


def test_unchanged_pictures_have_exactly_no_effect():
    same = scores(25, 5, 40, 0)
    found = efficacy(same, same)
    assert (found.percent, found.low, found.high) == (0, 0, 0)


def test_near_zero_there_is_a_change_in_points_and_no_percentage():
    found = efficacy(np.array([NEAR_ZERO / 2] * 8), np.array([30.0] * 8))
    assert found.percent is None and found.low is None and found.high is None
    assert found.points == pytest.approx(30 - NEAR_ZERO / 2)
    assert not found.meaningful


def test_the_interval_is_that_of_the_normal_approximation_for_many_pairs():
    original, edited = scores(25, 3, 4000, 1), scores(31, 3, 4000, 2)
    found = efficacy(original, edited)
    ratio = edited.mean() / original.mean()
    deviation = 100 * np.std(edited - ratio * original) / original.mean() / 4000**0.5  # delta method
    assert abs(found.low - (found.percent - 1.96 * deviation)) < 0.15 * deviation + 0.02
    assert abs(found.high - (found.percent + 1.96 * deviation)) < 0.15 * deviation + 0.02


def test_the_true_change_lies_in_the_interval_about_nineteen_times_in_twenty():
    inside = 0
    for seed in range(100):
        original = scores(25, 4, 60, seed)
        found = efficacy(original, original * 1.2 + scores(0, 3, 60, seed + 1000))
        inside += found.low <= 20 <= found.high
    assert 88 <= inside <= 100


def test_the_same_scores_give_the_same_interval_every_time():
    original, edited = scores(25, 3, 30, 3), scores(28, 3, 30, 4)
    assert efficacy(original, edited) == efficacy(original, edited)


@pytest.mark.parametrize("original, edited", [([], []), ([1.0], [1.0, 2.0]), ([np.nan], [1.0]), ([1.0], [np.inf])])
def test_scores_that_cannot_be_compared_are_refused(original, edited):
    with pytest.raises(ValueError):
        efficacy(np.array(original), np.array(edited))
