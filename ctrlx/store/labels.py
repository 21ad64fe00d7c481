"""What a user changes about a control that is kept: its tags, its notes, its name; and finding it again by any word of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace

from ctrlx import catalogue
from ctrlx.errors import BadInput, NotKnown
from ctrlx.records import Control, ListedControl
from ctrlx.store import beside
from ctrlx.store.registry import Registry

RANKED = 30_000  # matches put in order within 50 ms


def set_tags(registry: Registry, name: str, add: Iterable[str] = (), remove: Iterable[str] = ()) -> Control:
    """The control with these tags added and those removed, each once and in the order given. Raises NotKnown."""
    control = registry.control(name)
    gone = {tag.lower() for tag in remove}
    tags = {tag.lower(): tag for tag in (*control.tags, *add)}
    return _update(registry, control, tags=tuple(tag for lower, tag in tags.items() if lower not in gone))


def set_notes(registry: Registry, name: str, notes: str) -> Control:
    """The control with these notes in place of those it had. Raises NotKnown."""
    return _update(registry, registry.control(name), notes=notes)


def rename(registry: Registry, name: str, new: str) -> Control:
    """The control under a new name, its scores with it.

    Raises NotKnown, and BadInput for a name that cannot be used or is taken, or for a built-in.
    """
    control = registry.control(name)
    if not catalogue.NAME.fullmatch(new):
        raise BadInput(f"a control cannot be named '{new[:80]}'; {catalogue.NAME_RULE}")
    if control.origin == "built-in":
        raise BadInput(f"'{control.name}' is built in and keeps its name; import its file under another, from {registry.weights_path(control)}")
    with registry._database.transaction():
        taken = registry._database.row("SELECT name FROM controls WHERE name = ? AND name <> ? COLLATE NOCASE", [new, control.name])
        if taken:
            raise BadInput(f"there is already a control named '{taken['name']}'; give this one another name")
        renamed = replace(control, name=new)
        beside.write(registry.home, renamed)
        registry._database.execute("UPDATE controls SET name = ? WHERE name = ?", [new, control.name])
        registry._database.execute("UPDATE scores SET control = ? WHERE control = ? AND weights = ?", [new, control.name, control.sha256])
    if new.lower() != control.name.lower():
        beside.forget(registry.home, control)
    return renamed


def search(registry: Registry, words: str, limit: int = 50) -> list[ListedControl]:
    """Controls in whose name, tags, notes, prompts, concept, trigger words or hashes every word is found, or begins one; the best first, unless there are more
    than RANKED of them: then a word says nothing of which is best, and the oldest come first.

    Raises BadInput where there is no word.
    """
    wanted = re.findall(r"\w+", words.replace("_", " "))
    if not wanted:
        raise BadInput("there is no word to search for; give one, as in `ctrlx search age`")
    columns = ", ".join(f"controls.{field}" for field in ListedControl._fields)
    query = " ".join(f'"{word}"*' for word in wanted)
    [(many,)] = registry._database.tuples("SELECT count(*) FROM (SELECT 1 FROM found WHERE found MATCH ? LIMIT ?)", [query, RANKED + 1])
    order = "rank" if many <= RANKED else "rowid"
    best = f"SELECT rowid, rank FROM found WHERE found MATCH ? AND rank MATCH 'bm25(8, 4)' ORDER BY {order} LIMIT ?"
    sql = f"SELECT {columns} FROM ({best}) AS best JOIN controls ON controls.rowid = best.rowid ORDER BY best.{order}"
    return list(map(ListedControl._make, registry._database.tuples(sql, [query, limit])))


def restore(registry: Registry, name: str) -> Control:
    """A removed control, back as it was. Raises NotKnown, BadInput where its name is taken, MissingWeights."""
    removed = {control.name.lower(): control for _, control in beside.records(registry.home, beside.REMOVED) if control}
    if name.lower() not in removed:
        raise NotKnown("removed control", name, [control.name for control in removed.values()])
    control = removed[name.lower()]
    back = registry.add_control(control, registry.kept_file(control))
    beside.place(registry.home, control, beside.REMOVED).unlink(missing_ok=True)
    return back


def _update(registry: Registry, control: Control, **changes) -> Control:
    changed = replace(control, **changes)
    columns = {name: json.dumps(value, ensure_ascii=False) if isinstance(value, tuple) else value for name, value in changes.items()}
    with registry._database.transaction():
        if control.origin != "built-in":
            beside.write(registry.home, changed)
        assignments = ", ".join(f"{name} = :{name}" for name in columns)
        registry._database.execute(f"UPDATE controls SET {assignments} WHERE name = :who", {**columns, "who": control.name})
    return changed
