"""Boxes move with their images, and training sees both."""

import pytest
import torch
from torch.utils.data import TensorDataset

from convatlas.data.boxes.augment import augment_boxes, box_augmentation
from convatlas.models.detect.ssdlite import SSDLite
from convatlas.train.tasks.detect import Detect


def marked(count=6, size=48):
    """Black images with one white rectangle each, which the box tells."""
    random = torch.Generator().manual_seed(0)
    images, targets = torch.zeros(count, 3, size, size, dtype=torch.uint8), []
    for image in images:
        x, y = (int(v) for v in torch.randint(4, 20, (2,), generator=random))
        w, h = (int(v) for v in torch.randint(8, 20, (2,), generator=random))
        image[:, y : y + h, x : x + w] = 255
        box = torch.tensor([[x, y, x + w, y + h]], dtype=torch.float32)
        targets.append({"boxes": box, "labels": torch.tensor([1])})
    return images, targets


@pytest.mark.parametrize("level", ["none", "flip", "photo", "cells", "ssd"])
def test_the_box_is_still_around_what_it_marks(level):
    images, targets = marked(30)
    torch.manual_seed(1)
    change = augment_boxes(box_augmentation(level, 3, 48))
    changed, found = change(images, targets)
    assert changed.shape == images.shape
    assert changed.dtype == torch.uint8
    assert torch.equal(changed, images) == (level == "none")
    seen = 0
    for image, target in zip(changed, found, strict=True):
        white = (image.float().mean(0) > 70).nonzero()
        if not len(target["labels"]) or not len(white):
            continue
        seen += 1
        top, left = white.min(0).values.tolist()
        bottom, right = (white.max(0).values + 1).tolist()
        inside = torch.tensor([left, top, right, bottom], dtype=torch.float32)
        assert (target["boxes"][0] - inside).abs().max() <= 2
        assert target["labels"].tolist() == [1]
    assert seen > 20


def test_an_unknown_level_is_refused():
    with pytest.raises(ValueError, match="must be one of none, flip, photo, cells, ssd"):
        box_augmentation("wild", 3, 48)


def test_the_task_trains_and_validates_with_the_boxes_of_each_image():
    images, targets = marked()
    places = TensorDataset(images, torch.arange(len(images)))
    task = Detect(
        places,
        places,
        targets,
        targets,
        num_classes=2,
        augment=augment_boxes(None),
        normalise=lambda batch: batch.float() / 255,
    )
    torch.manual_seed(0)
    model = SSDLite(backbone="mobilenet_v3_small", width=0.25, num_classes=2, first_boxes=6)
    batches, validation = task.loaders(5, seed=0)
    assert [len(place) for _, place in batches] == [5]  # the one that is left has no variance
    batch = next(iter(batches))
    expected = model.train().losses(
        batch[0].float() / 255, [targets[place] for place in batch[1].tolist()]
    )
    torch.manual_seed(0)
    again = SSDLite(backbone="mobilenet_v3_small", width=0.25, num_classes=2, first_boxes=6)
    torch.testing.assert_close(task.loss(again.train(), batch), sum(expected.values()))
    figures = task.validate(model, validation, lambda values: values)
    assert set(figures) == {"val_loss", "val_map_50_95", "val_map_50", "val_best_score"}
    assert 0 < figures["val_best_score"] < 1
    assert figures["val_loss"] > 0
