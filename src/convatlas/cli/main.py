"""The command `convatlas`: which verbs there are, and what becomes of an error.

A verb's module is imported when that verb runs, so that `convatlas --help` costs no torch.
"""

import os
import sys
import time
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from convatlas import __version__
from convatlas.cli.output import note, on_terminal, print_json, say, take_any_letter
from convatlas.errors import (
    ConvatlasError,
    EndedByMain,
    Stopped,
    UsageError,
    nearest,
    short_of_memory,
)
from convatlas.launched import SHARED, alone_only, process_count, process_number


class Verb(NamedTuple):
    """The module whose function `<module>_command` it is, and its line in `convatlas --help`."""

    module: str
    does: str


VERBS = {
    "list": Verb(
        "list_models",
        "List the networks with task, counted cost, published accuracy and paper.",
    ),
    "show": Verb(
        "show",
        "Show one network: paper, options, cost of each layer, published and counted figures.",
    ),
    "show-op": Verb("show_op", "Show one kind of convolution: its cost and its connectivity."),
    "count": Verb(
        "count", "Count a network's parameters, multiply-adds and memory from shapes alone."
    ),
    "claims": Verb(
        "claims",
        "Compare published figures with counted ones: holds, differs (why) or not checked (why).",
    ),
    "fit": Verb("fit", "Find and train the best network that fits a budget."),
    "train": Verb("train", "Train one network by a recipe, exactly as the recipe says."),
    "resume": Verb("resume", "Go on with a run that was interrupted, from its last checkpoint."),
    "lr-find": Verb(
        "lr_find", "Find the learning rate to train with, and draw the loss against it."
    ),
    "data": Verb(
        "data",
        "Check data as `fit` does, measure them, or draw samples of them with their answers.",
    ),
    "evaluate": Verb("evaluate", "Test a trained network on labelled data."),
    "predict": Verb(
        "predict",
        "Ask a trained network about files; unreadable ones are named and the rest goes on.",
    ),
    "separate": Verb("separate", "Write each voice of recordings as a sound file of its own."),
    "extract": Verb("extract", "Write the voice of one speaker, told by a clip, as a sound file."),
    "translate": Verb("translate", "Translate sentences, and print a line for each."),
    "sample": Verb("sample", "Draw new images, or the rest of a given one, as PNG files."),
    "forecast": Verb(
        "forecast", "Forecast the next readings of each sensor from a table of recent ones."
    ),
    "export": Verb("export", "Write a deployable file and check that it agrees with the network."),
    "report": Verb(
        "report", "Test a run again, export it if it was not exported, and rewrite its report."
    ),
    "bench": Verb(
        "bench", "Measure latency, throughput and memory here, in every runtime installed."
    ),
    "doctor": Verb("doctor", "Show what is installed, what is missing and how to fix it."),
}

STARTED = time.perf_counter()  # of the job, from which time limits count
_SLOW = (
    "fit",
    "train",
    "resume",
    "lr-find",
    "data",
    "evaluate",
    "predict",
    "separate",
    "extract",
    "translate",
    "sample",
    "forecast",
    "export",
    "report",
    "bench",
)  # verbs that load torch
_WIDE = 200  # columns where no terminal sets a limit
_STOPPED = 130  # as shells report Ctrl-C


class LazyGroup(TyperGroup):
    """Knows every verb by name and one line; loads a verb's module when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the verb's name and line only: all that `--help` and completion ask for."""
        verb = VERBS.get(cmd_name)
        return None if verb is None else TyperCommand(cmd_name, help=verb.does, callback=None)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0]
        if name not in VERBS:
            ctx.fail(f"no command '{name}'{nearest(name, VERBS)}")
        if name not in SHARED:
            alone_only(name)
        shown = name in ("fit", "train", "resume") or (name in _SLOW and sys.stderr.isatty())
        if shown and not {"-h", "--help"} & set(args) and len(args) > 1 and not process_number():
            note(f"convatlas {name}: starting")
        return name, load_verb(name), args[1:]


def load_verb(name: str) -> Any:
    """Return the typer command of one verb, its module imported now."""
    module = VERBS[name].module
    function = getattr(import_module(f"convatlas.cli.{module}"), f"{module}_command")
    app = typer.Typer(add_completion=False, rich_markup_mode=_markup())
    app.command(name, context_settings=_settings())(function)
    return get_command(app)


def _show_version(asked: bool) -> None:
    if asked:
        say(f"convatlas {__version__}")
        raise typer.Exit


def _top(
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Print the version."
    ),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """Convolutional networks that fit: choose, train, check, explain and export the best one."""


def build() -> Any:
    """Build the whole command, ready to be called with arguments."""
    app = typer.Typer(
        name="convatlas",
        cls=LazyGroup,
        context_settings=_settings(),
        rich_markup_mode=_markup(),
    )
    app.callback()(_top)
    return get_command(app)


def main(args: Sequence[str] | None = None) -> None:
    """Run one verb and leave with its exit code."""
    take_any_letter()
    given = list(sys.argv[1:] if args is None else args)
    debug, as_json = "--debug" in given, "--json" in given
    # Taken out, as it may stand before the verb or after it.
    sys.exit(_run([word for word in given if word != "--debug"], debug, as_json))


def _run(args: list[str], debug: bool, as_json: bool) -> int:
    try:
        code = build().main(args or ["--help"], prog_name="convatlas", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough. What is buffered has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (KeyboardInterrupt, typer.Abort):
        code = _STOPPED
    except Exception as error:
        return _report(error, debug, as_json)
    if code == _STOPPED:
        note("stopped")
    if process_count() > 1:
        from convatlas.train.processes import close_group

        close_group()
    if not args:
        return UsageError.exit_code
    return code if isinstance(code, int) else 0


def _report(error: Exception, debug: bool, as_json: bool) -> int:
    """Say what went wrong, in one or two lines, and give the exit code."""
    text, code = _explain(error, debug)
    if number := process_number():  # the main process answers for all
        if not isinstance(error, Stopped | EndedByMain):
            note(f"process {number}: error: {text}")
        return code
    if debug:
        traceback.print_exception(error)
    note(text if isinstance(error, Stopped) else f"error: {text}")
    if as_json:
        print_json({"error": text, "exit_code": code})
    return code


def _explain(error: Exception, debug: bool) -> tuple[str, int]:
    if isinstance(error, ConvatlasError):
        return str(error), error.exit_code
    # Typer's own complaints: which click they come from depends on typer's version.
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):
        context = getattr(error, "ctx", None)
        where = context.command_path if context else "convatlas"
        return f"{error.format_message()}\nsee `{where} --help`", error.exit_code  # pyright: ignore[reportAttributeAccessIssue]  asked for above
    if short_of_memory(error):
        return (
            "not enough memory; use a smaller batch, input or network, or close other programs",
            1,
        )
    way_out = "" if debug else "; run again with --debug for the traceback"
    return f"{type(error).__name__}: {error}{way_out}", 1


def _markup() -> Any:
    """Boxes and colours on a terminal only."""
    return "rich" if on_terminal() else None


def _settings() -> dict[str, Any]:
    wide = {} if on_terminal() else {"terminal_width": _WIDE, "max_content_width": _WIDE}
    return {"help_option_names": ["-h", "--help"], **wide}


if __name__ == "__main__":
    main()
