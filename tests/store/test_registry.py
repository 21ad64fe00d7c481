import sqlite3

import pytest

from ctrlx.errors import BadInput, BadWeights, MissingWeights, NotKnown
from ctrlx.records import ListedControl, Score
from ctrlx.store import Registry
from tests.shipped import control, ship_control, weights


@pytest.fixture
def registry(home, shipped):
    with Registry.open() as opened:
        yield opened


def score(seed: int, edited: float, name: str = "my_slider", strength: float = 1.0) -> Score:
    return Score(name, "pocket/turbo", strength, "a person", seed, 20.0, edited, "an old person", "ab" * 32)


def test_what_is_added_comes_back_the_same_from_a_registry_opened_anew(registry):
    added = registry.add_control(control(recipe={"betas": (0.9, 0.99), "name": "ü"}), weights())
    with Registry.open() as again:
        assert again.control("my_slider") == added
        assert again.control("MY_SLIDER") == added
        path = again.verified_weights_path(added)
    assert path.read_bytes() == weights()
    assert path.name == f"{added.sha256}.safetensors"
    assert (added.size, added.recipe["betas"]) == (len(weights()), [0.9, 0.99])


def test_adding_the_same_control_twice_changes_nothing(registry, tmp_path):
    file = tmp_path / "x.safetensors"
    file.write_bytes(weights())
    first = registry.add_control(control(recipe={"betas": (0.9, 0.99)}), file)
    again = registry.add_control(control(recipe={"betas": (0.9, 0.99)}, created="2026-02-02T00:00:00+00:00"), weights())
    assert again == first
    assert [found.name for found in registry.controls()] == ["my_slider", "slider_age"]


def test_a_taken_name_with_other_content_is_refused_with_a_way_out(registry):
    registry.add_control(control(), weights(0))
    with pytest.raises(BadInput, match="already another control named 'my_slider'.*ctrlx rm my_slider"):
        registry.add_control(control("My_Slider"), weights(1))
    with pytest.raises(BadInput, match="already another"):
        registry.add_control(control(concept="a young person"), weights(0))


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "a b", "x" * 101, "ümlaut", "a\n", "-rf"])
def test_a_name_that_could_be_a_path_or_an_option_is_refused(registry, name):
    with pytest.raises(BadInput, match="cannot be named"):
        registry.add_control(control(name), weights())


def test_weights_that_are_not_what_the_record_says_are_refused(registry):
    with pytest.raises(BadWeights, match="not 000000000000…"):
        registry.add_control(control(sha256="0" * 64), weights())
    with pytest.raises(NotKnown):
        registry.control("my_slider")


def test_a_weight_file_that_cannot_be_read_is_refused(registry, tmp_path):
    with pytest.raises(BadInput, match="nowhere.safetensors cannot be read"):
        registry.add_control(control(), tmp_path / "nowhere.safetensors")


def test_controls_are_filtered_by_kind_family_and_source_and_the_listing_agrees(registry):
    registry.add_control(control("b_style", kind="lora", family="sdxl"), weights(1))
    registry.add_control(control("a_turbo", source="turbo"), weights(2))
    names = lambda **wanted: [found.name for found in registry.controls(**wanted)]
    assert names() == ["a_turbo", "b_style", "slider_age"]
    assert names(kind="lora") == names(family="sdxl") == ["b_style"]
    assert names(source="base", family="pocket") == ["slider_age"]
    listed = registry.listing(family="pocket")
    assert listed == [ListedControl(*(getattr(found, name) for name in ListedControl._fields)) for found in registry.controls(family="pocket")]


def test_an_unknown_control_suggests_the_nearest(registry):
    with pytest.raises(NotKnown) as wrong:
        registry.control("slidr_age")
    assert str(wrong.value) == "no control named 'slidr_age'; did you mean 'slider_age'?"


def test_a_built_in_is_there_from_the_first_opening_with_its_weights_in_the_shipped_folder(registry, shipped):
    built_in = registry.control("slider_age")
    assert built_in.origin == "built-in"
    assert registry.verified_weights_path(built_in) == shipped / "controls/slider_age.safetensors"


def test_built_ins_follow_what_is_shipped(home, shipped):
    Registry.open().close()
    ship_control(shipped, "slider_smile", seed=1)
    ship_control(shipped, "slider_age", seed=2)
    with Registry.open() as registry:
        assert [found.name for found in registry.controls()] == ["slider_age", "slider_smile"]
        assert registry.verified_weights_path(registry.control("slider_age")).read_bytes() == weights(2)
    (shipped / "controls/slider_smile.toml").unlink()
    with Registry.open() as registry:
        assert [found.name for found in registry.controls()] == ["slider_age"]


def test_a_removed_built_in_stays_removed_and_its_name_can_be_taken(home, shipped):
    with Registry.open() as registry:
        registry.remove_control("slider_age")
    ship_control(shipped, "slider_smile", seed=1)
    with Registry.open() as registry:
        assert [found.name for found in registry.controls()] == ["slider_smile"]
        registry.add_control(control("slider_age"), weights(5))
    ship_control(shipped, "slider_age", seed=7)
    with Registry.open() as registry:
        assert registry.control("slider_age").origin == "trained"


def test_a_built_in_s_weights_added_under_another_name_are_kept_in_the_store(registry, home):
    added = registry.add_control(control("copy"), weights(0))
    assert registry.control("slider_age").sha256 == added.sha256
    assert home in registry.verified_weights_path(added).parents


def test_removing_a_control_leaves_its_weights_and_its_scores(registry):
    added = registry.add_control(control(), weights())
    path = registry.weights_path(added)
    with registry.recording("transfer", {}) as run:
        registry.add_scores(run, [score(0, 22.0)])
        registry.finish_run(run, "done")
    registry.remove_control("my_slider")
    with pytest.raises(NotKnown):
        registry.control("my_slider")
    assert path.is_file()
    assert registry.scores(registry.add_control(control(), weights())) == [score(0, 22.0)]


def test_missing_short_and_altered_weights_are_told_apart(registry):
    added = registry.add_control(control(), weights())
    path = registry.weights_path(added)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"?")
    assert registry.weights_path(added) == path
    with pytest.raises(BadWeights, match="altered"):
        registry.verified_weights_path(added)
    path.write_bytes(whole[:-1])
    with pytest.raises(BadWeights, match="bytes, not"):
        registry.weights_path(added)
    path.unlink()
    with pytest.raises(MissingWeights, match="are gone from"):
        registry.weights_path(added)


def test_adding_again_mends_a_damaged_file(registry):
    added = registry.add_control(control(), weights())
    registry.weights_path(added).write_bytes(b"damaged")
    registry.add_control(control(), weights())
    assert registry.verified_weights_path(added).read_bytes() == weights()


def test_a_run_is_stored_with_what_it_read_and_made_and_the_library_versions(registry):
    read = {"slider_age": registry.control("slider_age").sha256}
    with registry.recording("transfer", {"to": "turbo", "strengths": (1.0, 2.0)}, read=read) as run:
        registry.finish_run(run, "done", result={"percent": 12.5}, made=["/out/a.png", "/out/b.png"])
    stored = registry.run(run.id)
    assert (stored.status, stored.made, stored.result) == ("done", ("/out/a.png", "/out/b.png"), {"percent": 12.5})
    assert {"python", "torch", "diffusers"} <= set(stored.versions)
    assert stored.ended > stored.started
    assert registry.runs(control="slider_age") == registry.runs(command="transfer") == [stored]
    assert registry.runs(control="other") == []


@pytest.mark.parametrize(
    ("wrong", "status", "error"),
    [
        (KeyboardInterrupt(), "interrupted", "stopped by the user"),
        (BadInput("no"), "failed", "BadInput: no"),
        (None, "failed", "left without a result"),
    ],
)
def test_a_run_that_does_not_come_to_its_end_is_never_done(registry, wrong, status, error):
    try:
        with registry.recording("transfer", {}) as run:
            if wrong:
                raise wrong
    except (KeyboardInterrupt, BadInput):
        pass
    assert (registry.run(run.id).status, registry.run(run.id).error) == (status, error)
    with pytest.raises(ValueError, match="has ended already"):
        registry.finish_run(run, "done")
    assert registry.run(run.id).status == status


def test_scores_belong_to_the_weights_they_were_measured_with(registry):
    first = registry.add_control(control(), weights(0))
    run = registry.start_run("transfer", {})
    registry.add_scores(run, [score(0, 22.0), score(1, 24.0)])
    registry.add_scores(run, [score(0, 22.0)])
    assert registry.scores(first) == [score(0, 22.0), score(1, 24.0)]
    registry.remove_control("my_slider")
    assert registry.scores(registry.add_control(control(), weights(1))) == []


def test_the_summary_is_the_ratio_of_means_of_the_latest_run(registry):
    added = registry.add_control(control(), weights())
    for edited in (50.0, 22.0):
        run = registry.start_run("transfer", {})
        registry.add_scores(run, [score(0, edited), score(1, edited + 2)])
    [summary] = registry.score_summaries(added)
    assert (summary.n, summary.original, summary.edited, summary.run) == (2, 20.0, 23.0, run.id)
    assert summary.percent == pytest.approx(15.0)


def test_scores_of_an_unknown_control_are_refused_whole(registry):
    added = registry.add_control(control(), weights())
    run = registry.start_run("transfer", {})
    with pytest.raises(NotKnown, match="no control named 'other'"):
        registry.add_scores(run, [score(0, 22.0), score(1, 22.0, name="other")])
    assert registry.scores(added) == []


def test_the_file_is_in_wal_mode_with_every_migration_applied(registry, home):
    from ctrlx.store import database, schema

    connection = sqlite3.connect(home / "registry.db")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA user_version").fetchone() == (database.VERSION,)
    assert connection.execute("SELECT count(*) FROM _sqlite_migrations").fetchone() == (len(schema.migrations._migrations),)
    assert len(schema.migrations._migrations) == database.VERSION


def test_shipped_built_ins_are_what_their_records_say(home):
    with Registry.open() as registry:
        for built_in in registry.controls():
            registry.verified_weights_path(built_in)
