"""The `ctrlx` program: its verbs, and the one place where an error becomes a sentence and an exit code.

A new verb is a file in ctrlx/cli with a function that parses, calls one command and renders, and one line under "verbs" here.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from ctrlx import __version__
from ctrlx.cli import (
    doctor, dt, export, gate, gc, generate, history, importing, inspect, listing, note, remove, rename, restore,
    search, show, tag, targets, train, transfer, verify,
)
from ctrlx.cli.eval import evaluate
from ctrlx.cli.output import say
from ctrlx.cli.quick import QuickCommand, QuickGroup
from ctrlx.errors import CtrlxError

INTERRUPTED = 130  # what a shell reports for Ctrl-C

# rich_markup_mode: typer's own rich help costs more time than everything else that --help does
app = typer.Typer(
    cls=QuickGroup,
    rich_markup_mode=None,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)

# verbs
app.command("transfer", cls=QuickCommand, short_help="Put a control on another target, and measure how it carried over.")(transfer.transfer)
app.command("generate", cls=QuickCommand, short_help="Make pictures: a target alone, a hybrid, or a skipped start.")(generate.generate)
app.command("dt", cls=QuickCommand, short_help="Look inside: what the model thinks the picture will be, at every step.")(dt.dt)
app.add_typer(train.app, name="train", cls=QuickGroup)
app.command("import", cls=QuickCommand, short_help="Keep a control that was made elsewhere: all of it, or none.")(importing.import_control)
app.command("export", cls=QuickCommand)(export.export)
app.command("inspect", cls=QuickCommand, short_help="Say what a weight file is, and how much of it each target takes.")(inspect.inspect)
app.command("eval", cls=QuickCommand, short_help="Measure how much of each control arrives on each target.")(evaluate)
app.command("gate", cls=QuickCommand, short_help="Exit with 1 where a matrix is not good enough: for CI.")(gate.gate)
app.command("list", cls=QuickCommand)(listing.list_controls)
app.command("show", cls=QuickCommand)(show.show)
app.command("search", cls=QuickCommand, short_help="Find controls by any word of theirs.")(search.search)
app.command("tag", cls=QuickCommand, short_help="Add tags to a control, or take some away.")(tag.tag)
app.command("note", cls=QuickCommand, short_help="Write a note on a control.")(note.note)
app.command("rename", cls=QuickCommand, short_help="Give a control another name.")(rename.rename)
app.command("history", cls=QuickCommand, short_help="Show where a control comes from and what happened with it.")(history.history)
app.command("rm", cls=QuickCommand)(remove.remove)
app.command("restore", cls=QuickCommand)(restore.restore)
app.command("gc", cls=QuickCommand, short_help="Delete weight files that no control uses.")(gc.gc)
app.command("verify", cls=QuickCommand, short_help="Hash every weight file again.")(verify.verify)
app.command("doctor", cls=QuickCommand, short_help="Find what is wrong with the registry, and mend it.")(doctor.doctor)
app.command("targets", cls=QuickCommand)(targets.targets)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"ctrlx {__version__}")
        raise typer.Exit


@app.callback()
def ctrlx(
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error; also CTRLX_DEBUG=1.")] = False,
) -> None:
    """Carry diffusion controls between base and distilled models, and measure how well they arrive.

    Example: ctrlx transfer slider_age --to turbo
    """


def main(arguments: list[str] | None = None) -> int:
    """Run the program; its exit code. `--debug` may stand anywhere among the arguments."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments or os.environ.get("CTRLX_DEBUG", "0") not in ("", "0")
    try:
        return _run([argument for argument in arguments if argument != "--debug"])
    except KeyboardInterrupt:
        return _ended("interrupted", INTERRUPTED, debug)
    except CtrlxError as wrong:
        return _ended(f"error: {wrong}", wrong.exit_code, debug)
    except Exception as wrong:  # noqa: BLE001
        bug = f"{type(wrong).__name__}: {wrong}".splitlines()[0]
        return _ended(f"error: ctrlx has a bug ({bug}); run it again with --debug and report what that shows", 1, debug)


def _run(arguments: list[str]) -> int:
    try:
        app(arguments, prog_name="ctrlx")
    except SystemExit as end:
        if end.code == INTERRUPTED:
            raise KeyboardInterrupt from end
        sys.stdout.flush()
        return int(end.code or 0)
    except BrokenPipeError:
        pass
    else:
        return 0
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left, as `| head` does: say no more
    return 0


def _ended(sentence: str, code: int, debug: bool) -> int:
    if debug:
        import traceback

        traceback.print_exc()
    say(sentence)
    return code
