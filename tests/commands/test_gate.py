import json

import pytest

from ctrlx.cli.app import main
from ctrlx.commands.gate import Limits, gate
from ctrlx.errors import BadInput


def cell(**changes):
    told = {"control": "age", "target": "turbo", "direction": "forward", "strength": 1.0, "ratio": 0.9, "broken": False, "drift": 0.0,
            "side_effects": {"distance": 0.1, "probes": 2.0}, "note": ""}
    return {**told, **changes}


@pytest.fixture
def report(tmp_path):
    def write(*cells):
        (tmp_path / "matrix.json").write_text(json.dumps({"cells": cells}))
        return tmp_path

    return write


def test_a_matrix_passes_where_every_transfer_reaches_its_limits(report):
    found = gate(report(cell(), cell(target="base", direction="source", ratio=None)), Limits())
    assert (found.passed, found.judged, found.failures, found.skipped) == (True, 1, (), ())


@pytest.mark.parametrize(
    "changes, limits, words",
    [
        ({"ratio": 0.79}, {}, "ratio 0.79, at least 0.8"),
        ({"ratio": -2.0}, {}, "ratio -2.00"),
        ({"broken": True, "note": "4 of 4 pictures"}, {}, "broken, 4 of 4 pictures"),
        ({"broken": True, "ratio": None}, {}, "broken"),
        ({"drift": 1e-6}, {}, "left 1e-06 behind"),
        ({}, {"max_side_effects": 1.5}, "probes 2, at most 1.5"),
        ({}, {"max_distance": 0.05}, "distance 0.1, at most 0.05"),
    ],
    ids=str,
)
def test_what_falls_short_fails_with_a_sentence(report, changes, limits, words):
    found = gate(report(cell(**changes)), Limits(**limits))
    assert not found.passed and words in found.failures[0] and found.failures[0].startswith("age on turbo at 1: ")


def test_the_strength_nearest_one_is_judged_unless_another_is_named(report):
    folder = report(cell(strength=0.5, ratio=0.1), cell(strength=1.5, ratio=0.9))
    assert gate(folder, Limits()).passed
    assert not gate(folder, Limits(strength=0.5)).passed
    with pytest.raises(BadInput, match="it has 0.5, 1.5"):
        gate(folder, Limits(strength=1))


def test_what_has_no_ratio_is_not_judged_and_a_matrix_of_nothing_else_fails(report):
    nothing = cell(ratio=None, note="within its noise of 0")
    found = gate(report(cell(), nothing), Limits())
    assert found.passed and found.skipped == ("age on turbo at 1: within its noise of 0",)
    assert not gate(report(nothing), Limits()).passed
    assert not gate(report(), Limits()).passed


@pytest.mark.parametrize("text", ["", "[]", '{"cells": 3}', '{"cells": [{}]}', "{}", "\0"])
def test_a_file_that_is_no_report_is_refused(tmp_path, text):
    (tmp_path / "matrix.json").write_text(text)
    with pytest.raises(BadInput, match="ctrlx eval --matrix"):
        gate(tmp_path, Limits())


def test_the_exit_code_is_for_ci(report, home, capsys):
    assert main(["gate", str(report(cell()))]) == 0
    assert capsys.readouterr().out == "passed: 1 cells judged, 0 not\n"
    assert main(["gate", str(report(cell())), "--min-ratio", "0.95", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["passed"] is False
    assert main(["gate", str(report(cell())) + "/nothing.json"]) == 2
