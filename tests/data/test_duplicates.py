import numpy as np
import pytest
from PIL import Image

from convatlas.data import open_images
from convatlas.data.images.scan import examine
from convatlas.data.sources.duplicates import find_duplicates, pairs_across, pixel_digest


@pytest.fixture
def noise():
    values = np.random.default_rng(0).integers(0, 256, (300, 20, 3), dtype=np.uint8)
    return Image.fromarray(values)


def digest(image, path, **options):
    image.save(path, **options)
    found = examine(path.parent, path.name)
    assert not isinstance(found, str), found
    return found.pixels


def test_a_picture_in_another_format_or_mode_is_the_same(noise, tmp_path):
    first = digest(noise, tmp_path / "a.png")
    assert digest(noise, tmp_path / "b.bmp") == first
    assert digest(noise, tmp_path / "c.webp", lossless=True) == first
    assert digest(noise.convert("RGBA"), tmp_path / "d.png") == first
    exif = Image.Exif()
    exif[274] = 3
    turned = noise.transpose(Image.Transpose.ROTATE_180)
    assert digest(turned, tmp_path / "e.png", exif=exif) == first
    grey = noise.convert("L")
    assert digest(grey, tmp_path / "f.png") == digest(grey.convert("RGB"), tmp_path / "g.png")


def test_another_picture_is_not(noise, tmp_path):
    first = digest(noise, tmp_path / "a.png")
    other = noise.copy()
    other.putpixel((19, 299), (1, 2, 3))
    assert digest(other, tmp_path / "b.png") != first
    assert digest(noise.convert("L"), tmp_path / "c.png") != first
    assert pixel_digest(Image.new("L", (4, 6))) != pixel_digest(Image.new("L", (6, 4)))
    half_grey = noise.convert("L").convert("RGB")
    half_grey.putpixel((0, 299), (1, 2, 3))
    assert pixel_digest(half_grey) != pixel_digest(noise.convert("L"))


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_deep_pictures_are_told_by_all_their_bits(tmp_path, dtype):
    values = np.full((4, 4), 1000, dtype)
    first = digest(Image.fromarray(values), tmp_path / "a.tif")
    assert digest(Image.fromarray(values), tmp_path / "b.tif", compression="tiff_lzw") == first
    values[0, 0] += 1
    assert digest(Image.fromarray(values), tmp_path / "c.tif") != first


def test_groups_hold_two_or_more():
    assert find_duplicates([("a", "1"), ("b", "2"), ("c", "1")]) == [["a", "c"]]


def test_a_file_that_is_not_used_is_in_no_pair():
    assert pairs_across([["a", "b", "c"]], {"b": "train", "c": "test"}) == [
        ("b", "train", "c", "test")
    ]
    assert pairs_across([["a", "b"]], {}) == []


def test_a_copy_in_another_format_is_a_leak(tmp_path, save_noise):
    for split, first in (("train", 0), ("test", 100)):
        for label in "ab":
            for i in range(6):
                save_noise(tmp_path / split / label / f"{i}.png", seed=first + i + 10 * ord(label))
    with Image.open(tmp_path / "test/a/3.png") as image:
        image.save(tmp_path / "train/a/copy.bmp")
    data = open_images(tmp_path)
    (leak,) = data.scan.leaks
    assert {leak[:2], leak[2:]} == {("test/a/3.png", "test"), ("train/a/copy.bmp", "train")}
    assert data.scan.warnings()[0].startswith("the same image in two splits, once")
