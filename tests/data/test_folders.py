"""Which folders are classes, which are splits, and what is left out."""

import os
import shutil
from pathlib import Path

import pytest

from convatlas.data import open_images, open_test
from convatlas.data.sources.folders import list_folder
from convatlas.data.sources.split_names import split_named
from convatlas.errors import DataError


def touch(root: Path, *files: str) -> Path:
    """Empty files, enough for a listing by names."""
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def classes(root: Path) -> set[str]:
    return {item.label for item in list_folder(root).items}


def refused(root: Path, message: str) -> None:
    with pytest.raises(DataError, match=message):
        list_folder(root)


TRAIN = "Training Train TRAIN train_set trainset training-data 01_train seg_train images_train"
VAL = "Validation Valid VAL dev eval val2017 valid_set Development"
TEST = "Testing Test TESTS test_set test_images 3-test test.data"
SPELLINGS = [
    *((name, "train") for name in TRAIN.split()),
    *((name, "val") for name in VAL.split()),
    *((name, "test") for name in TEST.split()),
]


@pytest.mark.parametrize(("name", "split"), SPELLINGS)
def test_usual_spellings_of_splits_are_known(name, split):
    assert split_named(name) == split


@pytest.mark.parametrize("name", ["trains", "contest", "valley", "testudo", "device", "strain", ""])
def test_other_words_are_no_splits(name):
    assert split_named(name) is None


def test_training_and_testing_are_splits_and_no_classes(tmp_path):
    touch(tmp_path, *(f"{s}/{c}/1.png" for s in ("Training", "Testing") for c in ("cat", "dog")))
    listing = list_folder(tmp_path)
    assert {(item.split, item.label) for item in listing.items} == {
        (split, label) for split in ("train", "test") for label in ("cat", "dog")
    }
    assert "reading the folder Testing as the test split" in listing.notes


def test_a_split_may_lie_in_a_folder_of_its_own_name(tmp_path):
    touch(tmp_path, *(f"seg_{s}/seg_{s}/{c}/1.png" for s in ("train", "test") for c in "ab"))
    assert classes(tmp_path) == {"a", "b"}


def test_val_and_test_without_train_are_refused(tmp_path):
    touch(tmp_path, *(f"{s}/{c}/1.png" for s in ("val", "test") for c in ("cat", "dog")))
    refused(tmp_path, r"must contain a folder train/ beside (val and test|test and val), got none")


def test_a_test_folder_among_the_classes_it_holds_is_refused(tmp_path):
    touch(tmp_path, "cat/1.png", "dog/1.png", "test/cat/1.png", "test/dog/1.png")
    refused(tmp_path, r"test must not be next to the classes that it contains \(cat, dog\)")


def test_a_class_may_be_called_test(tmp_path):
    touch(tmp_path, "test/1.png", "control/1.png")
    assert classes(tmp_path) == {"test", "control"}


def test_folders_that_hold_the_same_folders_are_no_classes(tmp_path):
    touch(tmp_path, *(f"{s}/{c}/1.png" for s in ("known", "unknown") for c in ("cat", "dog")))
    refused(
        tmp_path,
        r"read as 2 classes \(known, unknown\), but they hold the same folders \(cat, dog\)"
        r".*expected CLASS/photo\.jpg",
    )
    touch(tmp_path, "known/owl/1.png")
    refused(tmp_path, "the same folders")


def test_splits_inside_of_classes_are_refused(tmp_path):
    touch(tmp_path, *(f"{c}/{s}/1.png" for s in ("train", "test") for c in ("cat", "dog")))
    refused(tmp_path, "the splits must be above the classes, got .* cat, dog with test, train")


def test_a_folder_too_high_is_refused_with_the_right_one(tmp_path):
    touch(tmp_path, "photos/cat/1.png", "photos/dog/1.png")
    refused(tmp_path, r"got one folder photos that contains the folders cat, dog; give .*/photos")


def test_classes_with_one_folder_each_or_images_beside_folders_are_classes(tmp_path):
    touch(tmp_path / "a", "cat/images/1.png", "dog/images/1.png")
    assert classes(tmp_path / "a") == {"cat", "dog"}
    shared = [f"{c}/{d}/1.png" for c in ("cat", "dog") for d in ("2023", "2024")]
    touch(tmp_path / "b", *shared, "cat/1.png", "dog/1.png")
    assert classes(tmp_path / "b") == {"cat", "dog"}


def test_a_folder_to_test_a_run_on_needs_no_training_split(photos):
    (photos / "test").mkdir()
    for name in ("circle", "square", "triangle"):
        (photos / name).rename(photos / "test" / name)
    data = open_test(photos, ("circle", "square", "triangle"))
    assert len(data.splits["test"]) == 60


def test_classes_that_look_alike_are_said(photos):
    (photos / "square").rename(photos / "Circle")
    (note,) = open_images(photos).scan.notes
    assert note.startswith("the classes Circle, circle differ in case, spaces or dashes only")


def test_folders_of_one_name_in_two_spellings_are_one_class_and_said(tmp_path):
    touch(tmp_path, "caf\u00e9/1.png", "cafe\u0301/2.png", "tea/3.png")
    if len(list(tmp_path.iterdir())) == 2:
        pytest.skip("the file system takes them as one")
    listing = list_folder(tmp_path)
    assert {item.label for item in listing.items} == {"caf\u00e9", "tea"}
    assert listing.notes == ["two folders caf\u00e9 that look alike are read as one class"]


def test_a_split_without_class_folders_is_refused_with_a_way_out(tmp_path):
    touch(tmp_path, "train/cat/1.png", "train/dog/1.png", "test/1.png", "test/2.png")
    refused(tmp_path, r"test: must contain .*, got 2 loose files; .*, or move it away")


def test_hidden_folders_alone_are_named(tmp_path):
    touch(tmp_path, ".cat/1.png")
    refused(tmp_path, r"got only \.cat/ \(hidden, a folder of 1 file\(s\)\)")


FIRST_CHARACTERS = "_~#@-+=!$%&'(,;[{^` 0é日"


@pytest.mark.parametrize("first", [*FIRST_CHARACTERS, "__", "@@", "~$"])
def test_no_first_character_makes_a_class_vanish(tmp_path, first):
    touch(tmp_path, f"{first}cat/{first}1.png", "dog/1.png")
    listing = list_folder(tmp_path)
    assert {item.file for item in listing.items} == {f"{first}cat/{first}1.png", "dog/1.png"}
    assert listing.ignored == []


def test_hidden_files_and_those_of_tools_are_left_out_and_listed(tmp_path):
    touch(tmp_path, "cat/1.png", "dog/1.png", ".git/config", ".git/refs/x", ".hidden.png")
    touch(tmp_path, "cat/.thumbs/1.png", "cat/__MACOSX/1.png", "cat/@eaDir/1.png", "dog/Thumbs.db")
    touch(tmp_path, "$RECYCLE.BIN/2.png", "dog/.ipynb_checkpoints/1.png", "loose.png")
    listing = list_folder(tmp_path)
    assert len(listing.items) == 2
    assert dict(listing.ignored) == {
        ".git/": "hidden, a folder of 2 file(s)",
        ".hidden.png": "hidden",
        "cat/.thumbs/": "hidden, a folder of 1 file(s)",
        "cat/__MACOSX/": "created by a tool, a folder of 1 file(s)",
        "cat/@eaDir/": "created by a tool, a folder of 1 file(s)",
        "dog/Thumbs.db": "created by a tool",
        "$RECYCLE.BIN/": "created by a tool, a folder of 1 file(s)",
        "dog/.ipynb_checkpoints/": "hidden, a folder of 1 file(s)",
        "loose.png": "beside the class folders",
    }


def test_folders_beside_train_are_listed(tmp_path):
    touch(tmp_path, "train/a/1.png", "train/b/1.png", "extra/1.png", "notes.txt")
    assert dict(list_folder(tmp_path).ignored) == {
        "extra/1.png": "beside the split folders",
        "notes.txt": "beside the split folders",
    }


def test_images_that_are_left_out_are_counted(photos):
    for name in ("a.png", "b.png", "notes.txt"):
        (photos / name).write_bytes((photos / "circle/0000.png").read_bytes())
    assert open_images(photos).scan.warnings() == [
        "left out 2 (beside the class folders), 2 of them named as images: a.png, b.png",
        "left out 1 (not named as an image): notes.txt",
    ]


def link(place: Path, target: Path | str) -> None:
    try:
        place.symlink_to(target, target_is_directory=True)
    except OSError:
        pytest.skip("no links here")


def test_linked_folders_are_entered(tmp_path):
    elsewhere = touch(tmp_path / "elsewhere", "more/2.png", "owl/3.png")
    root = touch(tmp_path / "data", "cat/1.png", "dog/1.png")
    link(root / "cat/more", elsewhere / "more")
    link(root / "owl", elsewhere / "owl")
    assert {item.file for item in list_folder(root).items} == {
        "cat/1.png",
        "cat/more/2.png",
        "dog/1.png",
        "owl/3.png",
    }


def test_links_back_are_entered_once_and_listed(tmp_path):
    root = touch(tmp_path / "home/data", "cat/deep/1.png", "dog/1.png")
    link(root / "cat/deep/self", root / "cat/deep")
    link(root / "cat/top", root)
    link(root / "cat/home", tmp_path / "home")
    link(root / "cat/circle", root / "cat/circle")
    listing = list_folder(root)
    assert {item.file for item in listing.items} == {"cat/deep/1.png", "dog/1.png"}
    loop = "a link back to a folder that contains it"
    assert dict(listing.ignored) == {
        "cat/deep/self": loop,
        "cat/top": loop,
        "cat/home": loop,
        "cat/circle": "a broken link",
    }


def test_broken_links_are_listed_and_those_of_images_count_as_broken(photos):
    link(photos / "wolf", photos / "gone")
    link(photos / "circle/lost.png", photos / "gone.png")
    data = open_images(photos)
    assert data.scan.ignored == [("wolf", "a broken link")]
    assert data.scan.broken == [("circle/lost.png", "a broken link")]


def test_a_linked_data_folder_opens(photos, tmp_path):
    link(tmp_path / "linked", photos)
    data = open_images(tmp_path / "linked")
    assert data.scan.total == 60


@pytest.fixture
def odd(photos):
    """The photos with a class, an ignored file, an image and the folder itself not in UTF-8."""
    root = os.fsencode(photos.parent)
    try:
        os.rename(os.fsencode(photos), root + b"/photos \xff")
        folder = root + b"/photos \xff"
        os.rename(folder + b"/circle", folder + b"/circle \xe9")
        os.rename(folder + b"/square/0000.png", folder + b"/square/\xfc.png")
        Path(os.fsdecode(folder + b"/square/\xfe.txt")).touch()
    except OSError:
        pytest.skip("the file system takes Unicode names only")
    return Path(os.fsdecode(folder))


def test_names_that_are_not_utf_8_are_kept_in_a_form_that_is(odd):
    data = open_images(odd)
    assert data.classes == (r"circle \xe9", "square", "triangle")
    assert data.name == r"photos \xff"
    assert data.source.endswith(r"photos \xff")
    assert r"square/\xfc.png" in {f for split in data.splits.values() for f in split.files}
    assert data.scan.ignored == [(r"square/\xfe.txt", "not named as an image")]
    assert data.splits["test"].read(0).shape == (3, 16, 16)
    again = open_images(data.source)  # as a run names it
    assert (again.classes, again.source) == (data.classes, data.source)
    assert open_test(odd, data.classes).classes == data.classes


def test_two_names_that_differ_in_such_a_byte_stay_two(odd):
    copied = shutil.copytree(odd / "triangle", odd / "triangle \udcff")
    os.rename(odd / "triangle", odd / "triangle \\xff")
    assert copied.is_dir()
    assert len(open_images(odd).classes) == 4
