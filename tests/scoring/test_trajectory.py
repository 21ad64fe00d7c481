import numpy as np
import pytest
from PIL import Image

from ctrlx.scoring.trajectory import changed_minds, cosine_distances, phrases_of, pixel_distances


@pytest.mark.parametrize(
    ("prompt", "phrases"),
    [
        ("Image of dog and cat sitting on sofa", ("dog", "cat", "sofa")),
        ("a portrait of a person wearing a red hat", ("person", "red hat")),
        ("a house, a tree, the house", ("house", "tree")),
        ("", ()),
    ],
)
def test_the_things_that_a_prompt_names(prompt, phrases):
    assert phrases_of(prompt) == phrases


def test_a_phrase_that_was_drawn_and_lost_again_changed_a_mind():
    scores = np.array([
        [10.0, 20.0, 18.0, 11.0],  # a cat: came and went
        [10.0, 14.0, 18.0, 20.0],  # a dog: came and stayed
        [10.0, 20.0, 18.0, 17.0],  # a sofa: lost less than half of its rise
        [10.0, 10.8, 10.0, 10.0],  # a hat: never there
    ])
    [mind] = changed_minds(["cat", "dog", "sofa", "hat"], scores, [0, 2, 4, 5])
    assert (mind.phrase, mind.step, mind.peak, mind.final) == ("cat", 2, 20.0, 11.0)


def test_distances_are_nought_to_the_picture_itself():
    black, white = (Image.new("RGB", (4, 4), colour) for colour in ("black", "white"))
    assert pixel_distances([black, white], white).tolist() == [1.0, 0.0]
    assert cosine_distances(np.eye(2), np.array([1.0, 0.0])).tolist() == [0.0, 1.0]
