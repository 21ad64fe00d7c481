from benchmarks import matrix
from ctrlx.commands.matrix import Asked
from tests import tiny_matrix


def test_the_matrix_benchmark_runs_and_both_ways_find_the_same(home, tmp_path, capsys):
    tiny_matrix.write_family(home)
    tiny_matrix.add_control(tmp_path, "age", 0)
    figures = matrix.main(Asked(controls=["age"], targets=["turbo", "dmd2"], seeds=2, strengths=[1]), home)
    assert figures["cells"] == 3
    assert figures["largest_gap_in_points"] < 0.1  # pixels differ in their last bits by batch
    assert "times_faster" in capsys.readouterr().out
