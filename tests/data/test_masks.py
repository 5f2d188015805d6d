"""Masks in files: layouts, values, names, what is wrong, windows."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from convatlas.data.images.stored_annotated import load_annotated
from convatlas.data.masks.class_names import read_class_names
from convatlas.data.masks.crops import CropSize, GridCrops
from convatlas.data.masks.kept_masks import KeptMasks
from convatlas.data.masks.mask_files import IGNORED, MaskKind, read_mask
from convatlas.data.masks.mask_values import COLOUR
from convatlas.data.masks.open import open_masks, takes_masks
from convatlas.data.masks.pairs import find_pairs
from convatlas.errors import DataError
from convatlas.models.segment import segmenter

SIDE = (12, 10)  # width, height


def picture(path, seed=0, size=SIDE):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3))
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def save_mask(path, values, palette=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    made = Image.fromarray(np.asarray(values, dtype=np.uint8), "P" if palette else None)
    if palette:
        made.putpalette(palette)
    made.save(path)


def values_of(seed, allowed, size=SIDE):
    random = np.random.default_rng(seed)
    return random.choice(np.asarray(allowed), (size[1], size[0]))


def folder(root, count=10, allowed=(0, 1, 2, 255), **kwargs):
    """x.png beside x_mask.png."""
    for i in range(count):
        picture(root / f"{i}.png", i)
        save_mask(root / f"{i}_mask.png", values_of(i, allowed), **kwargs)
    return root


def test_the_value_without_a_class_is_the_same_for_data_and_networks():
    assert IGNORED == segmenter.IGNORED


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("a.jpg", "a_mask.png"),
        ("images/a.jpg", "masks/a.png"),
        ("train/images/a.jpg", "train/masks/a_mask.png"),
        ("images/train/a.jpg", "labels/train/a.png"),
        ("train/a.jpg", "train/a_L.png"),
        ("leftImg8bit/val/x/a_leftImg8bit.png", "gtFine/val/x/a_gtFine_labelTrainIds.png"),
        ("JPEGImages/a.jpg", "SegmentationClass/a.png"),
    ],
)
def test_the_usual_arrangements_are_pairs(tmp_path, image, mask):
    picture(tmp_path / image)
    save_mask(tmp_path / mask, values_of(0, (0, 1)))
    found = find_pairs(tmp_path)
    split = next((s for s in ("train", "val") if s in image.split("/")), None)
    assert found.pairs == [(image, mask, split)]
    assert takes_masks(tmp_path)


def test_a_folder_of_classes_or_of_pictures_holds_no_masks(tmp_path):
    for name in ("cat/1.png", "dog/2.png", "images/3.png"):
        picture(tmp_path / name)
    assert not takes_masks(tmp_path)
    assert not takes_masks(tmp_path / "gone")
    assert not takes_masks("digits")


def test_grey_values_become_classes_and_255_beside_others_none(tmp_path):
    data = open_masks(folder(tmp_path))
    assert data.classes == ("0", "1", "2")
    assert data.facts()["ignored"] == [255]
    assert "pixels of the value 255 have no class" in data.scan.notes[0]
    assert {name: len(split) for name, split in data.splits.items()} == {
        "train": 6,
        "val": 2,
        "test": 2,
    }
    split = data.splits["train"]
    values = np.asarray(Image.open(tmp_path / split.files[0].replace(".png", "_mask.png")))
    assert np.array_equal(read_mask(split, 0).numpy(), values)  # 255 is what networks ignore too
    assert data.scan.per_class["train"]["1"] == sum(
        int((read_mask(split, i) == 1).sum()) for i in range(6)
    )


@pytest.mark.parametrize("allowed", [(0, 1), (0, 255)])
def test_two_values_are_ground_and_thing_whatever_their_numbers(tmp_path, allowed):
    data = open_masks(folder(tmp_path / "a", allowed=allowed))
    assert data.classes == ("background", "foreground")
    other = folder(tmp_path / "b", count=3, allowed=(0, 7))
    judged = open_masks(other, classes=data.classes, ignored=data.kind.ignored)
    assert list(judged.splits) == ["test"]
    assert read_mask(judged.splits["test"], 0).unique().tolist() == [0, 1]


def test_places_of_a_palette_and_colours_are_exact(tmp_path):
    palette = [0, 0, 0, 200, 10, 10, 10, 200, 10]
    data = open_masks(folder(tmp_path / "p", allowed=(0, 1, 2), palette=palette))
    assert data.classes == ("0", "1", "2")
    colours = np.array([[0, 0, 0], [128, 0, 127], [0, 200, 0]], dtype=np.uint8)
    for i in range(6):
        picture(tmp_path / "c" / f"{i}.png", i)
        save_mask(tmp_path / "c" / f"{i}_mask.png", colours[values_of(i, (0, 1, 2))])
    data = open_masks(tmp_path / "c")
    assert data.classes == ("#000000", "#00c800", "#80007f")
    place = int(data.splits["train"].files[0].split(".")[0])
    expected = np.array([0, 2, 1])[values_of(place, (0, 1, 2))]
    assert np.array_equal(read_mask(data.splits["train"], 0).numpy(), expected)


@pytest.mark.parametrize(
    ("file", "text", "names"),
    [
        ("classes.txt", "sky\nroad\nvoid\n", {0: "sky", 1: "road", 2: "void"}),
        ("classes.txt", "0 sky\n7: big road\n", {0: "sky", 7: "big road"}),
        (
            "label_colors.txt",
            "64 128 64 Animal\n0 0 0\tVoid",
            {COLOUR + 0x408040: "Animal", 0: "Void"},
        ),
        ("class_dict.csv", "name,r,g,b\nCar,64,0,128\n", None),
        (
            "class_dict.csv",
            "name,r,g,b\nCar,64,0,128\nRoad,9,9,9\n",
            {COLOUR + 0x400080: "Car", 9: "Road"},
        ),
        ("classes.json", '{"sky": 3, "road": [1, 2, 3]}', {3: "sky", COLOUR + 0x010203: "road"}),
        ("classes.json", '["sky", "road"]', {0: "sky", 1: "road"}),
        ("labels.json", '{"1": "sky", "2": "road"}', {1: "sky", 2: "road"}),
        ("classes.json", '{"sky": true}', None),
        ("classes.json", "{", None),
        ("classes.txt", "sky\nsky\n", None),
        ("label_colors.txt", "300 0 0 sky\n0 0 0 road", None),
    ],
)
def test_files_name_the_classes(tmp_path, file, text, names):
    (tmp_path / file).write_text(text)
    if names is None:
        with pytest.raises(DataError, match=file):
            read_class_names(tmp_path)
    else:
        assert read_class_names(tmp_path) == (names, file)


def test_names_decide_what_has_no_class_and_strange_values_are_said(tmp_path):
    folder(tmp_path, allowed=(0, 1, 2))
    (tmp_path / "classes.txt").write_text("sky\nroad\nvoid\nboat\n")
    values = values_of(50, (0, 1))
    values[0, 0] = 9
    picture(tmp_path / "x.png", 50)
    save_mask(tmp_path / "x_mask.png", values)
    data = open_masks(tmp_path)
    assert data.classes == ("sky", "road")
    assert data.kind.ignored == (2,)
    text = " ".join([*data.scan.notes, *data.scan.warnings()])
    assert "no mask shows boat" in text
    assert "x.png 9 on 1 pixels" in text


def test_what_is_wrong_with_an_image_is_named_and_skipped_up_to_a_share(tmp_path):
    folder(tmp_path, 20)
    save_mask(tmp_path / "0_mask.png", values_of(0, (0, 1), (9, 9)))
    (tmp_path / "1_mask.png").unlink()
    (tmp_path / "2_mask.png").write_bytes(b"no image")
    Image.fromarray(values_of(3, (0, 1)).astype(np.uint8)).save(tmp_path / "3_mask.jpg")
    (tmp_path / "3_mask.png").unlink()
    save_mask(tmp_path / "4_mask.png", np.full((10, 12), 255))
    save_mask(tmp_path / "stray_mask.png", values_of(0, (0, 1)))
    data = open_masks(tmp_path, max_broken=0.3)
    reasons = dict(data.scan.broken)
    assert "9 x 9 pixels, the image 12 x 10" in reasons["0.png"]
    assert reasons["1.png"] == "has no mask"
    assert "2_mask.png" in reasons["2.png"]
    assert "JPEG does not keep" in reasons["3.png"]
    assert "no pixel of its mask" in reasons["4.png"]
    assert ("stray_mask.png", "a mask without an image") in data.scan.ignored
    with pytest.raises(DataError, match=r"has no mask"):
        open_masks(tmp_path, max_broken=0.05)


def test_masks_that_teach_nothing_are_refused(tmp_path):
    with pytest.raises(DataError, match="two classes at least, got 1"):
        open_masks(folder(tmp_path / "one", allowed=(3,)))
    pictures = tmp_path / "pictures"
    for i in range(6):
        picture(pictures / f"{i}.png", i)
        picture(pictures / f"{i}_mask.png", i, (40, 40))
    with pytest.raises(DataError, match="a picture, not a mask"):
        open_masks(pictures)
    picture(tmp_path / "two" / "a.png")
    for name in ("a_mask.png", "a_label.png"):
        save_mask(tmp_path / "two" / name, values_of(0, (0, 1)))
    with pytest.raises(DataError, match="one image must have one mask"):
        find_pairs(tmp_path / "two")


def test_the_stored_split_opens_the_same_masks(tmp_path):
    data = open_masks(folder(tmp_path / "data"))
    data.save(tmp_path / "split.json")
    again = load_annotated(tmp_path / "split.json", MaskKind([255]))
    assert again.facts() == data.facts()
    for name, split in data.splits.items():
        assert again.splits[name].files == split.files
        assert torch.equal(read_mask(again.splits[name], 0), read_mask(split, 0))
    stored = json.loads((tmp_path / "split.json").read_text())
    stored["splits"]["test"]["targets"][0]["places"] = [[0, 17]]
    (tmp_path / "split.json").write_text(json.dumps(stored))
    with pytest.raises(DataError, match="names a class that is none of 3"):
        load_annotated(tmp_path / "split.json", MaskKind([255]))


def test_data_for_judging_must_have_the_classes_of_the_run(tmp_path):
    data = open_masks(folder(tmp_path / "a", allowed=(0, 1, 2)))
    with pytest.raises(DataError, match="got extra 5"):
        open_masks(folder(tmp_path / "b", allowed=(0, 1, 5)), classes=data.classes, ignored=[])
    fewer = open_masks(folder(tmp_path / "c", allowed=(1, 2)), classes=data.classes, ignored=[])
    assert fewer.classes == data.classes
    assert read_mask(fewer.splits["test"], 0).unique().tolist() == [1, 2]


def test_windows_of_a_grid_hold_each_pixel_once_and_what_lies_around(tmp_path):
    data = open_masks(folder(tmp_path, allowed=(0, 1, 2)))
    kept, size = KeptMasks(data.splits["train"]), CropSize([9, 9], [2, 2])
    windows = GridCrops(kept, size, chosen=[0])
    image, mask = kept.read(0)
    found = torch.cat([truth.flatten() for _, truth in windows])
    counts = found[found != IGNORED].bincount(minlength=3)
    assert torch.equal(counts, mask.flatten().long().bincount(minlength=3))
    around, truth = windows[0]
    assert (around.shape, truth.shape) == ((3, 9, 9), (5, 5))
    padded = np.pad(image.numpy(), ((0, 0), (2, 2), (2, 2)), mode="symmetric")
    assert np.array_equal(around.numpy(), padded[:, :9, :9])
    assert torch.equal(truth, mask[:5, :5].long())
