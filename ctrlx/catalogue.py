"""What registry/ ships, read from its TOML files into records: families, built-in controls, prompt sets.

A file's stem is its id. Unknown, missing and ill-typed keys fail on load, naming the file, the key and the nearest valid key.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ctrlx.errors import BadCatalogue, NotKnown
from ctrlx.records import Control, Family, ScorerSpec, Target, Weights

DEFAULT_FAMILY = "pocket"
EMPTY: Mapping = MappingProxyType({})
NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,99}", re.IGNORECASE | re.ASCII)
NAME_RULE = "use 1 to 100 letters, digits, '_', '.' or '-', the first a letter or digit"


def registry_folder() -> Path:
    """The folder registry/: inside the package once installed from a wheel, beside it in a checkout."""
    package = Path(__file__).parent
    installed = package / "_registry"
    return installed if installed.is_dir() else package.parent / "registry"


def home_folder() -> Path:
    """The user's folder: CTRLX_HOME, or where this system keeps a program's data."""
    if home := os.environ.get("CTRLX_HOME"):
        return Path(home).expanduser()
    from platformdirs import user_data_dir

    return Path(user_data_dir("ctrlx", appauthor=False))


def families(extra: Path | None = None, folder: Path | None = None) -> dict[str, Family]:
    """Every family by id: those of `folder` (registry/), then those of `extra` (the user's home/families), which may replace one."""
    folder = folder or registry_folder()
    extra = extra or home_folder() / "families"
    files = [*sorted((folder / "families").glob("*.toml")), *sorted(extra.glob("*.toml"))]
    return {file.stem: _family(file) for file in files}


def family(name: str) -> Family:
    """The family called `name`.

    Raises NotKnown with the nearest name.
    """
    known = families()
    if name not in known:
        raise NotKnown("family", name, known)
    return known[name]


def resolve_target(name: str, family: str | None = None) -> Target:
    """The target called "turbo" in `family` (pocket where nobody says), or "sdxl/turbo" in full.

    Raises NotKnown with the nearest name.
    """
    family_name, _, target_name = name.rpartition("/")
    known = families()
    family_name = family_name or family or DEFAULT_FAMILY
    if family_name not in known:
        raise NotKnown("family", family_name, known)
    targets = known[family_name].targets
    if target_name not in targets:
        raise NotKnown("target", target_name, targets, f"in family '{family_name}'")
    return targets[target_name]


def built_in_controls(folder: Path | None = None) -> list[Control]:
    """The controls that ship in `folder`/controls: <name>.toml holds the record, <name>.safetensors the weights beside it."""
    folder = folder or registry_folder()
    return [_built_in(file) for file in sorted((folder / "controls").glob("*.toml"))]


def weights_of_built_in(name: str, folder: Path | None = None) -> Path:
    """Where the weights of the built-in control `name` lie."""
    return (folder or registry_folder()) / "controls" / f"{check_name(name)}.safetensors"


def prompt_sets(folder: Path | None = None) -> dict[str, tuple[str, ...]]:
    """Every named prompt set of `folder`/prompts."""
    return {file.stem: _prompts(file) for file in sorted(((folder or registry_folder()) / "prompts").glob("*.toml"))}


def prompt_set(name: str, folder: Path | None = None) -> tuple[str, ...]:
    """The prompts of the set called `name`.

    Raises NotKnown with the nearest name.
    """
    known = prompt_sets(folder)
    if name not in known:
        raise NotKnown("prompt set", name, known)
    return known[name]


def weights_present(weights: Weights) -> bool:
    """Whether these weights are on this machine: a path in registry/, or a snapshot in the Hub's cache. Opens and imports nothing."""
    if weights.path is not None:
        place = registry_folder() / weights.path / (weights.subfolder or "") / (weights.file or "")
        return place.is_file() or (place.is_dir() and any(place.iterdir()))
    snapshots = _hub_cache() / f"models--{(weights.repo or '').replace('/', '--')}" / "snapshots"
    wanted = [weights.file] if weights.file else ["*.safetensors", "*.bin"]
    return any(next(snapshots.glob("/".join(filter(None, ("*", weights.subfolder, name)))), None) for name in wanted)


def check_name(name: str) -> str:
    """`name` itself, when it can name a control.

    Raises BadCatalogue otherwise; names of the user's own making are checked by the store, with its own words.
    """
    if not NAME.fullmatch(name):
        raise BadCatalogue(f"'{name[:80]}' cannot be a name; {NAME_RULE}")
    return name


def _hub_cache() -> Path:
    if cache := os.environ.get("HF_HUB_CACHE"):
        return Path(cache)
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return Path(home).expanduser() / "hub"


# From a TOML table to a record: the record's own fields say which keys there are, which must be there and of what type.


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("a string")
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("a whole number")
    return value


def _number(value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError("a number")
    return float(value)


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("true or false")
    return value


def _table(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("a table")
    return value


def _list_of(item: Callable[[Any], Any], said: str) -> Callable[[Any], tuple]:
    def convert(value: Any) -> tuple:
        if not isinstance(value, list) or not value:
            raise TypeError(f"a list of {said}, not empty")
        try:
            return tuple(map(item, value))
        except TypeError:
            raise TypeError(f"a list of {said}") from None

    return convert


CONVERT: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "str": _text,
        "int": _whole,
        "float": _number,
        "bool": _truth,
        "Mapping[str, Any]": _table,
        "tuple[int, ...]": _list_of(_whole, "whole numbers"),
        "tuple[str, ...]": _list_of(_text, "strings"),
    }
)


def _family(file: Path) -> Family:
    table = _load(file)
    nested = {"weights": lambda value, at: _weights(value, file, at), "targets": lambda value, at: _targets(value, file)}
    nested["scorer"] = lambda value, at: _record(ScorerSpec, value, file, at)
    family = _record(Family, table, file, given={"id": file.stem}, nested=nested)
    if [target.role for target in family.targets.values()].count("base") != 1:
        raise BadCatalogue(f"{file}: exactly one target must have role \"base\"")
    for name in family.preferred:
        _one_of(name, tuple(family.targets), file, "preferred")
    return family


def _targets(value: Mapping[str, Any], file: Path) -> Mapping[str, Target]:
    return {name: _target(name, _converted(_table, table, file, f"targets.{name}"), file) for name, table in value.items()}


def _target(name: str, table: Mapping[str, Any], file: Path) -> Target:
    at = f"targets.{name}."
    nested = {"weights": lambda value, at: _weights(value, file, at)}
    target = _record(Target, table, file, at, given={"family": file.stem, "name": name}, nested=nested)
    _one_of(target.role, ("base", "distilled"), file, f"{at}role")
    _one_of(target.form, ("unet", "lora"), file, f"{at}form")
    _one_of(target.prediction_type, ("epsilon", "v_prediction", "sample"), file, f"{at}prediction_type")
    return target


def _weights(value: Mapping[str, Any], file: Path, at: str) -> Weights:
    weights = _record(Weights, value, file, at)
    if (weights.path is None) == (weights.repo is None):
        raise BadCatalogue(f"{file}: '{at.rstrip('.')}' must have either 'path' or 'repo'")
    return weights


def _built_in(file: Path) -> Control:
    weights = file.with_suffix(".safetensors")
    if not weights.is_file():
        raise BadCatalogue(f"{file}: there is no {weights.name} beside it; run `git checkout {weights.name}` or reinstall ctrlx")
    given = {"name": check_name(file.stem), "size": weights.stat().st_size, "origin": "built-in"}
    try:
        return _record(Control, _load(file), file, given=given)
    except ValueError as bad:
        raise BadCatalogue(f"{file}: {bad}") from None


def _prompts(file: Path) -> tuple[str, ...]:
    table = _load(file)
    _known_keys(table, ("title", "prompts"), file, "")
    if "prompts" not in table:
        raise BadCatalogue(f"{file}: key 'prompts' is missing")
    return _converted(CONVERT["tuple[str, ...]"], table["prompts"], file, "prompts")


def _load(file: Path) -> dict[str, Any]:
    try:
        import tomllib
    except ImportError:  # Python 3.10
        import tomli as tomllib
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as bad:
        raise BadCatalogue(f"{file} cannot be read: {bad}") from None


def _record(kind: type, table: Mapping[str, Any], file: Path, at: str = "", *, given: Mapping = EMPTY, nested: Mapping = EMPTY) -> Any:
    """A `kind` made from `table`, whose dotted place in `file` is `at`; `given` fields come from elsewhere and are no keys."""
    keys = {field.name: field for field in fields(kind) if field.name not in given}
    _known_keys(table, keys, file, at)
    for name, field in keys.items():
        if name not in table and _must_be_there(field):
            raise BadCatalogue(f"{file}: key '{at}{name}' is missing")
    values = {}
    for name, value in table.items():
        if name in nested:
            values[name] = nested[name](_converted(_table, value, file, f"{at}{name}"), f"{at}{name}.")
        else:
            values[name] = _converted(CONVERT[keys[name].type.removesuffix(" | None")], value, file, f"{at}{name}")
    return kind(**values, **given)


def _must_be_there(field: Field) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _known_keys(table: Mapping[str, Any], keys: Any, file: Path, at: str) -> None:
    for key in table:
        if key not in keys:
            near = get_close_matches(key, keys, n=1, cutoff=0.5)
            way_out = f"did you mean '{near[0]}'?" if near else f"there is {', '.join(keys)}"
            raise BadCatalogue(f"{file}: no key is named '{at}{key}'; {way_out}")


def _converted(convert: Callable[[Any], Any], value: Any, file: Path, key: str) -> Any:
    try:
        return convert(value)
    except TypeError as wanted:
        raise BadCatalogue(f"{file}: key '{key}' must be {wanted}, and is {value!r:.60}") from None


def _one_of(value: str, valid: tuple[str, ...], file: Path, key: str) -> None:
    if value not in valid:
        raise BadCatalogue(f"{file}: key '{key}' must be one of {', '.join(valid)}, and is '{value}'")
