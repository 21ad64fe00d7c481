import json
from dataclasses import asdict

import pytest

from ctrlx.errors import BadInput
from ctrlx.sampling.settings import Settings, Wish, parse_control, parse_size, settings_from


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("age", Wish("age", 1.0, None)),
        ("age:1.5", Wish("age", 1.5, None)),
        ("age:-2", Wish("age", -2.0, None)),
        ("age@base", Wish("age", 1.0, "base")),
        ("slider_age:0.25@sdxl/turbo", Wish("slider_age", 0.25, "sdxl/turbo")),
    ],
)
def test_a_control_says_its_name_strength_and_place(text, wish):
    assert parse_control(text) == wish
    assert parse_control(str(wish)) == wish


@pytest.mark.parametrize("text", ["", ":", "age:", "age:much", "age:1:2", "age@", "age:1@base@turbo", "age:nan", "age:inf", "age:101"])
def test_a_control_that_cannot_be_read_is_refused(text):
    with pytest.raises(BadInput, match="NAME|number"):
        parse_control(text)


def test_sizes():
    assert (parse_size("768x512"), parse_size("64")) == ((768, 512), (64, 64))
    for text in ("", "x", "0x64", "64x", "64x-1", "64x64x64", "1e3"):
        with pytest.raises(BadInput, match="is no size"):
            parse_size(text)


def test_settings_survive_json():
    settings = Settings(target="tiny/dmd2", hybrid_k=1, base_guidance=0.0, controls=("age:1",), size=(64, 32), negative="")
    assert settings_from(json.loads(json.dumps(asdict(settings)))) == settings


@pytest.mark.parametrize("table", [[], {"stpes": 4}, {"steps": "4"}, {"steps": True}, {"controls": "age"}, {"size": [64]}, {"size": [64, "x"]}])
def test_settings_that_are_none_are_refused(table):
    with pytest.raises(BadInput):
        settings_from(table)


def test_what_is_said_goes_over_what_was_said_before():
    before = Settings(target="tiny/dmd2", steps=4, controls=("age:1",))
    assert Settings(steps=2, negative="").over(before) == Settings(target="tiny/dmd2", steps=2, controls=("age:1",), negative="")
