import json
import os

import numpy as np
import pytest
from PIL import Image

from convatlas.data import open_images
from convatlas.data.images.read import UnreadableImage
from convatlas.data.images.scan import examine, scan_files
from convatlas.data.scan_report import ScanReport
from convatlas.errors import DataError


@pytest.fixture
def damaged(photos, save_noise):
    """The photos with one broken file of each sort among them."""
    folder = photos / "circle"
    (folder / "zero.png").write_bytes(b"")
    (folder / "words.jpg").write_text("these are words")
    cut = save_noise(folder / "cut.jpg")
    cut.write_bytes(cut.read_bytes()[:-400])
    flipped = save_noise(folder / "flipped.png")
    content = bytearray(flipped.read_bytes())
    content[len(content) // 2] ^= 255
    flipped.write_bytes(content)
    Image.new("1", (8200, 8200)).save(folder / "huge.png")
    return photos


def test_every_broken_file_is_named_with_its_reason_and_skipped(damaged):
    data = open_images(damaged, max_broken=0.1)
    broken = dict(data.scan.broken)
    assert broken["circle/zero.png"] == "the file is empty"
    assert "not an image" in broken["circle/words.jpg"]
    assert "truncated" in broken["circle/cut.jpg"]
    assert "damaged" in broken["circle/flipped.png"]
    assert "8200 x 8200" in broken["circle/huge.png"]
    assert len(broken) == 5
    assert (data.scan.total, data.scan.readable) == (65, 60)
    used = {file for split in data.splits.values() for file in split.files}
    assert len(used) == 60
    assert not used & broken.keys()


def test_too_large_a_share_of_broken_files_stops(damaged):
    with pytest.raises(DataError, match=r"at most 5% .* got 5 of 65: .*and 2 more.*--max-broken"):
        open_images(damaged)


def test_a_png_named_jpg_is_used_and_listed(photos):
    (photos / "circle/0000.png").rename(photos / "circle/0000.jpg")
    data = open_images(photos)
    assert data.scan.renamed == [("circle/0000.jpg", "PNG content in a file named .jpg")]
    assert data.scan.readable == 60


def test_other_suffixes_of_one_format_are_not_renamed(tmp_path):
    Image.new("L", (4, 4)).save(tmp_path / "a.JPEG")
    Image.new("L", (4, 4)).save(tmp_path / "b.pgm")
    facts, broken = scan_files(tmp_path, ["a.JPEG", "b.pgm"])
    assert not broken
    assert [fact.renamed for fact in facts] == [None, None]


def test_files_that_are_no_images_are_ignored_and_counted(photos):
    for name in ("README.md", "circle/notes.txt", "circle/Thumbs.db", "circle/.hidden.png"):
        (photos / name).write_text("x")
    (photos / ".ipynb_checkpoints").mkdir()
    data = open_images(photos)
    assert dict(data.scan.ignored) == {
        "README.md": "not named as an image",
        "circle/notes.txt": "not named as an image",
        "circle/Thumbs.db": "created by a tool",
        "circle/.hidden.png": "hidden",
    }
    assert data.scan.total == 60


def test_modes_sizes_and_classes_are_counted(tmp_path):
    for label in "ab":
        for i in range(4):
            path = tmp_path / label / f"{i}.png"
            path.parent.mkdir(exist_ok=True)
            Image.new("L" if i else "LA", (10 + i, 20), i).save(path)
    scan = open_images(tmp_path).scan
    assert scan.modes == {"L": 6, "LA": 2}
    assert scan.sizes == {"width": (10, 12, 13), "height": (20, 20, 20)}
    assert scan.per_class == {
        name: {"a": n, "b": n} for name, n in (("train", 2), ("val", 1), ("test", 1))
    }


def test_sizes_are_those_of_the_upright_image(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", (30, 10)).save(tmp_path / "x.jpg", exif=exif)
    fact = examine(tmp_path, "x.jpg")
    assert (fact.width, fact.height) == (10, 30)


@pytest.mark.parametrize(
    ("palette", "grey"), [([9, 9, 9, 200, 200, 200], True), ([9, 9, 9, 200, 0, 0], False)]
)
def test_a_palette_is_grey_where_all_its_colours_are(tmp_path, palette, grey):
    image = Image.new("P", (2, 2))
    image.putpalette(palette)
    image.save(tmp_path / "x.png")
    assert examine(tmp_path, "x.png").grey is grey


def test_one_colour_image_makes_the_set_colour(tmp_path):
    for label in "ab":
        (tmp_path / label).mkdir()
        for i in range(3):
            values = np.full((4, 4), 1000 * i, np.uint16)
            Image.fromarray(values).save(tmp_path / label / f"{i}.png")
    assert open_images(tmp_path).channels == 1
    Image.new("RGB", (4, 4)).save(tmp_path / "a" / "colour.png")
    assert open_images(tmp_path).channels == 3


def test_identical_files_in_two_given_splits_are_leaks(tmp_path, save_noise):
    for split, first in (("train", 0), ("test", 100)):
        for label in "ab":
            for i in range(6):
                save_noise(tmp_path / split / label / f"{i}.png", seed=first + i + 10 * ord(label))
    assert open_images(tmp_path).scan.leaks == []
    copied = (tmp_path / "test/a/3.png").read_bytes()
    (tmp_path / "train/a/copy.png").write_bytes(copied)
    data = open_images(tmp_path)
    (leak,) = data.scan.leaks
    assert {leak[:2], leak[2:]} == {("test/a/3.png", "test"), ("train/a/copy.png", "train")}
    assert "the test accuracy will be too high" in " ".join(data.scan.warnings())


def test_our_own_split_keeps_copies_in_train(photos):
    for i in range(4):
        source = photos / f"circle/{i:04d}.png"
        (photos / f"circle/copy{i}.png").write_bytes(source.read_bytes())
    for seed in range(5):
        data = open_images(photos, seed=seed)
        assert data.scan.leaks == []
        copies = {f"circle/{name}{i}.png" for i in range(4) for name in ("000", "copy")}
        assert copies <= set(data.splits["train"].files)


def test_one_file_under_two_classes_is_named(photos):
    (photos / "square/copy.png").write_bytes((photos / "circle/0000.png").read_bytes())
    assert open_images(photos).scan.conflicts == [
        ("circle/0000.png", "circle", "square/copy.png", "square")
    ]


def test_progress_counts_to_the_total(photos):
    seen = []
    open_images(photos, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 60) for i in range(1, 61)]


def test_a_report_survives_json(damaged):
    report = open_images(damaged, max_broken=0.1).scan
    assert ScanReport.from_dict(json.loads(json.dumps(report.to_dict()))) == report


def test_warnings_are_one_line_each(photos, tmp_path):
    (photos / "circle/a\nb.png").write_bytes(b"")
    lines = open_images(photos).scan.warnings()
    assert lines == ["skipped 1 file that cannot be used: circle/a\\nb.png (the file is empty)"]


def test_a_file_without_permission_is_broken(photos, monkeypatch):
    path = photos / "circle/0000.png"
    path.chmod(0)
    if os.access(path, os.R_OK):  # the superuser reads everything

        def refuse(opened, *args, **options):
            if opened.name == path.name and opened.parent.name == "circle":
                raise UnreadableImage("no permission to read")
            return load(opened, *args, **options)

        from convatlas.data.images.scan import load

        monkeypatch.setattr("convatlas.data.images.scan.load", refuse)
    data = open_images(photos)
    assert data.scan.broken == [("circle/0000.png", "no permission to read")]
