"""The command as a whole: help, version, errors and exit codes, through its real entry point."""

import inspect
import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from convatlas import __version__
from convatlas.cli import main as entry
from convatlas.cli.main import VERBS
from convatlas.errors import BudgetError, ConvatlasError, DataError, UsageError


def test_help_lists_every_verb_with_its_line(program):
    answer = program("--help")
    assert (answer.code, answer.err) == (0, "")
    for name, verb in VERBS.items():
        assert f"  {name} " in answer.out
        assert verb.does in answer.out


@pytest.mark.parametrize("name", VERBS)
def test_verb_has_help_of_its_own_that_opens_with_the_same_line(convatlas, name):
    answer = convatlas(name, "--help")
    assert answer.code == 0
    assert answer.out.startswith(f"Usage: convatlas {name} ")
    assert "--json" in answer.out
    module = VERBS[name].module
    function = getattr(import_module(f"convatlas.cli.{module}"), f"{module}_command")
    assert inspect.getdoc(function).splitlines()[0] == VERBS[name].does


def test_off_a_terminal_help_is_plain_text(program):
    answer = program("count", "--help", env={**os.environ, "COLUMNS": "40"})
    assert answer.out.isascii()
    assert "\x1b" not in answer.out
    assert "channels first, e.g. 3x224x224; the published size if not given." in answer.out


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["list"], ["list", "--json"]])
def test_torch_is_not_imported_for(args):
    code = (
        "import sys\n"
        "from convatlas.cli.main import main\n"
        f"try: main({args!r})\n"
        "except SystemExit as left: assert left.code == 0, left.code\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_version(program):
    answer = program("--version")
    assert (answer.code, answer.out) == (0, f"convatlas {__version__}\n")


def test_without_arguments_the_help_is_shown_and_the_usage_is_bad(program):
    answer = program()
    assert answer.code == 2
    assert "Usage: convatlas" in answer.out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["lits"], "no command 'lits'; nearest: list"),
        (["--verison"], "No such option: --verison"),
        (["count"], "Missing argument 'NAME'"),
        (["count", "lenet5", "--layerz"], "No such option: --layerz"),
        (["list", "--max-params", "5s"], "'--max-params': '5s' is not a number"),
        (["list", "--max-params", "-5"], "above zero"),
        (["count", "lenett5"], "no model 'lenett5'; nearest: lenet5"),
    ],
)
def test_bad_usage_leaves_with_2_and_one_or_two_lines(convatlas, args, message):
    answer = convatlas(*args)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("error: ")
    assert message in answer.err
    assert len(answer.err.splitlines()) <= 2


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("photos: what"), 2),
        (DataError("photos: what"), 3),
        (BudgetError("photos: what"), 4),
        (ConvatlasError("photos: what"), 1),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_error_has_its_exit_code_and_json_stays_one_object(
    convatlas, monkeypatch, error, code, as_json
):
    fail_with(monkeypatch, error)
    answer = convatlas("doctor", *["--json"] * as_json)
    assert answer.code == code
    assert answer.err == "error: photos: what\n"
    if as_json:
        assert answer.json == {"error": "photos: what", "exit_code": code}
    else:
        assert answer.out == ""


def fail_with(monkeypatch, error):
    """Make the verb `doctor` raise."""
    from convatlas.cli import doctor

    def broken():
        raise error

    monkeypatch.setattr(doctor, "_packages", broken)


def test_what_nobody_foresaw_is_one_line_and_tells_of_debug(convatlas, monkeypatch):
    fail_with(monkeypatch, ZeroDivisionError("by nothing"))
    answer = convatlas("doctor")
    assert answer.code == 1
    expected = "error: ZeroDivisionError: by nothing; run again with --debug for the traceback\n"
    assert answer.err == expected


@pytest.mark.parametrize("args", [["--debug", "doctor"], ["doctor", "--debug"]])
def test_debug_adds_the_traceback_before_the_verb_or_after_it(convatlas, monkeypatch, args):
    fail_with(monkeypatch, ZeroDivisionError("by nothing"))
    answer = convatlas(*args)
    assert answer.code == 1
    assert "Traceback (most recent call last)" in answer.err
    assert "in broken" in answer.err
    assert answer.err.endswith("error: ZeroDivisionError: by nothing\n")


def test_debug_shows_where_a_users_error_came_from(convatlas):
    answer = convatlas("count", "lenett5", "--debug")
    assert answer.code == 2
    assert "find_entry" in answer.err


def test_interrupt_leaves_with_130_and_a_word(convatlas, monkeypatch):
    fail_with(monkeypatch, KeyboardInterrupt())
    answer = convatlas("doctor")
    assert (answer.code, answer.out, answer.err.strip()) == (130, "", "stopped")


@pytest.mark.parametrize(
    ("reader", "seen"), [("head -n 1", "{\n"), ("true", ""), ("head -c 0", "")]
)
def test_reader_that_has_seen_enough_is_no_error(reader, seen):
    script = Path(sys.executable).with_name("convatlas")
    line = f"'{script}' list --json | {reader}"
    done = subprocess.run(["sh", "-c", line], capture_output=True, encoding="utf-8", check=False)
    assert (done.stdout, done.stderr) == (seen, "")


def test_module_can_be_run(program):
    done = subprocess.run(
        [sys.executable, "-m", "convatlas.cli.main", "--version"], capture_output=True, check=True
    )
    assert done.stdout.decode() == f"convatlas {__version__}\n"


def test_json_of_a_usage_error_is_one_object(program):
    answer = program("count", "lenet5", "--layerz", "--json")
    assert answer.code == 2
    assert json.loads(answer.out)["exit_code"] == 2


def test_every_verb_is_in_the_order_of_help(convatlas):
    out = convatlas("--help").out
    places = [out.index(f"\n  {name} ") for name in VERBS]
    assert places == sorted(places)
    assert entry.load_verb("count").name == "count"
