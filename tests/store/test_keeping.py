"""What is kept can be found, labelled, renamed, removed and brought back; and made again from the files when the database is lost."""

import os
import time

import pytest

from ctrlx.errors import BadInput, NotKnown
from ctrlx.store import Registry, beside, doctor, labels, weights
from tests.shipped import control, ship_control
from tests.shipped import weights as data
from tests.store.test_registry import score


@pytest.fixture
def registry(home, shipped):
    with Registry.open() as opened:
        opened.add_control(control("my_slider", recipe={"trigger_words": ["ohwx"], "hashes": {"autov2": "abcdef0123"}}), data(1))
        opened.add_control(control("style", kind="lora", tags=("art",), concept="a watercolor", prompts=("a house",)), data(2))
        yield opened


def found(registry, words):
    return [listed.name for listed in labels.search(registry, words)]


@pytest.mark.parametrize(("words", "names"), [("ohwx", ["my_slider"]), ("abcdef0123", ["my_slider"]), ("waterc", ["style"]), ("house art", ["style"]), ("house ohwx", []), ("slider", ["my_slider", "slider_age"]), ("my_sl", ["my_slider"]), ('"; DROP', [])])
def test_search_finds_by_every_word_a_control_has(registry, words, names):
    assert sorted(found(registry, words)) == names


def test_search_follows_every_change(registry):
    labels.set_notes(registry, "style", "best on turbo")
    assert found(registry, "turbo") == ["style"]
    labels.rename(registry, "style", "aquarelle")
    assert found(registry, "aquarelle turbo") == ["aquarelle"]
    registry.remove_control("aquarelle")
    assert found(registry, "turbo") == []
    with pytest.raises(BadInput, match="no word to search for"):
        labels.search(registry, "_-")


def test_tags_are_added_once_removed_and_filtered_by(registry):
    assert labels.set_tags(registry, "style", ["Art", "house"], ["ART"]).tags == ("house",)
    assert labels.set_tags(registry, "style", ["b", "a"]).tags == ("house", "b", "a")
    assert [listed.name for listed in registry.listing(tag="HOUSE")] == ["style"]


def test_a_listing_is_sorted_by_any_field_either_way(registry):
    names = lambda sort: [listed.name for listed in registry.listing(sort=sort)]
    assert names("-name") == ["style", "slider_age", "my_slider"]
    assert names("kind")[0] == "style"
    with pytest.raises(NotKnown, match="did you mean 'size'"):
        registry.listing(sort="sise")


def test_a_built_in_s_labels_outlive_an_upgrade(home, shipped):
    with Registry.open() as registry:
        labels.set_tags(registry, "slider_age", ["mine"])
        labels.set_notes(registry, "slider_age", "good")
    ship_control(shipped, "slider_age", seed=9)
    with Registry.open() as registry:
        assert (registry.control("slider_age").tags, registry.control("slider_age").notes) == (("age", "mine"), "good")


def test_a_renamed_control_keeps_its_scores_and_its_history(registry):
    before = registry.control("my_slider")
    with registry.recording("transfer", {}, read={"my_slider": before.sha256}) as run:
        registry.add_scores(run, [score(0, 23.0)])
        registry.finish_run(run, "done")
    after = labels.rename(registry, "MY_SLIDER", "beard")
    assert [each.control for each in registry.scores(after)] == ["beard"]
    assert [each.id for each in registry.runs_of(after)] == [run.id]
    assert labels.rename(registry, "beard", "Beard").name == registry.control("beard").name == "Beard"
    assert [record.name for _, record in beside.records(registry.home) if record.sha256 == after.sha256] == ["Beard"]


@pytest.mark.parametrize(("new", "sentence"), [("../x", "cannot be named"), ("STYLE", "already a control named 'style'")])
def test_a_name_that_cannot_be_taken_is_refused(registry, new, sentence):
    with pytest.raises(BadInput, match=sentence):
        labels.rename(registry, "my_slider", new)


def test_a_removed_control_can_be_brought_back_until_gc(registry):
    before = labels.set_tags(registry, "my_slider", ["kept"])
    registry.remove_control("my_slider")
    assert labels.restore(registry, "My_Slider") == before
    registry.remove_control("my_slider")
    freed = doctor.collect(registry)
    assert freed.bytes >= len(data(1))
    assert not weights.place_of(registry.home, before.sha256).exists()
    with pytest.raises(NotKnown, match="no removed control"):
        labels.restore(registry, "my_slider")
    assert list(doctor.verify(registry).values()) == [None, None]


def test_gc_leaves_shared_weights_and_young_leftovers(registry):
    registry.add_control(control("twin"), data(1))
    registry.remove_control("my_slider")
    folder = weights.place_of(registry.home, registry.control("twin").sha256).parent
    (folder / ".young.tmp").write_text("x")
    (folder / ".old.tmp").write_text("x")
    os.utime(folder / ".old.tmp", (0, time.time() - 2 * doctor.HOUR))
    doctor.collect(registry)
    assert (folder / ".young.tmp").exists()
    assert not (folder / ".old.tmp").exists()
    registry.verified_weights_path(registry.control("twin"))


def test_verify_names_what_was_altered(registry):
    path = registry.weights_path(registry.control("style"))
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert {name for name, wrong in doctor.verify(registry).items() if wrong} == {"style"}


def test_the_doctor_finds_and_mends(registry):
    assert doctor.examine(registry, mend=False) == []
    beside.place(registry.home, registry.control("style")).unlink()
    registry._database.execute("DELETE FROM controls WHERE name = 'my_slider'")
    registry._database.execute("DELETE FROM found")
    for mend, left in ((False, 4), (True, 3), (False, 0)):
        findings = doctor.examine(registry, mend=mend)
        assert len(findings) == left, findings
        assert all(finding.mended == mend for finding in findings if "used by no control" not in finding.what)
    assert registry.control("my_slider").recipe["trigger_words"] == ["ohwx"]


def test_a_broken_database_is_made_again_from_the_records(registry, home, capsys):
    from ctrlx.cli.app import main

    before = registry.controls()
    registry.close()
    for log in ("-wal", "-shm"):
        (home / f"registry.db{log}").unlink(missing_ok=True)
    (home / "registry.db").write_bytes(b"garbage" * 1000)
    assert main(["list"]) == 6
    assert main(["doctor"]) == 0
    assert "ctrlx doctor --mend" in capsys.readouterr().out
    assert main(["doctor", "--mend"]) == 0
    with Registry.open() as again:
        assert again.controls() == before
    assert len(list(home.glob("registry.db.broken-*"))) == 1


def test_every_verb_that_keeps_speaks(registry, capsys):
    from ctrlx.cli.app import main

    for arguments, said in (
        (["tag", "style", "art", "calm"], "style: art, calm\n"),
        (["note", "style", "best on turbo"], "style: best on turbo\n"),
        (["search", "turbo"], "style"),
        (["list", "--tag", "calm"], "style"),
        (["history", "style"], "trained on  pocket/base"),
        (["verify"], "3 of 3 weight files are whole\n"),
        (["doctor"], "all is well\n"),
        (["gc"], "0 files deleted, 0 B freed\n"),
    ):
        assert main(arguments) == 0, arguments
        assert said in capsys.readouterr().out
    assert main(["rename", "style", "aquarelle"]) == main(["rm", "aquarelle", "--yes"]) == main(["restore", "aquarelle"]) == 0
