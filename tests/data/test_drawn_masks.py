"""Masks that were drawn as outlines, runs or brush strokes: COCO's JSON and Label Studio's."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from convatlas.data.images.stored_annotated import load_annotated
from convatlas.data.masks.mask_files import MaskKind, read_mask
from convatlas.data.masks.open import open_masks, takes_masks
from convatlas.data.masks.outlines import (
    Outline,
    draw_outlines,
    mask_to_runs,
    parse_runs,
    runs_to_mask,
)


def coco(root):
    names = [{"id": 7, "name": "cell"}, {"id": 3, "name": "dirt"}]
    images, objects = [], []
    (root / "images").mkdir(parents=True)
    for i in range(8):
        pixels = np.random.default_rng(i).integers(0, 256, (10, 12, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(root / "images" / f"{i}.png")
        images.append({"id": i, "file_name": f"{i}.png", "width": 12, "height": 10})
        square = [1, 2, 7, 2, 7, 8, 1, 8]
        objects.append({"id": i, "image_id": i, "category_id": 7, "segmentation": [square]})
        runs = {"counts": [63, 2, 8, 2, 45], "size": [10, 12]}  # 2 x 2 pixels from x 6, y 3
        objects.append({"id": 90 + i, "image_id": i, "category_id": 3, "segmentation": runs})
    objects.append(
        {"id": 500, "image_id": 0, "category_id": 9, "segmentation": [[1, 2, 3, 4, 5, 6]]}
    )
    content = {"images": images, "annotations": objects, "categories": names}
    (root / "marked.json").write_text(json.dumps(content))
    return root


def test_outlines_of_coco_are_drawn_the_large_below_the_small(tmp_path):
    root = coco(tmp_path)
    assert takes_masks(root)
    data = open_masks(root / "marked.json", max_broken=0.2)
    assert data.classes == ("background", "cell", "dirt")
    expected = torch.zeros(10, 12, dtype=torch.uint8)
    expected[2:8, 1:7] = 1
    expected[3:5, 6:8] = 2
    assert torch.equal(read_mask(data.splits["train"], 0), expected)
    assert (
        "left out 1 mask (no category has the id 9): images/0.png annotation 500"
        in data.scan.warnings()
    )
    data.save(tmp_path / "split.json")
    again = load_annotated(tmp_path / "split.json", MaskKind())
    assert torch.equal(read_mask(again.splits["test"], 0), expected)


def test_polygons_of_label_studio_are_those_of_coco(tmp_path):
    root, tasks = coco(tmp_path), []
    for i in range(8):
        corners = [[100 * x / 12, 100 * y / 10] for x, y in ((1, 2), (7, 2), (7, 8), (1, 8))]
        value = {"points": corners, "polygonlabels": ["cell"], "closed": True}
        result = {"id": f"r{i}", "original_width": 12, "original_height": 10, "value": value}
        task = {"id": i, "data": {"image": f"/data/upload/1/{i}.png"}}
        tasks.append(task | {"annotations": [{"result": [result] if i else []}]})
    tasks[1]["annotations"][0]["result"] += [
        {"id": "two", "value": {"points": [[1, 2], [3, 4]], "polygonlabels": ["cell"]}},
        {"id": "odd", "value": {"points": [[1, 2], [3], 7, "x"], "polygonlabels": ["cell"]}},
        {"id": "turned", "image_rotation": 90, "value": value},
    ]
    path = tmp_path / "project.json"
    path.write_text(json.dumps(tasks))
    assert takes_masks(path)
    data = open_masks(path, max_broken=0.4)
    assert data.classes == ("background", "cell")
    objects = open_masks(root / "marked.json", max_broken=0.2)
    for part in data.splits.values():
        for place, file in enumerate(part.files):
            (other,) = (s for s in objects.splits.values() if file in s.files)
            expected = read_mask(other, other.files.index(file)).ge(1)
            expected[3:5, 7:8] = False  # the dirt beside the cell
            mask = read_mask(part, place)
            assert torch.equal(mask.bool(), expected & (file != "images/0.png"))
    told = "\n".join(data.scan.warnings())
    for reason, name in (
        ("a polygon must have three corners at least", "two"),
        ("its corners are no numbers", "odd"),
        ("its image was turned by 90 degrees", "turned"),
    ):
        assert f"left out 1 mask ({reason}): images/1.png result {name} of task 1" in told


def packed_with_the_brush(mask, lengths=(2, 5, 8, 15)):
    """Write a mask as Label Studio's brush does: opaque red where it is, runs of equal values."""
    values = np.zeros((*mask.shape, 4), dtype=np.uint8)
    values[mask] = (255, 30, 0, 255)
    flat, bits = values.ravel().tolist(), []
    bits += [f"{len(flat):032b}", f"{7:05b}", *(f"{n - 1:04b}" for n in lengths)]
    place = 0
    while place < len(flat):
        same = next((i for i, v in enumerate(flat[place:]) if v != flat[place]), len(flat) - place)
        mixed = same < 3
        count = min(same if not mixed else 8, len(flat) - place, 1 << lengths[-1])
        choice = next(i for i, n in enumerate(lengths) if count - 1 < 1 << n)
        bits += [str(int(not mixed)), f"{choice:02b}", f"{count - 1:0{lengths[choice]}b}"]
        bits += [
            f"{v:08b}" for v in (flat[place : place + count] if mixed else flat[place : place + 1])
        ]
        place += count
    whole = "".join(bits)
    whole += "0" * (-len(whole) % 8)
    return [int(whole[i : i + 8], 2) for i in range(0, len(whole), 8)]


def test_what_was_painted_in_label_studio_is_read_to_the_pixel(tmp_path):
    coco(tmp_path)
    mask = np.random.default_rng(0).random((10, 12)) > 0.7
    mask[3:8, 2:11] = True
    code = packed_with_the_brush(mask)
    value = {"format": "rle", "rle": code, "brushlabels": ["cell"]}
    tasks = [
        {
            "image": f"/data/upload/1/{i}.png",
            "id": i,
            "brush": [{"id": f"r{i}", "original_width": 12, "original_height": 10, **value}],
        }
        for i in range(8)
    ]
    bad = {"cut": code[:-9], "other": packed_with_the_brush(mask[:4]), "text": "12", "odd": [1, -2]}
    tasks[1]["brush"] += [{"id": name, **value, "rle": wrong} for name, wrong in bad.items()]
    (tmp_path / "project.json").write_text(json.dumps(tasks))
    assert takes_masks(tmp_path / "project.json")
    data = open_masks(tmp_path / "project.json", max_broken=0.6)
    assert data.classes == ("background", "cell")
    for part in data.splits.values():
        assert all(np.array_equal(read_mask(part, i), mask) for i in range(len(part)))
    told = "\n".join(data.scan.warnings())
    assert (
        "left out 3 masks (its run lengths are damaged): images/1.png result cut of task 1" in told
    )
    assert "(it has 48 pixels, the image has 120): images/1.png result other of task 1" in told


@pytest.mark.parametrize("fraction", [0.0, 0.3, 1.0])
def test_runs_of_a_mask_give_the_mask(fraction):
    mask = np.random.default_rng(1).random((5, 7)) < fraction
    assert np.array_equal(runs_to_mask(mask_to_runs(mask), (7, 5)), mask)


def test_compressed_runs_are_read_as_pycocotools_writes_them():
    peer = pytest.importorskip("pycocotools.mask")
    mask = np.asfortranarray(np.random.default_rng(0).integers(0, 2, (37, 52)).astype(np.uint8))
    mask[5:30, 4:40] = 1
    code = peer.encode(mask)["counts"].decode()
    assert np.array_equal(runs_to_mask(parse_runs(code), (52, 37)), mask.astype(bool))


def test_damaged_runs_are_refused():
    with pytest.raises(ValueError, match="add up to 5 pixels"):
        runs_to_mask((2, 3), (2, 2))
    for code in ("\x01", "o", "PP" * 20):
        with pytest.raises(ValueError, match="damaged"):
            parse_runs(code)
    assert draw_outlines([Outline(3, ((0.0, 0.0, 4.0, 0.0, 4.0, 4.0, 0.0, 4.0),))], (4, 4)).all()
