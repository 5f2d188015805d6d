import csv

import pytest

from convatlas.data import make_images, open_images
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
    path = write(images, rows_of(images), header=("file", "class"))
    refused(path, r"list\.csv:1: the header must hold file_name,label, got file,class")


def test_an_empty_table_is_refused(images):
    path = images.parent / "list.csv"
    path.write_text("")
    refused(path, "got an empty file")
    refused(write(images, []), "got no rows")


def test_bad_rows_are_named_by_line(images):
    rows = rows_of(images)
    refused(write(images, [rows[0], ("gone.png", "circle")]), r"list\.csv:3: no file gone\.png")
    refused(write(images, [rows[0], (rows[1][0], " ")]), r"list\.csv:3: label must not be empty")
    refused(write(images, [("", "circle")]), r"list\.csv:2: file_name must not be empty")
    refused(write(images, [(*rows[0], "more")]), r"list\.csv:2: a row must have 2 fields")
    refused(write(images, [(rows[0][0],)]), r"list\.csv:2: label must not be empty")
    refused(write(images, [rows[0], rows[1], rows[0]]), r"list\.csv:4: .* again after line 2")


def test_bad_splits_are_named_by_line(images):
    header = ("file_name", "label", "split")
    (a, b, *_) = rows_of(images)
    refused(write(images, [(*a, "holdout")], header), r":2: split must be .* got holdout")
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
