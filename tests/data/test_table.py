import csv

import pytest

from convatlas.data import make_images, open_images, open_test
from convatlas.errors import DataError


@pytest.fixture
def images(tmp_path):
    return make_images(tmp_path / "images", classes=2, per_class=6, size=8)


def rows_of(images):
    return [(p.relative_to(images.parent).as_posix(), p.parent.name) for p in images.rglob("*.png")]


def write(images, rows, header=("file_name", "label"), encoding="utf-8"):
    path = images.parent / "list.csv"
    with path.open("w", newline="", encoding=encoding) as file:
        csv.writer(file).writerows([header, *rows])
    return path


def test_a_table_opens_like_the_folder_it_lists(images):
    data = open_images(write(images, rows_of(images)))
    assert data.classes == ("circle", "square")
    assert {name: len(split) for name, split in data.splits.items()} == {
        "train": 8,
        "val": 2,
        "test": 2,
    }
    assert data.splits["val"].read(0).shape == (3, 8, 8)


def test_a_byte_order_mark_spaces_and_further_columns_do_no_harm(images):
    rows = [(f, f" {label} ", "note") for f, label in rows_of(images)]
    path = write(images, rows, header=("file_name", " label", "note"), encoding="utf-8-sig")
    assert open_images(path).classes == ("circle", "square")


def test_names_with_commas_newlines_and_unicode_are_read(images):
    odd = images / "circle/a, \n日.png"
    (images / "circle/0000.png").rename(odd)
    data = open_images(write(images, rows_of(images)))
    assert data.scan.readable == 12


def test_the_split_column_is_kept(images):
    words = ["train", "train", "train", "valid", "test", "test"]
    rows = [(f, label, words[i % 6]) for i, (f, label) in enumerate(sorted(rows_of(images)))]
    data = open_images(write(images, rows, header=("file_name", "label", "split")))
    sizes = {name: len(split) for name, split in data.splits.items()}
    assert sizes == {"train": 6, "val": 2, "test": 4}
    assert set(data.splits["val"].files) == {f for f, _, word in rows if word == "valid"}


def refused(path, message):
    with pytest.raises(DataError, match=message):
        open_images(path)


def test_a_header_without_the_columns_is_refused(images):
    rows = [(f, label, "x", "y") for f, label in rows_of(images)]
    path = write(images, rows, header=("a", "b", "c", "d"))
    refused(
        path,
        r"list\.csv:1: the header must contain file_name,label, got a,b,c,d "
        r"\(3 columns may be the class\)",
    )
    path = write(images, [("gone.png", "x")], header=("a", "b"))
    refused(path, r"got a,b \(no column lists files that exist\)")


def test_an_empty_table_is_refused(images):
    path = images.parent / "list.csv"
    path.write_text("")
    refused(path, "got an empty file")
    refused(write(images, []), "got no rows")


def test_bad_rows_are_named_by_line(images):
    rows = rows_of(images)
    for bad, message in (
        (("gone.png", "circle"), r"gone\.png \(no such file, line 14\)"),
        ((rows[1][0], " "), r"\d\.png \(no label, line 14\)"),
        (("", "circle"), r"a row \(no file name, line 14\)"),
        ((*rows[1], "more"), r"\d\.png \(3 fields instead of 2; .*, line 14\)"),
        ((rows[1][0],), r"\d\.png \(no label, line 14\)"),
    ):
        path = write(images, [*rows, bad])
        refused(path, r"list\.csv: at most 5% .* got 1 of 13: .*" + message)
        data = open_images(path, max_broken=0.1)
        assert len(data.scan.broken) == 1
        assert (data.scan.total, data.scan.readable) == (13, 12)


def test_bad_splits_are_named_by_line(images):
    header = ("file_name", "label", "split")
    (a, b, *_) = rows_of(images)
    refused(write(images, [(*a, "holdout")], header), r"split must be .* got holdout, line 2")
    refused(write(images, [(*a, "train"), (*b, "")], header), r":3: split must be filled in every")
    refused(write(images, [(*a, "test"), (*b, "test")], header), "must have the split train")


def test_what_is_no_text_is_refused(images):
    path = images.parent / "list.csv"
    path.write_bytes(b"file_name,label\n\xff\xfe,x\n")
    refused(path, "must be text in UTF-8")
    path.write_bytes(b'file_name,label\n"a,x\n')
    refused(path, "cannot be read as CSV")


def test_a_label_that_leaves_one_class_is_refused(images):
    refused(write(images, [(f, "thing") for f, _ in rows_of(images)]), "at least two classes")


@pytest.mark.parametrize("name", ["a" * 5000, "x\0y", "..", "images", "images/circle/0000.png/x"])
def test_what_can_be_no_file_is_a_broken_row(images, name):
    refused(write(images, [*rows_of(images), (name, "circle")]), r"no such file, line 14")


def test_one_bad_row_does_not_end_the_job(tmp_path):
    images = make_images(tmp_path / "images", classes=2, per_class=15, size=8)
    data = open_images(write(images, [*rows_of(images), ("gone.png", "circle")]))
    assert data.scan.broken == [("gone.png", "no such file, line 32")]
    assert "skipped 1 file that cannot be used: gone.png (no such file, line 32)" in (
        data.scan.warnings()
    )


def test_a_broken_file_is_named_with_its_line(images):
    (images / "circle/0000.png").write_bytes(b"")
    rows = sorted(rows_of(images))
    data = open_images(write(images, rows), max_broken=0.1)
    assert data.scan.broken == [("images/circle/0000.png", "the file is empty, line 2")]


def test_a_repeated_row_counts_once_and_is_said(images):
    rows = rows_of(images)
    dotted = ("./" + rows[1][0], rows[1][1])
    data = open_images(write(images, [*rows, rows[0], rows[0], dotted]))
    assert data.scan.total == 12
    assert "3 row(s) repeat a file and count once" in data.scan.notes


def test_a_file_under_two_labels_is_skipped_and_named(images):
    rows = sorted(rows_of(images))
    path = write(images, [*rows, (rows[0][0], "square")])
    refused(path, r"0000\.png \(two labels: circle in line 2, square in line 14\)")
    data = open_images(path, max_broken=0.1)
    assert rows[0][0] not in {f for split in data.splits.values() for f in split.files}
    rows = [(*row, "test" if i % 3 == 0 else "train") for i, row in enumerate(rows)]
    path = write(images, [*rows, (*rows[0][:2], "train")], ("file_name", "label", "split"))
    refused(path, r"0000\.png \(two splits: test in line 2, train in line 14\)")


def test_a_class_of_which_no_row_can_be_used_is_refused(images):
    path = write(images, [*rows_of(images), ("gone.png", "wolf")])
    with pytest.raises(DataError, match=r"got none of wolf: gone\.png \(no such file, line 14\)"):
        open_images(path, max_broken=0.5)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_separators_and_encodings_are_recognised(images, separator, encoding):
    rows = [f"{f}{separator}{label}, {label}; x" for f, label in rows_of(images)]
    rows = [r.replace(separator, "\0", 1).replace(",", "").replace(";", "") for r in rows]
    rows = [r.replace("\0", separator) for r in rows]
    path = images.parent / "list.csv"
    path.write_text("\n".join([f"image{separator}category", *rows]), encoding=encoding)
    data = open_images(path)
    assert data.classes == ("circle circle x", "square square x")
    (note,) = data.scan.notes
    assert note.startswith("list.csv: reading column 'image' as file, 'category' as class")


HEADERS = [
    ("filename", "class"),
    ("File Name", "Label"),
    ("filepaths", "labels"),
    ("image", "target"),
    ("Path", "Category"),
    ("img_path", "class_name"),
    ("foo", "bar"),
]


@pytest.mark.parametrize("header", HEADERS)
def test_usual_headings_are_recognised(images, header):
    data = open_images(write(images, rows_of(images), header))
    assert data.scan.total == 12
    assert f"column '{header[0]}' as file, '{header[1]}' as class" in data.scan.notes[0]


def test_the_column_whose_files_are_there_is_taken(images):
    rows = [(f.rsplit("/")[-1], "1", label, f, "train") for f, label in rows_of(images)]
    header = ("file_name", "class_id", "labels", "path", "note")
    data = open_images(write(images, rows, header))
    assert data.classes == ("circle", "square")
    assert "column 'path' as file, 'labels' as class" in data.scan.notes[0]


def test_a_table_without_header_is_read_by_its_files(images):
    first, *rest = rows_of(images)
    data = open_images(write(images, rest, header=first))
    assert data.scan.total == 12
    assert data.scan.notes == [
        "list.csv: no header, reading column 1 as file, 2 as class, separated by a comma"
    ]
    words = ["train", "train", "train", "valid", "test", "test"]
    rows = [(label, words[i % 6], f) for i, (f, label) in enumerate(sorted(rows_of(images)))]
    data = open_images(write(images, rows[1:], header=rows[0]))
    assert {name: len(split) for name, split in data.splits.items()} == {
        "train": 6,
        "val": 2,
        "test": 4,
    }


def test_a_missing_first_file_is_no_header(images):
    path = write(images, rows_of(images), header=("gone.png", "circle"))
    refused(path, r"gone\.png \(no such file, line 1\)")


def test_backslashes_are_read_as_folders_and_said(images):
    rows = [(f.replace("/", "\\"), label) for f, label in rows_of(images)]
    data = open_images(write(images, rows))
    assert data.scan.total == 12
    assert "12 file name(s) with backslashes read as folders" in data.scan.notes


def test_quoted_fields_hold_separators_quotes_and_line_ends(images):
    odd = images / 'circle/a; "b", c\x0b\u2028.png'
    (images / "circle/0000.png").rename(odd)
    rows = [f'"{f.replace(chr(34), chr(34) * 2)}";"{label}"' for f, label in rows_of(images)]
    path = images.parent / "list.tsv"
    path.write_text("\r\n".join(["file;class", *rows, ""]), newline="")
    assert open_images(path).scan.readable == 12


def test_a_name_that_is_not_utf_8_is_written_in_its_stored_form(images):
    try:
        (images / "circle/0000.png").rename(images / "circle/\udcff.png")
    except OSError:
        pytest.skip("the file system takes Unicode names only")
    rows = [(f.replace("\udcff", r"\xff"), label) for f, label in rows_of(images)]
    data = open_images(write(images, rows))
    assert (data.scan.readable, data.scan.broken) == (12, [])


def test_a_run_is_tested_on_a_table_without_training_rows(images):
    rows = [(*row, "test") for row in rows_of(images)]
    path = write(images, rows, ("file_name", "label", "split"))
    assert len(open_test(path, ("circle", "square")).splits["test"]) == 12
