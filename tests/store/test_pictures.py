from ctrlx.store import Registry
from ctrlx.store.pictures import MANY


def test_a_picture_is_found_by_its_key_and_only_while_its_file_is_whole(home):
    with Registry.open() as registry:
        kept = registry.pictures.add("key", b"png", "", "run")
        assert kept.path.read_bytes() == b"png"
    with Registry.open() as registry:
        assert registry.pictures.find(["key", "other"]) == {"key": kept}
        kept.path.write_bytes(b"pnG")
        assert registry.pictures.find(["key"]) == {}
        assert registry.pictures.add("key", b"png", "", "run") == kept  # mended
        assert registry.pictures.find(["key"]) == {"key": kept}


def test_a_key_drawn_anew_points_to_the_new_picture(home):
    with Registry.open() as registry:
        registry.pictures.add("key", b"old", "", "one")
        new = registry.pictures.add("key", b"new", "flat", "two")
        assert registry.pictures.find(["key"]) == {"key": new}


def test_very_many_keys_are_asked_for_at_once(home):
    keys = [f"{number:05}" for number in range(2 * MANY + 1)]
    with Registry.open() as registry:
        registry.pictures.add(keys[0], b"one", "", "run")
        registry.pictures.add(keys[-1], b"two", "", "run")
        assert registry.pictures.find(keys).keys() == {keys[0], keys[-1]}


def test_embeddings_are_kept_by_scorer(home):
    with Registry.open() as registry:
        registry.pictures.add_embeddings("scorer", {"file": b"\0" * 8})
        registry.pictures.add_embeddings("scorer", {"file": b"\1" * 8})  # what a scorer saw does not change
        assert registry.pictures.embeddings("scorer", ["file", "other"]) == {"file": b"\0" * 8}
        assert registry.pictures.embeddings("another", ["file"]) == {}


def test_a_finding_is_kept_until_there_is_a_newer_one(home):
    with Registry.open() as registry:
        assert registry.pictures.finding("key") is None
        registry.pictures.add_finding("key", {"adapted": 3, "drift": None})
        registry.pictures.add_finding("key", {"adapted": 3, "drift": 0.0})
        assert registry.pictures.finding("key") == {"adapted": 3, "drift": 0.0}
