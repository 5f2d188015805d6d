import json
import shutil
import subprocess

import pytest

from convatlas.text import escape, printable, shell_word, stored_name, true_name

ODD = [
    "plain",
    "größe 日本",
    "a\udcffb",
    "\udc80\udcfe",
    "\\xff as it stands",
    "\\x5cxff",
    "\\\udcff",
    "back\\slash",
    "\ud800",
    "\\ud800",
    "\\\\x5c\udc81x5c",
    "line\nend",
    "",
]


@pytest.mark.parametrize("name", ODD)
def test_a_stored_name_is_unicode_and_comes_back(name):
    stored = stored_name(name)
    assert json.loads(json.dumps(stored, ensure_ascii=False).encode("utf-8")) == stored
    assert true_name(stored) == name


@pytest.mark.parametrize("coding", ["ascii", "iso-8859-1"])
def test_a_name_is_stored_alike_under_every_locale(monkeypatch, coding):
    monkeypatch.setattr(escape, "_RECODED", (coding, "utf-8"))
    for content in ("größe".encode(), b"gr\xff", b"plain"):
        name = content.decode(coding, "surrogateescape")
        assert stored_name(name) == content.decode("utf-8", "backslashreplace")
        assert true_name(stored_name(name)) == name
    assert stored_name("日本") == "日本"  # from a CSV file


def test_stored_names_differ_where_the_names_do():
    assert len({stored_name(name) for name in ODD}) == len(ODD)
    assert stored_name("a\udcff") == r"a\xff"
    assert stored_name("100% größe\n") == "100% größe\n"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("two\nlines", r"two\nlines"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("\x9b2J", r"\x9b2J"),
        ("a\udcff", r"a\xff"),
        ("\u0928\u0940\u200c", "\u0928\u0940\u200c"),  # no control: a joiner of Hindi
        ("日本 é", "日本 é"),
    ],
)
def test_what_would_steer_a_terminal_is_shown_as_its_code(name, expected):
    assert printable(name) == expected


def test_line_ends_may_stay():
    assert printable("a\n\x1bb", keep="\n") == "a\n\\x1bb"


@pytest.mark.parametrize("name", ["a\udcff", "it's\nhere", "plain", "a b", "\\xff", "ä\x1b'\\"])
@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_a_shell_reads_the_word_as_the_name(name):
    word = shell_word(name)
    word.encode("utf-8")
    done = subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, check=True)
    assert done.stdout == name.encode("utf-8", "surrogateescape")
