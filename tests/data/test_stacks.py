"""Stacks with masks: read slice by slice, kept together, stored and found again."""

import numpy as np
import pytest
import torch
from PIL import Image

from convatlas.data.images.asked import find_asked, slice_by_slice
from convatlas.data.images.read import read_image
from convatlas.data.images.stored_annotated import load_annotated
from convatlas.data.masks.augment import mask_augmentation
from convatlas.data.masks.crops import CropSize, GridCrops, RandomCrops
from convatlas.data.masks.kept_masks import KeptMasks
from convatlas.data.masks.mask_files import MaskKind, read_mask
from convatlas.data.masks.open import open_masks, takes_masks
from convatlas.data.masks.volumes import Volumes, as_volumes, read_volume, volume_places
from convatlas.data.slice_names import file_of, parse_slice, slice_name
from convatlas.errors import DataError

SHAPE = (10, 12, 14)  # slices, height, width


def volume(seed=0, shape=SHAPE, deep=False):
    """A stack and its masks, which differ in every slice."""
    random = np.random.default_rng(seed)
    masks = (random.random(shape) < 0.4).astype(np.uint8)
    images = random.integers(0, 200, shape) + 40 * masks
    return images.astype(np.uint16 if deep else np.uint8) * (16 if deep else 1), masks


def save_tiff(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    pages = [Image.fromarray(page) for page in array]
    pages[0].save(path, save_all=True, append_images=pages[1:])


def write_tiff(root, images, masks):
    save_tiff(root / "train-volume.tif", images)
    save_tiff(root / "train-labels.tif", masks)
    return root, "train-volume.tif"


def write_npy(root, images, masks):
    np.save(root / "x.npy", images)
    np.save(root / "x_mask.npy", masks)
    return root, "x.npy"


def write_npz(root, images, masks):
    np.savez_compressed(root / "em.npz", image=images, inside_cell=masks)
    return root / "em.npz", "em.npz[image]"


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("write", [write_tiff, write_npy, write_npz])
def test_slices_of_one_stack_are_images_divided_in_their_order(write, deep, tmp_path):
    images, masks = volume(deep=deep)
    source, stack = write(tmp_path, images, masks)
    assert takes_masks(source)
    data = open_masks(source, max_broken=0)
    assert data.classes == ("background", "foreground")
    assert data.channels == 1
    places = {name: [parse_slice(f).place for f in s.files] for name, s in data.splits.items()}
    assert places == {"train": [*range(6)], "val": [6, 7], "test": [8, 9]}
    assert "divided in their order: 6 train, 2 val, 2 test" in " ".join(data.scan.notes)
    if deep:
        assert "12 bits: 0 is black and 4,095 is white" in " ".join(data.scan.reading)
    expected = (images * (255 / 4095)).round() if deep else images
    for name, part in data.splits.items():
        for index, place in enumerate(places[name]):
            assert part.files[index] == f"{stack}[{place}]"
            assert np.array_equal(part.read(index)[0].numpy(), expected[place])
            assert np.array_equal(read_mask(part, index).numpy(), masks[place])
    data.save(tmp_path / "split.json")
    again = load_annotated(tmp_path / "split.json", MaskKind())
    for name, part in data.splits.items():
        assert again.splits[name].files == part.files
        assert torch.equal(again.splits[name].read(0), part.read(0))
        assert torch.equal(read_mask(again.splits[name], 0), read_mask(part, 0))
    judged = open_masks(source, classes=data.classes, ignored=[])
    assert len(judged.splits["test"]) == 10  # nothing is cut off what is judged
    (tmp_path / stack.removesuffix("[image]")).unlink()
    with pytest.raises(DataError, match="must still contain the files"):
        load_annotated(tmp_path / "split.json", MaskKind())


def test_of_several_stacks_each_stays_in_one_split(tmp_path):
    for seed in range(6):
        images, masks = volume(seed, (4, 12, 14))
        save_tiff(tmp_path / "images" / f"{seed}.tif", images)
        save_tiff(tmp_path / "masks" / f"{seed}.tif", masks)
    data = open_masks(tmp_path, max_broken=0, seed=1)
    held = {name: {file_of(file) for file in part.files} for name, part in data.splits.items()}
    assert {name: len(files) for name, files in held.items()} == {"train": 4, "val": 1, "test": 1}
    assert len(set.union(*held.values())) == 6
    assert sum(map(len, data.splits.values())) == 24


def test_given_splits_of_stacks_are_kept_and_val_is_cut_off_the_end_of_train(tmp_path):
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        write_npz(tmp_path / split, *volume(len(split)))
    data = open_masks(tmp_path, max_broken=0)
    assert [parse_slice(file).place for file in data.splits["val"].files] == [8, 9]
    assert {file_of(file) for file in data.splits["test"].files} == {"test/em.npz"}
    assert len(data.splits["test"]) == 10


def test_stacks_that_do_not_fit_their_masks_are_named(tmp_path):
    for seed in range(4):
        images, masks = volume(seed, (4, 12, 14))
        np.save(tmp_path / f"{seed}.npy", images)
        np.save(tmp_path / f"{seed}_mask.npy", masks if seed else masks[:3])
    np.savez(tmp_path / "other.npz", settings=np.arange(3))
    data = open_masks(tmp_path, max_broken=0.1)
    assert data.scan.broken == [("0.npy", "has 4 slices, its mask 0_mask.npy has 3")]
    (tmp_path / "0.npy").write_bytes(b"\x93NUMPY\x01\x00damaged")
    assert "cannot be read as an array" in open_masks(tmp_path, max_broken=0.1).scan.broken[0][1]
    np.save(tmp_path / "0.npy", np.array([{}], dtype=object), allow_pickle=True)
    assert "cannot be read as an array" in open_masks(tmp_path, max_broken=0.1).scan.broken[0][1]


def test_arrays_of_which_it_is_not_clear_what_they_are_are_refused_by_name(tmp_path):
    images, masks = volume()
    np.savez(tmp_path / "a.npz", first=images, second=masks)
    with pytest.raises(DataError, match=r"a\.npz: must have arrays named image and mask, got fir"):
        open_masks(tmp_path / "a.npz")


def test_further_pages_of_a_photograph_with_a_plain_mask_are_left_alone(tmp_path):
    for i in range(4):
        images, masks = volume(i)
        save_tiff(tmp_path / f"{i}.tif", images[:2])
        Image.fromarray(masks[0]).save(tmp_path / f"{i}_mask.png")
    data = open_masks(tmp_path, max_broken=0)
    assert sorted(f for part in data.splits.values() for f in part.files) == [
        f"{i}.tif" for i in range(4)
    ]


def test_a_stack_is_asked_slice_by_slice(tmp_path):
    images, masks = volume()
    save_tiff(tmp_path / "a.tif", images)
    np.save(tmp_path / "b.npy", images)
    write_npz(tmp_path, images, masks)
    Image.fromarray(images[0]).save(tmp_path / "one.png")
    for name, slices in (("a.tif", 10), ("b.npy", 10), ("em.npz", 10), ("one.png", 1)):
        asked = list(slice_by_slice(find_asked(tmp_path / name)))
        assert len(asked) == slices
        assert np.array_equal(read_image(asked[-1].value, 1)[0], images[slices - 1])
    np.savez(tmp_path / "two.npz", first=images, second=masks)
    (asked,) = slice_by_slice(find_asked(tmp_path / "two.npz"))
    assert "must have one array named image, got first, second" in asked.error
    with pytest.raises(DataError, match="has 10 slices, so there is no 10"):
        read_image(tmp_path / "b.npy[10]", 1)
    with pytest.raises(DataError, match="has 10 pages, so there is no 10"):
        read_image(tmp_path / "a.tif[10]", 1)


def test_names_of_slices_are_told_from_names_of_files():
    for name in ("a.tif[3]", "b/c.npy[0]", "em.npz[image][12]"):
        part = parse_slice(name)
        assert slice_name(part.file, part.place, part.member) == name
    for name in ("a[3].png", "a.png[3]", "a.tif", "a.tif[x]", "[3]"):
        assert parse_slice(name) is None
        assert file_of(name) == name


def test_slices_that_follow_each_other_are_a_volume(tmp_path):
    (tmp_path / "a").mkdir()
    write_npz(tmp_path / "a", *volume(1, (12, 12, 14)))
    data = as_volumes(open_masks(tmp_path, max_broken=0))
    assert data.facts()["depth"] == 8
    part = data.splits["train"]
    assert volume_places(part.files, part.targets) == [[*range(8)]]
    images, masks = volume(1, (12, 12, 14))
    assert np.array_equal(read_volume(part, range(8))[0], images[:8])
    kept = Volumes(KeptMasks(part))
    assert len(kept) == 8
    for place in (0, 7):
        image, mask = kept.read(place)
        assert np.array_equal(image[0], images[:8])
        assert np.array_equal(mask, masks[:8])
    assert kept.firsts() == [0]
    gap = part.subset([0, 1, 3, 4, 5])
    assert volume_places(gap.files, gap.targets) == [[0, 1], [2, 3, 4]]
    assert Volumes(KeptMasks(gap)).firsts() == [0, 2]
    assert Volumes(KeptMasks(gap)).firsts(2) == [0]
    size = CropSize((4, 8, 6), (1, 0, 0))
    image, mask = RandomCrops(kept, size, mask_augmentation("cells"))[3]
    assert image.shape == (1, 4, 8, 6)
    assert mask.shape == (2, 8, 6)
    windows = GridCrops(kept, size, kept.firsts())
    answered = sum(int((windows[i][1] != 255).sum()) for i in range(len(windows)))
    assert answered == 8 * 12 * 14  # every voxel once


def test_plain_images_are_no_volumes(tmp_path):
    for i in range(4):
        images, masks = volume(i)
        Image.fromarray(images[0]).save(tmp_path / f"{i}.png")
        Image.fromarray(masks[0]).save(tmp_path / f"{i}_mask.png")
    with pytest.raises(DataError, match=r"hold stacks only to be read as volumes, got \d\.png"):
        as_volumes(open_masks(tmp_path))
