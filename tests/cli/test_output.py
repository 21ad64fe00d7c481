import json
import re

import pytest

from ctrlx.cli import output


def test_a_table_in_a_pipe_is_aligned_lines(capsys):
    output.table(("NAME", "RANK"), [("age", 4), ("a_long_name", None)])
    assert capsys.readouterr().out == "NAME         RANK\nage          4\na_long_name\n"


def test_a_table_fitted_to_a_terminal_holds_the_same_words(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    output.table(("NAME", "NOTES"), [("age", "[bold]older[/bold] " * 8)])
    out = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert "age" in out
    assert out.count("[bold]") == 8
    assert max(map(len, out.splitlines())) <= 60


def test_what_could_steer_a_terminal_is_not_printed(capsys):
    output.table(("NAME",), [("\x1b[31mred\nline",)])
    output.facts({"name": "\x1b[31mred"})
    assert "\x1b" not in capsys.readouterr().out


def test_json_has_no_figure_that_is_not_finite(capsys):
    output.json_document({"a": float("nan"), "b": (1.5, float("inf")), "c": None})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [1.5, None], "c": None}


@pytest.mark.parametrize(("size", "text"), [(12, "12 B"), (1_200, "1.2 kB"), (5_140_000, "5.1 MB"), (5_140_000_000, "5.1 GB")])
def test_sizes_are_told_in_decimal_units(size, text):
    assert output.bytes_text(size) == text
