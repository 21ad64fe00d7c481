"""Records to rows and back: the one place that knows how each field is stored. Mappings and tuples are JSON columns."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ctrlx.records import Control, Run, Score, ScoreSummary

JSON_COLUMNS = {
    Control: {"prompts": tuple, "tags": tuple, "recipe": dict},
    Run: {"arguments": dict, "versions": dict, "read": dict, "result": dict},
    Score: {},
}
IN_OTHER_TABLES = {Run: ("made",)}


def to_row(record: Control | Run | Score) -> dict[str, Any]:
    """The columns of `record`'s own table."""
    kind = type(record)
    names = [field.name for field in fields(record) if field.name not in IN_OTHER_TABLES.get(kind, ())]
    return {name: _json(getattr(record, name)) if name in JSON_COLUMNS[kind] else getattr(record, name) for name in names}


def to_control(row: sqlite3.Row) -> Control:
    return Control(**_values(Control, row))


def to_run(row: sqlite3.Row, made: tuple[str, ...]) -> Run:
    return Run(**_values(Run, row), made=made)


def to_score(row: sqlite3.Row) -> Score:
    return Score(**{field.name: row[field.name] for field in fields(Score)})


def to_summary(row: sqlite3.Row) -> ScoreSummary:
    return ScoreSummary(**dict(row))


def _values(kind: type, row: sqlite3.Row) -> dict[str, Any]:
    values = dict(row)
    for name, shape in JSON_COLUMNS[kind].items():
        text = values[name]
        values[name] = shape() if text in ("[]", "{}") else shape(json.loads(text))
    return values


def _json(value: Mapping | tuple) -> str:
    return json.dumps(value if isinstance(value, tuple) else dict(value), ensure_ascii=False, default=str)
