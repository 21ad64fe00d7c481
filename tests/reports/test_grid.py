"""The picture grid: every picture is where its labels say, unblurred."""

import numpy as np
from PIL import Image

from ctrlx.reports.grid import Block, enlarged, grid, shown_side, wrapped
from ctrlx.reports.transfer_grid import spread


def flat(color, side=64):
    return Image.new("RGB", (side, side), color)


def test_small_pictures_grow_by_whole_factors_and_stay_sharp():
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    side = shown_side(64)
    assert side % 64 == 0 and side >= 160
    assert np.array_equal(np.asarray(enlarged(picture, side))[:: side // 64, :: side // 64], np.asarray(picture))


def test_large_pictures_shrink_and_middling_ones_stay():
    assert shown_side(1024) == 512
    assert shown_side(300) == 300


def test_every_picture_stands_in_its_row_and_column():
    colors = [[(250, 0, 0), (0, 250, 0)], [(0, 0, 250), (250, 250, 0)]]
    blocks = [Block(name, ["a", "b"], [[flat(c) for c in row] for row in colors]) for name in ("one", "two")]
    sheet = np.asarray(grid("title", ["seed 0", "seed 1"], blocks, "footer"))
    side = shown_side(64)
    for color in sum(colors, []):
        ys, xs = np.nonzero((sheet == color).all(-1))
        assert len(ys) == 2 * side * side
    where = {color: np.nonzero((sheet == color).all(-1)) for color in sum(colors, [])}
    assert where[(250, 0, 0)][0].max() < where[(0, 0, 250)][0].min()
    assert where[(250, 0, 0)][1].min() < where[(0, 250, 0)][1].min()


def test_a_long_footer_is_broken_and_loses_no_word():
    from PIL import ImageFont

    font = ImageFont.load_default(15)
    text = "word " * 60
    lines = wrapped(text, font, 300)
    assert len(lines) > 1
    assert " ".join(lines).split() == text.split()
    assert all(font.getlength(line) <= 300 for line in lines)


def test_rows_that_are_too_many_are_spread_over_all_of_them():
    assert spread(3, 8) == [0, 1, 2]
    assert spread(16, 4) == [0, 4, 8, 12]
