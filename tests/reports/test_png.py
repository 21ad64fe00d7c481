import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from ctrlx.errors import BadInput
from ctrlx.reports.png import file_name, largest_difference, read_picture, write_picture

RECIPE = {"prompt": "ein Bär \N{BEAR FACE}", "seed": 3}


@pytest.fixture
def image():
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (8, 12, 3), dtype=np.uint8))


def test_a_picture_gives_back_its_pixels_and_its_recipe(tmp_path, image):
    path = write_picture(image, tmp_path, "x", RECIPE)
    pixels, recipe = read_picture(path)
    assert recipe == RECIPE and largest_difference(pixels, image) == 0
    assert Image.open(path).text["Description"] == RECIPE["prompt"]
    assert [file.name for file in tmp_path.iterdir()] == ["x.png"]


def test_a_file_is_never_overwritten(tmp_path, image):
    names = [write_picture(image, tmp_path, "x", RECIPE).name for _ in range(3)]
    assert names == ["x.png", "x_2.png", "x_3.png"]


def test_what_cannot_be_written_leaves_nothing(tmp_path, image, monkeypatch):
    def full(self, path, *_, **__):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match="No space"):
        write_picture(image, tmp_path, "x", RECIPE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("break_it", ["missing", "text", "truncated", "no recipe", "no json"])
def test_what_ctrlx_did_not_make_is_refused(tmp_path, image, break_it):
    path = write_picture(image, tmp_path, "x", RECIPE)
    if break_it == "missing":
        path.unlink()
    elif break_it == "text":
        path.write_text("hello")
    elif break_it == "truncated":
        path.write_bytes(path.read_bytes()[:-60])
    elif break_it == "no recipe":
        image.save(path)
    else:
        info = PngImagePlugin.PngInfo()
        info.add_itxt("ctrlx", "{'seed': 3")
        image.save(path, pnginfo=info)
    with pytest.raises(BadInput, match=str(path)):
        read_picture(path)


def test_no_prompt_becomes_a_path():
    assert file_name("A red house!", 3) == "a-red-house-3"
    assert file_name("../../etc/passwd", 0) == "etc-passwd-0"
    assert file_name("家", 1) == "picture-1"
    assert len(file_name("a " * 500, 0)) < 60


def test_pictures_of_two_sizes_differ_by_all(image):
    assert largest_difference(np.asarray(image)[:4], image) == 255
