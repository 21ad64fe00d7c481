"""Commands that start quickly: typer converts every value through pydantic, and importing that takes as long as all of `ctrlx list`."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup


class QuickCommand(TyperCommand):
    """A typer command where text, and an option that was not given, need no conversion and get none."""

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        for parameter in self.params:
            if parameter.nargs == 1 and not getattr(parameter, "multiple", False) and parameter.callback is None:
                _spare(parameter)

    def get_help_option(self, context: Any) -> Any:
        return _spare(super().get_help_option(context))


class QuickGroup(TyperGroup):
    """A group of commands, whose --help needs no conversion either."""

    def get_help_option(self, context: Any) -> Any:
        return _spare(super().get_help_option(context))


def _spare(parameter: Any) -> Any:
    """`parameter` itself, its conversion passed over where there is nothing to convert."""
    if parameter is None or "process_value" in vars(parameter):
        return parameter
    convert = parameter.process_value
    is_text = getattr(getattr(parameter, "type_descriptor", None), "annotation", None) is str

    def process_value(context: Any, value: Any) -> Any:
        as_it_is = (is_text and isinstance(value, str)) or (value is None and not parameter.required)
        return value if as_it_is else convert(context, value)

    parameter.process_value = process_value
    return parameter
