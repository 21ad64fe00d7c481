"""The files of a report, from cells made by hand."""

import csv
import io
import re
import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ctrlx.reports.heatmap import FULL, LOW, NONE, heatmap_png, heatmap_svg, shade
from ctrlx.reports.matrix import Album, write_report
from ctrlx.reports.tables import as_csv, as_latex, as_markdown, headline

CHROMIUM = shutil.which("chromium")
TRICKY = "a cat </script><script>document.title='caught'</script>"


def cell(control="age", target="turbo", strength=1.0, **changes):
    told = {"control": control, "source": "base", "target": target, "direction": "source" if target == "base" else "forward", "strength": strength,
            "percent": 20.44, "low": 18.1, "high": 22.9, "n": 2, "ratio": 0.92, "side_effects": {"distance": 0.12, "probes": 1.5},
            "coverage": {"adapted": 9, "total": 9}, "broken": False, "points": 4.0, "source_percent": 22.2, "drift": 0.0, "note": ""}
    return {**told, **changes}


CELLS = [
    cell(target="base", ratio=1.0, percent=22.2), cell(strength=0.5, percent=10.0, low=8.0, high=12.0), cell(), cell(target="lcm", percent=40.0, ratio=1.8, broken=True, note="it broke"),
    cell("my_style", "base", percent=None, low=None, high=None, ratio=None, note="too near 0"), cell("my_style", "turbo", percent=5.0, low=4.0, high=6.0, ratio=0.2),
]


@pytest.fixture
def album(tmp_path):
    """Two pictures for every place: without the control a grey one, with it one of its own colour."""
    paths, folder = {}, tmp_path / "pictures"
    folder.mkdir()
    for number, one in enumerate(CELLS):
        for strength, colour in ((0.0, (90, 90, 90)), (one["strength"], (40 * number, 200, 10))):
            place = one["control"], one["target"], strength
            paths[place] = [folder / f"{number}_{strength}_{i}.png" for i in range(2)]
            for i, path in enumerate(paths[place]):
                Image.new("RGB", (16, 16), (*colour[:2], i)).save(path)
    return Album(paths, dict.fromkeys(("age", "my_style"), [(TRICKY, 0), ("a dog", 1)]))


@pytest.fixture
def found():
    how = {"family": "tiny", "seeds": [0, 1], "probes": ["a house"], "controls": {"age": {"kind": "slider", "concept": "old", "source": "tiny/base", "prompts": [TRICKY], "sha256": "0" * 64}},
           "targets": {"tiny/base": {"method": "random", "scheduler": "Euler", "timesteps": [999], "guidance": 0.0, "size": 16}}, "weights": {"tiny/base": "1" * 64},
           "ctrlx": "0", "started": "today", "device": "cpu", "dtype": "float32", "versions": {"torch": "2"}}
    return {"cells": CELLS, "scorer": {"name": "open_clip x", "hash": "2" * 64}, "how": how, "warnings": ["mind the gap"], "made": 3, "reused": 4, "run": "r", "seconds": 1.0}


def test_csv_has_a_line_a_cell_with_nothing_rounded():
    lines = list(csv.DictReader(io.StringIO(as_csv(CELLS))))
    assert [(line["control"], line["target"], line["strength"]) for line in lines] == [(c["control"], c["target"], str(c["strength"])) for c in CELLS]
    assert lines[2]["percent"] == "20.44" and lines[2]["adapted"] == "9" and lines[4]["percent"] == ""


def test_tables_show_the_strength_nearest_one():
    assert headline(CELLS)["age", "turbo"]["strength"] == 1
    assert headline([cell(strength=0.5), cell(strength=1.5)])["age", "turbo"]["strength"] == 1.5


def test_markdown_and_latex_have_a_row_a_control_and_a_column_a_target():
    assert as_markdown(CELLS).splitlines() == [
        "| control | base | turbo | lcm |",
        "| --- | --- | --- | --- |",
        "| age (+1) | +22.2 % (18.1 to 22.9), source | +20.4 % (18.1 to 22.9), ratio 0.92 | +40.0 % (18.1 to 22.9), ratio 1.80, broken |",
        "| my_style (+1) | +4.0 points, source | +5.0 % (4.0 to 6.0), ratio 0.20 | – |",
    ]
    age, style = as_latex(CELLS).splitlines()[4:6]
    assert age == r"age & $22.2^{*}$ {\scriptsize[18.1, 22.9]} & $20.4$ {\scriptsize[18.1, 22.9]} & $40.0^{\dagger}$ {\scriptsize[18.1, 22.9]} \\"
    assert style.startswith(r"my\_style & $+4.0$ pt & ") and style.endswith(r"& -- \\")


def test_the_heat_map_s_colour_is_the_ratio():
    assert (shade(None), shade(0), shade(-3), shade(1), shade(7)) == (NONE, LOW, LOW, FULL, FULL)
    sheet = np.asarray(heatmap_png(CELLS))
    assert {LOW, NONE} - {tuple(colour) for colour in sheet.reshape(-1, 3)} == {LOW} and FULL in {tuple(c) for c in sheet.reshape(-1, 3)}
    svg = ElementTree.fromstring(heatmap_svg(CELLS))
    texts = [element.text for element in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert "+20.4 %" in texts and "my_style" in texts


def test_every_file_is_written_and_the_page_needs_no_other(tmp_path, album, found):
    names = [path.name for path in write_report(found, album, tmp_path)]
    assert names[-2:] == ["report.html", "matrix.json"] and {"grid_age.png", "grid_my_style.png", "heatmap.png"} <= set(names)
    page = (tmp_path / "report.html").read_text()
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!data:)|https?://(?!www\.w3\.org)|@import|url\(""", page)
    assert "<script>document.title" not in page and "mind the gap" in page
    assert not list(tmp_path.glob(".*.tmp"))


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_the_page_works_in_a_browser(tmp_path, album, found):
    playwright = pytest.importorskip("playwright.sync_api")
    list(write_report(found, album, tmp_path))
    with playwright.sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        wrong = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: None if request.url.startswith(("file:", "data:")) else wrong.append(request.url))
        page.goto((Path(tmp_path) / "report.html").as_uri())
        rows = lambda: page.locator("#matrix tbody th").all_inner_texts()  # noqa: E731
        assert rows() == ["age", "my_style"] and page.title() == "How much of each control arrives"
        page.get_by_role("button", name="turbo", exact=True).click()
        assert rows() == ["age", "my_style"]
        page.get_by_role("button", name="turbo", exact=True).click()
        assert rows() == ["my_style", "age"]
        page.get_by_role("button", name="+20.4 % (18.1 to 22.9)").click()
        assert page.locator("#detail h2").inner_text() == "age on turbo at strength 1"
        assert page.locator(".pairs figure").count() == 2 and TRICKY in page.locator(".pairs").inner_text()
        assert page.locator(".pairs img").evaluate_all("all => all.every(one => one.complete && one.naturalWidth === 16)")
        assert page.locator("#curve polyline").count() == 2
        divider = page.locator(".pairs input").first
        divider.fill("20")
        assert page.locator(".both").first.evaluate("one => getComputedStyle(one).getPropertyValue('--cut')") == "20%"
        page.locator("#all").fill("75")
        assert page.locator(".both").last.evaluate("one => getComputedStyle(one).getPropertyValue('--cut')") == "75%"
        page.locator("#strength").select_option("0.5")
        assert page.locator("#detail h2").inner_text() == "age on turbo at strength 0.5"
        browser.close()
    assert wrong == []
