"""The rules of ARCHITECTURE.md that can be read off the source: who imports whom, how long a file is, what is never called."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
WORDS = {"errors", "records", "catalogue"}
DOMAIN = {"controls", "targets", "sampling", "training", "scoring", "reports"}
MAY_IMPORT = {  # layer -> layers it may import; every layer may import itself
    **dict.fromkeys(WORDS, WORDS),
    "settings": WORDS,  # a domain folder's settings.py: plain data that the command line fills in
    **dict.fromkeys(DOMAIN, DOMAIN | WORDS | {"settings"}),
    "store": WORDS,
    "commands": DOMAIN | WORDS | {"settings", "store"},
    "cli": WORDS | {"settings", "commands"},
}
MUST_BE_LATE = {"cli": {"commands"}, "commands": DOMAIN}  # so that every name is resolved before torch is imported
HEAVY = {"torch", "torchvision", "diffusers", "transformers", "peft", "accelerate", "open_clip"}
LATE_TOO = {  # where else a late import may be, and why
    ("ctrlx/store/database.py", "ctrlx.store.schema"),  # sqlite_utils, only where a file is behind
    ("ctrlx/cli/train.py", "ctrlx.training.settings"),  # not for --help
}
FILE_LINES, FUNCTION_LINES = 400, 40


def sources(*folders: str) -> list[Path]:
    """Every Python file under these folders of the checkout; there must be some."""
    found = sorted(file for folder in folders for file in (CHECKOUT / folder).rglob("*.py"))
    assert found, folders
    return found


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def imports(file: Path) -> Iterator[tuple[str, bool]]:
    """(module, whether it is imported inside a function); what only type checkers import is passed over."""
    yield from _imports(tree(file), late=False)


def _imports(node: ast.AST, late: bool) -> Iterator[tuple[str, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from ((name.name, late) for name in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports are written in full"
            yield from ((f"{child.module}.{name.name}", late) for name in child.names)
        elif not (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)):
            yield from _imports(child, late or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)))


def layer(module: str) -> str:
    """ctrlx.store.rows.to_row -> store"""
    parts = module.split(".")
    return "settings" if parts[1] in DOMAIN and parts[2:3] == ["settings"] else parts[1]


def layer_of(file: Path) -> str:
    return layer(".".join(file.relative_to(CHECKOUT).with_suffix("").parts))


def own_imports() -> Iterator[tuple[Path, str, bool]]:
    """Every import of one layer by a file of another or the same."""
    for file in sources("ctrlx"):
        if layer_of(file) in MAY_IMPORT:
            for module, late in imports(file):
                if module.startswith("ctrlx.") and layer(module) in MAY_IMPORT:
                    yield file, module, late


def named(file: Path) -> str:
    return file.relative_to(CHECKOUT).as_posix()


def test_every_folder_and_file_of_the_package_is_a_layer():
    known = {*MAY_IMPORT, "__init__", "__main__"}
    assert {layer_of(file) for file in sources("ctrlx")} == known


def test_imports_go_one_way():
    """cli -> commands -> domain and store; domain and store never import each other; words import nobody."""
    wrong = [
        f"{named(file)} imports {module}"
        for file, module, _ in own_imports()
        if layer(module) not in MAY_IMPORT[layer_of(file)] | {layer_of(file)}
    ]
    assert wrong == []


def test_late_imports_live_in_two_places_and_must_be_late_there():
    """CLI body -> command, command -> domain."""
    wrong = []
    for file, module, late in own_imports():
        must = layer(module) in MUST_BE_LATE.get(layer_of(file), ())
        allowed = any(named(file) == where and module.startswith(what) for where, what in LATE_TOO)
        if late != must and not allowed:
            wrong.append(f"{named(file)} imports {module} {'late' if late else 'at once'}")
    assert wrong == []


def test_only_the_domain_imports_torch_and_its_kin():
    wrong = [
        f"{named(file)} imports {module}"
        for file in sources("ctrlx")
        if layer_of(file) not in DOMAIN
        for module, _ in imports(file)
        if module.split(".")[0] in HEAVY or module.startswith("safetensors.torch")
    ]
    assert wrong == []


def test_only_the_store_speaks_to_sqlite():
    users = {layer_of(file) for file in sources("ctrlx") for module, _ in imports(file) if module.split(".")[0] in ("sqlite3", "sqlite_utils")}
    assert users == {"store"}


def test_nobody_imports_click():
    """typer carries its own: an exception of the other click would be a traceback."""
    wrong = [named(file) for file in sources("ctrlx", "examples", "benchmarks") for module, _ in imports(file) if module.split(".")[0] == "click"]
    assert wrong == []


def calls(file: Path) -> Iterator[tuple[str, ast.Call]]:
    """(the called name in full, the call) of every call in `file`."""
    return ((ast.unparse(node.func), node) for node in ast.walk(tree(file)) if isinstance(node, ast.Call))


def test_only_the_command_line_prints_and_exits():
    wrong = [
        f"{named(file)}:{call.lineno} calls {name}"
        for file in sources("ctrlx")
        if layer_of(file) not in ("cli", "__main__")
        for name, call in calls(file)
        if name in ("print", "sys.exit", "exit", "quit", "input", "typer.echo")
    ]
    assert wrong == []


def test_pickles_are_opened_with_weights_only_or_not_at_all():
    wrong = []
    for file in sources("ctrlx", "examples", "benchmarks"):
        for name, call in calls(file):
            safe = any(keyword.arg == "weights_only" and ast.unparse(keyword.value) == "True" for keyword in call.keywords)
            if name in ("pickle.load", "pickle.loads", "pickle.Unpickler") or (name == "torch.load" and not safe):
                wrong.append(f"{named(file)}:{call.lineno} calls {name}")
    assert wrong == []


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines under the signature, docstring and all: a verb's signature is the list of its options."""
    return function.end_lineno - function.body[0].lineno + 1


@pytest.mark.parametrize("folder", ["ctrlx", "examples", "benchmarks"])
def test_files_fit_in_400_lines_and_functions_in_40(folder):
    wrong = []
    for file in sources(folder):
        if (lines := len(file.read_text(encoding="utf-8").splitlines())) > FILE_LINES:
            wrong.append(f"{named(file)} has {lines} lines")
        for node in ast.walk(tree(file)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and (lines := body_lines(node)) > FUNCTION_LINES:
                wrong.append(f"{named(file)}: {node.name} has {lines} lines")
    assert wrong == []


def test_every_verb_has_a_command_file_of_the_same_name():
    """What ctrlx/cli/x.py parses, ctrlx/commands/x.py does."""
    shared = {"__init__", "app", "output", "progress", "quick"}
    verbs = {file.stem for file in sources("ctrlx/cli")} - shared
    assert {"listing", "show", "remove", "targets"} <= verbs <= {file.stem for file in sources("ctrlx/commands")}


def test_every_module_says_what_it_is():
    wrong = [named(file) for file in sources("ctrlx", "examples", "benchmarks") if not ast.get_docstring(tree(file))]
    assert wrong == []
