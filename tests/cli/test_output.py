import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from convatlas.cli import output
from convatlas.cli.output import note, plain_lines, print_json, say, table
from convatlas.cli.progress import progress_on_stderr
from convatlas.explain.signals.voices import Voices


def test_columns_are_aligned_and_numbers_flush_right(capsys):
    table([("a", 5), ("longer", 1234), ("none", None)], ("name", "macs"), right=("macs",))
    assert capsys.readouterr().out.splitlines() == [
        "name    macs",
        "a          5",
        "longer  1234",
        "none       -",
    ]


def test_off_a_terminal_nothing_is_cut_wrapped_coloured_or_boxed(capsys):
    long = "x" * 300
    table([(long, "[red]name[/red]")], ("first", "second"), title="a title")
    out = capsys.readouterr().out
    assert long in out
    assert "[red]name[/red]" in out
    assert out.isascii()
    assert "\x1b" not in out


def test_line_ends_in_a_name_do_not_break_the_table():
    assert plain_lines([("two\nlines", "b")], ("a", "c"))[1:] == ["two lines  b"]


def test_table_without_rows_is_its_heading():
    assert plain_lines([], ("a", "b")) == ["a  b"]


def test_on_a_terminal_markup_in_a_name_is_text(capsys, monkeypatch):
    monkeypatch.setattr(output, "on_terminal", lambda: True)
    table([("[red]name[/red]", 3)], ("name", "macs"), right=("macs",))
    assert "[red]name[/red]" in capsys.readouterr().out


@dataclass
class Point:
    x: float
    where: Path


def test_json_takes_what_the_library_answers(capsys):
    answer = {
        "point": Point(1.5, Path("a") / "b"),
        "sizes": (3, 224, 224),
        "names": {"b", "a"},
        "unknown": float("nan"),
        7: [[], {}, "é\n[ 1,\n 2 ]"],
    }
    print_json(answer)
    assert json.loads(capsys.readouterr().out) == {
        "point": {"x": 1.5, "where": str(Path("a") / "b")},
        "sizes": [3, 224, 224],
        "names": ["a", "b"],
        "unknown": None,
        "7": [[], {}, "é\n[ 1,\n 2 ]"],
    }


def test_short_lists_of_numbers_stay_on_a_line(capsys):
    print_json({"input": [3, 224, 224], "empty": [], "nested": [[1, 2], [3, 4]]})
    assert '"input": [3, 224, 224]' in capsys.readouterr().out


def test_notes_go_to_standard_error(capsys):
    note("working")
    say("done")
    assert capsys.readouterr() == ("done\n", "working\n")


def narrow_pipe(monkeypatch):
    """Make standard output a pipe that takes only ASCII."""
    pipe = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    monkeypatch.setattr(sys, "stdout", pipe)
    return pipe.buffer


def test_pipe_that_cannot_show_a_letter_gets_its_code(monkeypatch):
    written = narrow_pipe(monkeypatch)
    say("12 µs")
    assert written.getvalue() == b"12 \\xb5s\n"


def test_json_stays_json_on_a_pipe_that_cannot_show_a_letter(monkeypatch):
    written = narrow_pipe(monkeypatch)
    print_json({"file": "käse \udcff.png", "label": r"stored \xff"})
    expected = {"file": r"käse \xff.png", "label": r"stored \xff"}
    assert json.loads(written.getvalue().decode("ascii")) == expected


ODD = "\x1b[31mred\x07 \x9b2J \u202egpj\u2028 \udcff"
HARMLESS = r"\x1b[31mred\x07 \x9b2J \u202egpj\u2028 \xff"


def test_what_steers_a_terminal_is_shown_as_its_code(capsys):
    say(f"class {ODD}\nnext")
    note(ODD)
    table([(ODD, ODD)], ("class", ODD), title=ODD)
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [
        f"class {HARMLESS}",
        "next",
        HARMLESS,
        "class".ljust(len(HARMLESS)) + "  " + HARMLESS,
        f"{HARMLESS}  {HARMLESS}",
    ]
    assert shown.err == HARMLESS + "\n"


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_shows_codes_too(capsys, monkeypatch, terminal):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    progress = progress_on_stderr()
    progress.bar(ODD, 3).close()
    progress.say(f"skipped {ODD}")
    assert HARMLESS in capsys.readouterr().err


def test_progress_takes_a_name_as_it_stands(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    progress_on_stderr().say("skipped :cat: [red]x[/red]")
    assert "skipped :cat: [red]x[/red]" in capsys.readouterr().err


def test_json_holds_no_character_that_steers_a_terminal(capsys):
    print_json({ODD: ODD})
    out = capsys.readouterr().out
    assert out.replace("\n", "").isprintable()
    kept = ODD.replace("\udcff", r"\xff")
    assert json.loads(out) == {kept: kept}


def test_a_terminal_that_cannot_show_a_letter_gets_its_code(monkeypatch):
    written = narrow_pipe(monkeypatch)
    monkeypatch.setattr(output, "on_terminal", lambda: True)
    table([("käse", 3)], ("µ", "macs"), title="größe")
    assert b"k\\xe4se" in written.getvalue()


def test_json_leaves_out_what_is_not_printed(capsys):
    answer = Voices.of("a.wav", torch.ones(2, 8), 8)
    print_json({"predictions": [answer]})
    (found,) = json.loads(capsys.readouterr().out)["predictions"]
    assert found["levels_db"] == [0.0, 0.0]
    assert "voices" not in found
