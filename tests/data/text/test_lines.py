"""Opening texts without labels: files, folders, tables, and what is wrong with them."""

import gzip

import pytest

from convatlas.data.text.open_lines import open_lines, open_lines_test, reopen_lines
from convatlas.data.text.read_plain import cut_line, holds_plain
from convatlas.errors import DataError

LINES = [f"line number {number} of a text" for number in range(40)]


def opened(path, max_broken=0.2, **options):
    return open_lines(
        path, seed=0, max_broken=max_broken, options=options, progress=lambda a, b: None
    )


def judged_on(path, facts):
    return open_lines_test(path, facts, max_broken=0.2, progress=lambda a, b: None)


@pytest.fixture
def plain(tmp_path):
    path = tmp_path / "book.txt"
    path.write_text("\n".join(LINES), encoding="utf-8")
    return path


def all_texts(data):
    return sorted(text for split in data.splits.values() for text in split.texts)


def test_each_line_is_a_text_also_of_a_packed_file_a_folder_and_a_column(tmp_path, plain):
    packed, table, folder = tmp_path / "b.txt.gz", tmp_path / "t.tsv", tmp_path / "books"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    table.write_text("id\tbody\n" + "".join(f"{n}\t{line}\n" for n, line in enumerate(LINES)))
    folder.mkdir()
    (folder / "a.txt").write_text("\n".join(LINES[:25]))
    (folder / "b.txt").write_text("\n".join(LINES[25:]))
    for source, options in ((plain, {}), (packed, {}), (folder, {}), (table, {"text": "body"})):
        assert all_texts(opened(source, **options)) == sorted(LINES)
    assert holds_plain(plain)
    assert holds_plain(packed)
    assert holds_plain(folder)
    assert not holds_plain(table)


def test_folders_of_splits_are_kept(tmp_path):
    for name, lines in (("train", LINES[:20]), ("val", LINES[20:30]), ("test", LINES[30:])):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text("\n".join(lines))
    assert opened(tmp_path).splits["test"].texts == LINES[30:]


def test_long_lines_are_cut_at_spaces_and_nothing_is_lost():
    parts = cut_line("one two three four " + "x" * 25, 10)
    assert parts == ["one two", "three four", "x" * 10, "x" * 10, "x" * 5]
    assert cut_line("", 10) == []


def test_cut_and_empty_lines_are_named(tmp_path):
    path = tmp_path / "book.txt"
    path.write_text("\n\n".join(LINES) + "\n" + "word " * 30)
    answers = opened(path, max_characters=60).scan.answers
    assert any("passed over 39 empty lines: book.txt:2" in line for line in answers)
    assert any("cut 1 long lines into several texts" in line for line in answers)


def test_a_run_is_tested_with_its_own_vocabulary_and_reopened_with_the_same_splits(tmp_path, plain):
    data = opened(plain)
    data.save(tmp_path / "split.json")
    again = reopen_lines(tmp_path / "split.json", None, data.facts_)
    assert {n: s.files for n, s in again.splits.items()} == {
        n: s.files for n, s in data.splits.items()
    }
    judged = judged_on(plain, data.facts_)
    assert judged.splits["test"].vocabulary.to_dict() == data.facts_.vocabulary
    plain.write_text(plain.read_text().replace("line", "lime"))
    with pytest.raises(DataError, match="texts are others than when the run was made"):
        reopen_lines(tmp_path / "split.json", None, data.facts_)


BAD = {
    "missing": (None, "does not exist"),
    "an empty file": (b"", "is an empty file"),
    "blank lines alone": (b" \n\n\t\n", "is an empty file"),
    "a binary file": (b"\x89PNG\0\0\1\n" * 50, "is a binary file, no text"),
    "another encoding": ("\n".join(["größe"] * 50).encode("latin-1"), "is not UTF-8"),
    "a damaged archive": (b"\x1f\x8b\x08\0broken", "cannot be unpacked"),
    "too few lines": (b"one\ntwo\nthree\n", "must have 10 examples or more"),
    "one line again and again": (b"the same\n" * 50, "must have examples that differ"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_by_name(tmp_path, name):
    content, says = BAD[name]
    path = tmp_path / "book.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=rf"book\.txt.*{says}"):
        opened(path)


def test_a_broken_file_of_a_folder_is_named_and_left_out(tmp_path):
    (tmp_path / "good.txt").write_text("\n".join(LINES))
    (tmp_path / "bad.txt").write_bytes(b"\0\1\2")
    answers = opened(tmp_path).scan.answers
    assert any("is a binary file" in line and "bad.txt" in line for line in answers)


def test_texts_of_unknown_characters_are_refused_and_single_ones_named(tmp_path, plain):
    facts = opened(plain).facts_
    other = tmp_path / "other.txt"
    other.write_text("многа букаф\n" * 20, encoding="utf-8")
    with pytest.raises(DataError, match=r"other\.txt: .*unknown to the network, such as"):
        judged_on(other, facts)
    other.write_text("\n".join([*LINES, "a text of a line @"]))
    assert any("'@', 1 in all" in line for line in judged_on(other, facts).scan.answers)
