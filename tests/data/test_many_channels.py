"""Images of more than three channels: read whole, of one number in a data set, shown as colours."""

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from convatlas.data import open_images, open_test, read_image
from convatlas.data.images.augment import ChannelJitter, augmentation
from convatlas.data.images.in_memory import image_from
from convatlas.data.images.many_channels import load_numbers, tiff_channels
from convatlas.data.images.stored_reading import PLAIN, Reading
from convatlas.errors import DataError, UsageError
from convatlas.explain.pictures import to_pil
from convatlas.tasks import recognise_task

RNG = np.random.default_rng(0)
SIDES = (6, 9)


def numbers(channels=5, dtype=np.uint8):
    return RNG.integers(0, np.iinfo(dtype).max, (*SIDES, channels), dtype, endpoint=True)


def class_folder(root, write, suffix, channels=5, count=8):
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        for place in range(count):
            write(root / name / f"{place}{suffix}", numbers(channels))
    return root


@pytest.mark.parametrize("channels", [2, 4, 5, 12])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_a_tiff_file_is_read_with_every_channel(tmp_path, channels, planar):
    given, path = numbers(channels), tmp_path / "x.tif"
    axes = given if planar == "contig" else np.moveaxis(given, 2, 0)
    tifffile.imwrite(path, axes, photometric="minisblack", planarconfig=planar)
    assert tiff_channels(path) == tiff_channels(path.read_bytes()) == channels
    assert (read_image(path, channels).permute(1, 2, 0).numpy() == given).all()


def test_colour_with_a_further_band_keeps_it_and_transparency_stays_transparency(tmp_path):
    given, path = numbers(4), tmp_path / "x.tif"
    tifffile.imwrite(path, given, photometric="rgb", extrasamples=["unspecified"])
    assert (read_image(path, 4).permute(1, 2, 0).numpy() == given).all()
    tifffile.imwrite(path, given, photometric="rgb", extrasamples=["unassalpha"])
    assert tiff_channels(path) is None
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "LAB", "I;16", "F"):
        Image.new("RGB" if mode == "I;16" else mode, (4, 4)).save(path)
        assert tiff_channels(path) is None, mode


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_file_becomes_upright_as_pillow_has_it(tmp_path, orientation):
    given = numbers(4)
    for name, channels in (("many", given), ("colour", given[..., :3])):
        tifffile.imwrite(
            tmp_path / f"{name}.tif",
            channels,
            photometric="rgb",
            extrasamples=["unspecified"] if name == "many" else (),
            extratags=[(274, 3, 1, orientation, True)],
        )
    many, colour = read_image(tmp_path / "many.tif", 4), read_image(tmp_path / "colour.tif", 3)
    assert torch.equal(many[:3], colour)


@pytest.mark.parametrize("suffix", [".tif", ".npy"])
def test_numbers_of_16_bits_are_scaled_by_what_the_run_stores(tmp_path, suffix):
    given, path = numbers(5, np.uint16) // 16, tmp_path / f"x{suffix}"
    if suffix == ".npy":
        np.save(path, given)
    else:
        tifffile.imwrite(path, given, photometric="minisblack", planarconfig="contig")
    read = read_image(path, 5, Reading(whole=(0, 4095))).permute(1, 2, 0).numpy()
    assert (read == np.floor(given * (255 / 4095) + 0.5)).all()
    assert (read_image(path, 5).permute(1, 2, 0).numpy() == np.floor(given / 257 + 0.5)).all()
    tensor = torch.from_numpy(given.astype(np.int32)).permute(2, 0, 1)
    assert (image_from(tensor, 5, Reading(whole=(0, 4095))).permute(1, 2, 0).numpy() == read).all()


def test_arrays_of_grey_and_colour_are_images_too(tmp_path):
    np.save(tmp_path / "grey.npy", numbers(1)[..., 0])
    np.save(tmp_path / "colour.npy", colour := numbers(3))
    assert (read_image(tmp_path / "colour.npy", 3).permute(1, 2, 0).numpy() == colour).all()
    grey = read_image(tmp_path / "grey.npy", 3)
    assert torch.equal(grey[0], grey[2])
    expected = np.asarray(Image.fromarray(colour).convert("L"))
    assert (read_image(tmp_path / "colour.npy", 1)[0].numpy() == expected).all()


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros(4), r"axes \(height, width\[, channels\]\), got \(4,\)"),
        (np.zeros((5, 8, 8), np.uint8), "channels seem to come first"),
        (np.zeros((4, 4, 600), np.uint8), "at most 512 channels"),
        (np.zeros((4, 4, 5), complex), "must hold numbers, got complex128"),
        (np.full((4, 4, 5), np.nan), "infinite or not a number"),
        (np.zeros((4, 4, 6)), "must have 5 channels, got 6"),
        (np.array([None]), "damaged"),
    ],
)
def test_other_arrays_are_refused_by_name(tmp_path, array, says):
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(DataError, match=rf"x\.npy: .*{says}"):
        read_image(tmp_path / "x.npy", 5)


def test_damaged_and_other_files_are_refused_by_name(tmp_path):
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, numbers(), photometric="minisblack", planarconfig="contig")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"x\.tif: "):
        read_image(path, 5)
    Image.new("RGB", SIDES).save(tmp_path / "photo.png")
    with pytest.raises(DataError, match=r"photo\.png: must be a TIFF or npy file of 5 channels"):
        read_image(tmp_path / "photo.png", 5)
    with pytest.raises(UsageError, match="must have 5 channels, got"):
        image_from(numbers(4), 5)
    with pytest.raises(DataError, match="got a Pillow image"):
        image_from(Image.new("RGB", SIDES), 5)


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "x.tif", numbers(), photometric="minisblack", planarconfig="contig")
    monkeypatch.setitem(__import__("sys").modules, "tifffile", None)
    with pytest.raises(DataError, match=r"pip install 'convatlas\[tiff\]'"):
        load_numbers(tmp_path / "x.tif", PLAIN)


def test_a_data_set_of_differing_channels_is_refused_with_two_files(tmp_path):
    folder = class_folder(tmp_path / "data", np.save, ".npy")
    np.save(folder / "b" / "3.npy", numbers(4))
    with pytest.raises(DataError, match=r"same number of channels, got 5 in a/0\.npy and 4 in b/3"):
        open_images(folder)
    np.save(folder / "b" / "3.npy", numbers(3))
    with pytest.raises(DataError, match=r"got 5 in a/0\.npy and 3 in b/3\.npy"):
        open_images(folder)
    np.save(folder / "b" / "3.npy", numbers(5))
    with pytest.raises(DataError, match="images must have 3 channels, as those of the run, got 5"):
        open_test(folder, ["a", "b"], channels=3)


def test_arrays_beside_images_are_no_images(tmp_path):
    folder = class_folder(tmp_path / "data", lambda p, x: Image.fromarray(x).save(p), ".png", 3)
    np.save(folder / "a" / "features.npy", numbers())
    data = open_images(folder)
    assert (data.channels, data.scan.total) == (3, 16)
    assert [file for file, _ in data.scan.ignored] == ["a/features.npy"]


def test_a_table_may_name_arrays(tmp_path):
    class_folder(tmp_path, np.save, ".npy")
    rows = [f"{name}/{place}.npy,{name}" for name in "ab" for place in range(8)]
    (tmp_path / "list.csv").write_text("\n".join(["file_name,label", *rows]))
    assert recognise_task(tmp_path / "list.csv").name == "classify"
    data = open_images(tmp_path / "list.csv")
    assert (data.channels, data.height, data.width) == (5, *SIDES)
    assert "the images have 5 channels" in data.scan.notes[-1]


def test_the_first_three_channels_are_shown():
    given = torch.from_numpy(numbers()).permute(2, 0, 1)
    assert (np.asarray(to_pil(given)) == given[:3].permute(1, 2, 0).numpy()).all()
    assert (np.asarray(to_pil(given[:2])) == given[0].numpy()).all()


def test_brightness_changes_channel_by_channel():
    torch.manual_seed(0)
    given = torch.full((4, 5, 8, 8), 100, dtype=torch.uint8)
    changed = ChannelJitter(0.2)(given)
    assert changed.dtype == torch.uint8
    factors = changed[0, :, 0, 0] / 100
    assert len(factors.unique()) == 5
    assert ((factors >= 0.8) & (factors <= 1.2)).all()
    assert torch.equal(changed, changed[:1, :, :1, :1].expand_as(changed))
    for level in ("none", "digits", "tiny", "photo", "inception", "resnet"):
        assert augmentation(level, 5, 8)(given).shape == given.shape


def test_pages_that_are_not_read_are_told(tmp_path):
    page = np.arange(64, dtype=np.uint8).reshape(8, 8)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(8):
            tifffile.imwrite(tmp_path / name / f"{number}.tif", np.stack([page + number, page]))
    notes = open_images(tmp_path).scan.notes
    assert sum("has 2 pages: the first page of each file is taken" in note for note in notes) == 1
    for path in tmp_path.rglob("*.tif"):
        tifffile.imwrite(path, page + int(path.stem))
    assert not any("pages" in note for note in open_images(tmp_path).scan.notes)
